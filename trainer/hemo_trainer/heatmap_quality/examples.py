"""Pictures of heat maps: on slices with boxes for the local report, on a phantom for what travels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract, ScoringContract
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.heat import blend
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window, crop_box, crop_resize, to_input
from hemo_trainer.figures.plots import new_figure, save_figure
from hemo_trainer.heatmap_quality.boxes import locate
from hemo_trainer.heatmap_quality.cascade import Cascade
from hemo_trainer.heatmap_quality.explained import ExplainedSlice, PixelsOf, explain_series
from hemo_trainer.heatmap_quality.maps import box_mask, enlarged
from hemo_trainer.heatmap_quality.measure import Series
from hemo_trainer.heatmap_quality.subject import KerasModels, Subject, keras_features

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_COLUMNS = 6
_BOX_COLOUR = (255, 220, 120)  # BGR
_PHANTOM = PhantomSpec(21, bleed="intraparenchymal", bleed_size=0.8, slices=12, spacing_mm=10, rows=256, detail="fast")


def box_examples(
    folds: Sequence[tuple[Subject, Series]],
    pixels_of: PixelsOf,
    scoring: ScoringContract,
    contract: InputContract,
    count: int = 24,
) -> bytes | None:
    """Maps that lie best and worst on their boxes, half of each, as a PNG; None where no slice has a box.

    Where the data are of patients, so are the pictures: they stay where the data may be.
    """
    explained = (item for fold in folds for item in explain_series(*fold, pixels_of, scoring))
    boxed = [item for item in explained if item.record.boxes]
    if not boxed:
        return None
    ranked = sorted(((locate(item, pixels_of, contract), item) for item in boxed), key=lambda row: -row[0].energy)
    half = min(count, len(ranked)) // 2
    chosen = [*ranked[:half], *ranked[len(ranked) - (min(count, len(ranked)) - half) :]]
    rows = -(-len(chosen) // _COLUMNS)
    figure, axes = new_figure(rows, _COLUMNS, size=(2 * _COLUMNS, 2.25 * rows))
    for axis in axes:
        axis.axis("off")
    for axis, (found, item) in zip(axes, chosen, strict=False):
        axis.imshow(_with_box(item, pixels_of, contract)[..., ::-1])
        chance = item.series.probabilities[item.index]
        axis.set_title(f"p {chance:.2f}  hit {found.hit:.0f}  energy {found.energy:.2f}", fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def plot_forgetting(models: KerasModels, contract: InputContract, path: Path, seed: int = 1) -> None:
    """The map of one phantom slice, as the network forgets from the logit down. No patient: it may travel.

    Args:
        models: the model; it is left as it is.
        contract: its input.
        path: the picture to write.
        seed: of the re-initialisation.
    """
    pixels, chosen = example_phantom(contract)
    cascade = Cascade(models)
    explainer = Explainer.of_head(cascade.head, pooled=models.pooled, channel=models.channel)
    maps = [("trained", explainer.heatmaps(keras_features(cascade.cnn, to_input(pixels)), [chosen])[0])]
    for stage in cascade.forget(seed):
        features = keras_features(cascade.cnn, to_input(pixels))
        maps.append((stage.name, explainer.heatmaps(features, [chosen])[0]))
    rows = -(-(len(maps) + 1) // _COLUMNS)
    figure, axes = new_figure(rows, _COLUMNS, size=(2 * _COLUMNS, 2.25 * rows))
    for axis in axes:
        axis.axis("off")
    axes[0].imshow(pixels[chosen][..., 0], cmap="gray", vmin=0, vmax=255)
    axes[0].set_title("phantom", fontsize=8)
    for axis, (name, heat) in zip(axes[1:], maps, strict=False):
        axis.imshow(_overlaid(pixels[chosen], heat)[..., ::-1])
        axis.set_title(f"{name}{'' if heat.any() else ' (empty)'}", fontsize=8)
    save_figure(figure, path)


def example_phantom(contract: InputContract) -> tuple[Grey, int]:
    """A phantom with a bleed as the model sees it, uint8 ``(t, H, W, C)``, and the index of its bloodiest slice."""
    phantom = make_phantom(_PHANTOM)
    slices = []
    for plane in phantom.hu:
        channels = np.stack([apply_window(np.asarray(plane, np.float32), window) for window in contract.windows], -1)
        slices.append(crop_resize(channels, crop_box(channels[..., 0], contract), contract.height, contract.width))
    return np.stack(slices), int(np.argmax(phantom.blood_voxels))


def _with_box(item: ExplainedSlice, pixels_of: PixelsOf, contract: InputContract) -> Grey:
    picture = _overlaid(pixels_of(item.record), item.heat)
    inside = box_mask(item.record.boxes, item.record.path, contract).astype(np.uint8)
    outlines: Sequence[npt.NDArray[np.int32]] = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    cv2.drawContours(picture, outlines, -1, _BOX_COLOUR, 1)
    return picture


def _overlaid(pixels: Grey, heat: Float) -> Grey:
    """BGR uint8 ``(H, W, 3)``."""
    height, width = pixels.shape[:2]
    return np.asarray(blend(np.ascontiguousarray(pixels[..., 0]), enlarged(heat, height, width)), np.uint8)
