"""What a folder's weights and predictions were made with. What was made otherwise is refused, never mixed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemo_core import __version__
from hemo_core.errors import TrainingError
from hemo_core.files import write_durably
from hemo_core.records import dumps, encode, load
from hemo_trainer.config import TrainConfig
from hemo_trainer.data.prepared import TrainingData

RECIPE = "recipe.json"
_NAMED = 6
_HINT = "name another folder, or take back what was changed"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a run comes to.

    Attributes:
        config: the configuration, without its name and without the paths of its sources, whose content ``data`` tells.
        data: ``fingerprint``, ``labels_key``, ``split_hash`` and ``pixels_key`` of the data.
        options: what the command line adds, such as the number of folds.
        software: version of hemo-batch.
    """

    config: dict[str, Any]
    data: dict[str, str]
    options: dict[str, Any]
    software: str


def recipe_of(config: TrainConfig, data: TrainingData, **options: Any) -> Recipe:
    """The recipe of a run that begins now."""
    described = encode(config)
    del described["name"]
    for source in described["sources"]:
        del source["path"]
    keys = {name: getattr(data, name) for name in ("fingerprint", "labels_key", "split_hash", "pixels_key")}
    return Recipe(described, keys, encode(options), __version__)


def begin(folder: Path, recipe: Recipe) -> None:
    """Note the recipe in a folder, or where that holds weights already, make sure that they were made with the same.

    Raises:
        TrainingError: the folder's weights were made otherwise; names what differs.
    """
    if next(folder.rglob("*.weights.h5"), None) is not None:
        require_same(folder, recipe)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / RECIPE, dumps(recipe))


def require_same(folder: Path, recipe: Recipe, *parts: str) -> None:
    """Compare a folder's recipe with another.

    Args:
        folder: of an earlier run.
        recipe: of the present one.
        parts: attributes to compare; all of them by default.

    Raises:
        TrainingError: they differ, or the folder does not say what it was made with.
    """
    path = folder / RECIPE
    if not path.is_file():
        what = "does not say what it was made with, as folders of earlier versions do not"
        raise TrainingError(what, path=str(folder), hint=_HINT)
    then, now = (
        encode(load(Recipe, text, error=TrainingError, path=path)) for text in (path.read_bytes(), dumps(recipe))
    )
    compared = parts or tuple(now)
    differing = list(_differing({part: then[part] for part in compared}, {part: now[part] for part in compared}))
    if differing:
        more = f"; and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        raise TrainingError(f"was made otherwise: {'; '.join(differing[:_NAMED])}{more}", path=str(folder), hint=_HINT)


def _differing(then: Any, now: Any, where: str = "") -> Iterator[str]:
    """A line for each place where two JSON values differ."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            place = f"{where}.{key}" if where else key
            yield from _differing(then.get(key), now.get(key), place)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, pair in enumerate(zip(then, now, strict=True)):
            yield from _differing(*pair, f"{where}[{number}]")
    elif then != now:
        yield f"{where} was {then!r}, is {now!r}"
