import numpy as np
import pytest

from hemo_core.bundle.contract import Window
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window, crop_resize, head_box
from hemo_trainer.config import LesionConfig
from hemo_trainer.steps.lesions import paint_sequence, read_anatomy

ALWAYS, NEVER = LesionConfig(rate=1.0), LesionConfig(rate=0.0, distractor_rate=1.0)


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """A phantom without a bleed as a model sees it, uint8 ``(slices, 160, 160, 1)``."""
    phantom = make_phantom(PhantomSpec(5, bleed="none", slices=8, rows=192, detail="fast"))
    pictures = [apply_window(plane.astype(np.float32), Window(40, 120))[..., None] for plane in phantom.hu]
    return np.stack([crop_resize(one, head_box(one[..., 0], 0.04), 160, 160) for one in pictures])


def test_the_inside_of_the_skull_is_found_where_there_is_one(head: np.ndarray):
    middle = read_anatomy(head[4, ..., 0])
    assert middle is not None
    assert 0.12 < middle.inside.mean() < 0.7
    assert not (head[4, ..., 0][middle.inside] == 0).any()
    assert read_anatomy(np.zeros((160, 160), np.uint8)) is None


def test_a_painted_bleed_is_bright_inside_the_skull_and_labelled_on_the_slices_it_reaches(head: np.ndarray):
    rng, kinds = np.random.default_rng(1), set()
    for _ in range(60):
        painted, bleeding, kind = paint_sequence(head, ALWAYS, rng)
        if kind is None:
            assert np.array_equal(painted, head)
            continue
        kinds.add(kind)
        change = painted.astype(int) - head
        assert (change[~bleeding] == 0).all()
        for index in np.flatnonzero(bleeding):
            assert change[index].max() >= 12
        places = np.flatnonzero(bleeding)
        assert (np.diff(places) <= 2).all(), "one bleed, in neighbouring slices"
    assert kinds >= {"epidural", "subdural", "intraparenchymal"}


def test_a_distractor_changes_pixels_and_no_label(head: np.ndarray):
    rng = np.random.default_rng(2)
    changed = 0
    for _ in range(20):
        painted, bleeding, kind = paint_sequence(head, NEVER, rng)
        assert kind is None
        assert not bleeding.any()
        changed += not np.array_equal(painted, head)
    assert changed > 10


def test_nothing_is_painted_without_being_asked_for(head: np.ndarray):
    painted, bleeding, kind = paint_sequence(head, LesionConfig(), np.random.default_rng(0))
    assert painted is head
    assert not bleeding.any()
    assert kind is None
