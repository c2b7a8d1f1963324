"""Pictures that are no single slice of a head CT, made from nothing, by kind: what the plausibility gate refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import Window, apply_window

Grey = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

SIDE = 384
BRAIN = Window(40, 120)
SOFT = Window(40, 400)
LUNG = Window(-600, 1500)
AIR, FAT, WATER, MUSCLE, BONE = -1000.0, -100.0, 0.0, 50.0, 700.0


def cylinder(side: int = SIDE, radius: float = 0.4, wall: float = 120.0, noise: float = 4.0) -> Values:
    """A water cylinder of quality assurance in Hounsfield units, ``(side, side)``."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    away = np.hypot(rows, columns) / side
    hu = np.where(away < radius, WATER, np.where(away < radius + 0.02, wall, AIR))
    return np.asarray(hu + np.random.default_rng(0).normal(0, noise, hu.shape), np.float32)


@lru_cache(maxsize=4)
def _phantom(seed: int, side: int) -> npt.NDArray[np.int16]:
    return make_phantom(PhantomSpec(seed, slices=24, rows=side, detail="fast")).hu


def heads(count: int, side: int = SIDE // 2) -> list[Grey]:
    """Slices of a synthetic head from base to vertex, in the brain window."""
    hu = make_phantom(PhantomSpec(5, slices=24, rows=side, detail="fast")).hu
    return [
        apply_window(hu[index].astype(np.float32), BRAIN) for index in np.linspace(3, 20, count).round().astype(int)
    ]


def sheet(columns: int, rows: int, *, tight: bool = False, line: int = 0, ground: int = 0) -> Grey:
    """A film sheet of slices side by side, whole or each cropped to its head."""
    tiles = heads(columns * rows)
    if tight:
        tiles = [cv2.resize(_skull(tile), (160, 200), interpolation=cv2.INTER_AREA) for tile in tiles]
    tiles = [np.maximum(tile, np.uint8(ground)) for tile in tiles]
    tiles = [cv2.copyMakeBorder(tile, line, line, line, line, cv2.BORDER_CONSTANT, value=255) for tile in tiles]
    return np.vstack([np.hstack(tiles[at : at + columns]) for at in range(0, columns * rows, columns)])


def _skull(picture: Grey) -> Grey:
    """Cropped so that the head touches all four edges, without the head holder."""
    rows, columns = np.nonzero(cv2.morphologyEx(picture, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8)) > 24)
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _cropped(picture: Grey) -> Grey:
    rows, columns = np.nonzero(picture > 24)
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _ellipse(hu: Values, at: tuple[float, float], axes: tuple[float, float], value: float, turn: float = 0) -> None:
    """Paint an ellipse; places and half axes in shares of the side, (x, y)."""
    side = hu.shape[0]
    centre, half = (round(at[0] * side), round(at[1] * side)), (round(axes[0] * side), round(axes[1] * side))
    cv2.ellipse(hu, centre, half, turn, 0, 360, value, -1, cv2.LINE_AA)


def _noisy(hu: Values, noise: float = 6) -> Values:
    grain = np.random.default_rng(1).normal(0, noise, hu.shape)
    return np.asarray(cv2.GaussianBlur(hu, (0, 0), 1) + grain, np.float32)


def _body(fat: float = 0.04, *, arms: bool = False) -> Values:
    """A trunk: a wide ellipse of muscle in fat, with ribs and a spine."""
    hu = np.full((SIDE, SIDE), AIR, np.float32)
    _ellipse(hu, (0.5, 0.5), (0.45, 0.31), FAT)
    _ellipse(hu, (0.5, 0.5), (0.45 - fat, 0.31 - fat), MUSCLE)
    if arms:
        for x in (0.06, 0.94):
            _ellipse(hu, (x, 0.55), (0.05, 0.06), MUSCLE)
            _ellipse(hu, (x, 0.55), (0.02, 0.02), BONE)
    return hu


def _ribs(hu: Values) -> None:
    _ellipse(hu, (0.5, 0.7), (0.05, 0.05), BONE)
    _ellipse(hu, (0.5, 0.7), (0.02, 0.02), WATER)
    for degrees in range(0, 360, 30):
        angle = np.deg2rad(degrees + 10)
        at = (0.5 + 0.38 * np.cos(angle), 0.5 + 0.245 * np.sin(angle))
        _ellipse(hu, at, (0.03, 0.012), BONE / 2, degrees + 100)


def chest(*, arms: bool = False) -> Values:
    """An axial slice of a chest: lungs, heart, spine, ribs."""
    hu = _body(arms=arms)
    _ribs(hu)
    for x in (0.3, 0.7):
        _ellipse(hu, (x, 0.48), (0.14, 0.2), -850)
    _ellipse(hu, (0.54, 0.45), (0.1, 0.1), MUSCLE)
    return _noisy(hu)


def abdomen(fat: float = 0.04) -> Values:
    """An axial slice of an abdomen: liver, spleen, kidneys, gas, spine, ribs."""
    hu = _body(fat)
    _ribs(hu)
    _ellipse(hu, (0.5, 0.46), (0.3, 0.18), FAT)
    _ellipse(hu, (0.33, 0.42), (0.15, 0.14), 65)
    _ellipse(hu, (0.74, 0.5), (0.07, 0.1), 55)
    for x in (0.38, 0.62):
        _ellipse(hu, (x, 0.6), (0.04, 0.05), 35)
    _ellipse(hu, (0.58, 0.36), (0.08, 0.04), -900)
    return _noisy(hu)


def pelvis() -> Values:
    """An axial slice of a pelvis: two hips, a bladder, much fat."""
    hu = _body(0.06)
    for x in (0.2, 0.8):
        _ellipse(hu, (x, 0.5), (0.06, 0.06), BONE)
    _ellipse(hu, (0.5, 0.65), (0.08, 0.04), BONE)
    _ellipse(hu, (0.5, 0.42), (0.1, 0.07), 5)
    return _noisy(hu)


def legs() -> Values:
    """Two thighs."""
    hu = np.full((SIDE, SIDE), AIR, np.float32)
    for x in (0.28, 0.72):
        _ellipse(hu, (x, 0.5), (0.19, 0.2), FAT)
        _ellipse(hu, (x, 0.5), (0.16, 0.17), MUSCLE)
        _ellipse(hu, (x, 0.5), (0.04, 0.04), BONE)
    return _noisy(hu)


def magnetic(fluid: float, white: float, scalp: float) -> Grey:
    """A head as magnetic resonance shows it: bright scalp, dark skull, no more than grey inside."""
    hu = cv2.GaussianBlur(_phantom(9, SIDE)[14].astype(np.float32), (5, 5), 0)
    brain = np.interp(
        hu, [-200, -60, 0, 15, 24, 34, 42, 90, 200], [0, scalp, fluid, fluid, white, 0.8 * white, scalp, 0.1, 0.04]
    )
    noise = np.random.default_rng(2).normal(0, 0.02, hu.shape)
    return np.clip((brain + noise) * 255, 0, 255).astype(np.uint8)


def radiograph() -> Grey:
    """A chest film: bright all over, two dark lungs."""
    hu = np.full((SIDE, SIDE), 190, np.float32)
    for x in (0.3, 0.7):
        _ellipse(hu, (x, 0.5), (0.15, 0.32), 60)
    for y in np.arange(0.2, 0.9, 0.08):
        _ellipse(hu, (0.5, y), (0.4, 0.012), 130)
    _ellipse(hu, (0.5, 0.5), (0.05, 0.5), 220)
    return np.clip(_noisy(cv2.GaussianBlur(hu, (0, 0), 5), 5), 0, 255).astype(np.uint8)


def hand() -> Grey:
    """A radiograph of a hand: five rays from a palm, on black."""
    hu = np.zeros((SIDE, SIDE), np.float32)
    _ellipse(hu, (0.5, 0.72), (0.17, 0.2), 90)
    for number, degrees in enumerate((-150, -115, -95, -75, -55)):
        angle = np.deg2rad(degrees)
        at = (0.5 + 0.3 * np.cos(angle), 0.7 + (0.34 if number else 0.2) * np.sin(angle))
        _ellipse(hu, at, (0.22, 0.035), 90, degrees)
        _ellipse(hu, at, (0.2, 0.018), 220, degrees)
    return np.clip(_noisy(hu, 3), 0, 255).astype(np.uint8)


def mammogram() -> Grey:
    """A breast at the edge of the picture."""
    hu = np.zeros((SIDE, SIDE), np.float32)
    _ellipse(hu, (0.0, 0.5), (0.5, 0.4), 90)
    _ellipse(hu, (0.15, 0.5), (0.25, 0.25), 160)
    return np.clip(_noisy(hu, 12), 0, 255).astype(np.uint8)


def ultrasound() -> Grey:
    """A sector full of speckle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    away, angle = np.hypot(rows + 20, columns - SIDE / 2), np.arctan2(columns - SIDE / 2, rows + 20)
    speckle = cv2.GaussianBlur(np.random.default_rng(3).rayleigh(60, (SIDE, SIDE)), (5, 5), 0)
    return np.clip(np.where((np.abs(angle) < 0.6) & (away > 60) & (away < 380), speckle, 0), 0, 255).astype(np.uint8)


def skull_film() -> Grey:
    """A frontal radiograph of a skull, dark around: bright throughout."""
    hu = np.zeros((SIDE, SIDE), np.float32)
    _ellipse(hu, (0.5, 0.45), (0.3, 0.38), 150)
    _ellipse(hu, (0.5, 0.78), (0.2, 0.18), 140)
    for x in (0.4, 0.6):
        _ellipse(hu, (x, 0.55), (0.07, 0.06), 90)
    _ellipse(hu, (0.5, 0.7), (0.05, 0.08), 200)
    return np.clip(_noisy(cv2.GaussianBlur(hu, (0, 0), 4), 5), 0, 255).astype(np.uint8)


def photograph(side: int = 256, cells: int = 9, seed: int = 4) -> Grey:
    """Soft shapes over the whole picture, as in a landscape."""
    coarse = np.random.default_rng(seed).integers(0, 256, (cells, cells), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def portrait() -> Grey:
    """A lit face before a black wall."""
    hu = np.zeros((SIDE, SIDE), np.float32)
    _ellipse(hu, (0.5, 1.0), (0.42, 0.28), 90)
    _ellipse(hu, (0.5, 0.45), (0.2, 0.28), 190)
    for x in (0.42, 0.58):
        _ellipse(hu, (x, 0.4), (0.035, 0.02), 40)
    _ellipse(hu, (0.5, 0.6), (0.08, 0.02), 90)
    light = np.linspace(1.1, 0.5, SIDE)[None]
    return np.clip(_noisy(cv2.GaussianBlur(hu, (0, 0), 3) * light, 3), 0, 255).astype(np.uint8)


def planet() -> Grey:
    """A lit ball before black, brighter on one side."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    depth = np.sqrt(np.clip(0.16 - rows**2 - columns**2, 0, None)) / 0.4
    shade = np.clip(depth * 0.6 + columns * 0.8, 0, 1) * 230 * (depth > 0)
    return np.asarray(shade * (0.7 + 0.3 * photograph(SIDE, 24) / 255), np.uint8)


def text(ground: int, ink: int, scale: float = 0.6) -> Grey:
    """A page or a terminal full of text."""
    page = np.full((600, 800), ground, np.uint8)
    for line in range(30, 600, round(37 * scale)):
        cv2.putText(page, "The quick brown fox jumps over the lazy dog " * 3, (10, line), 0, scale, ink, 1, cv2.LINE_AA)
    return page


def plot(ground: int, kind: str) -> Grey:
    """A chart with axes: a line, bars, dots or a pie."""
    ink = 255 - ground
    page = np.full((480, 640), ground, np.uint8)
    cv2.rectangle(page, (60, 30), (600, 430), ink, 1)
    rng = np.random.default_rng(6)
    values = rng.integers(60, 380, 12)
    if kind == "line":
        cv2.polylines(
            page,
            [np.stack([np.arange(70, 600, 46)[:12], values], 1).astype(np.int32)],
            isClosed=False,
            color=ink,
            thickness=2,
        )
    for number, value in enumerate(values):
        if kind == "bars":
            cv2.rectangle(page, (70 + 44 * number, 430 - int(value)), (100 + 44 * number, 430), 128, -1)
        if kind == "dots":
            cv2.circle(page, (int(rng.integers(70, 590)), int(value)), 14, ink, -1)
        if kind == "pie":
            cv2.ellipse(page, (320, 230), (180, 180), 0, number * 30, number * 30 + 30, 60 + 15 * number, -1)
    return page


def inserts(count: int, values: tuple[float, ...]) -> Values:
    """A contrast phantom: a cylinder with rods."""
    hu = cylinder(radius=0.42)
    for number in range(count):
        angle = 2 * np.pi * number / count
        _ellipse(
            hu, (0.5 + 0.25 * np.cos(angle), 0.5 + 0.25 * np.sin(angle)), (0.05, 0.05), values[number % len(values)]
        )
    return _noisy(hu, 3)


def oval() -> Values:
    """A head-shaped phantom: water in a shell as dense as bone."""
    hu = np.full((SIDE, SIDE), AIR, np.float32)
    _ellipse(hu, (0.5, 0.5), (0.3, 0.38), 900)
    _ellipse(hu, (0.5, 0.5), (0.28, 0.36), WATER)
    return _noisy(hu, 4)


def shepp_logan() -> Grey:
    """The ellipses of Shepp and Logan (1974), as commonly drawn (Toft's contrast)."""
    hu = np.zeros((SIDE, SIDE), np.float32)
    for at, axes, value, turn in (
        ((0.5, 0.5), (0.345, 0.46), 255, 0),
        ((0.5, 0.51), (0.33, 0.437), 51, 0),
        ((0.61, 0.5), (0.055, 0.155), 3, -18),
        ((0.39, 0.5), (0.08, 0.205), 3, 18),
        ((0.5, 0.325), (0.105, 0.125), 77, 0),
        ((0.5, 0.45), (0.023, 0.023), 77, 0),
    ):
        _ellipse(hu, at, axes, value, turn)
    return hu.astype(np.uint8)


def bars() -> Grey:
    """A resolution pattern in a disc."""
    disc = np.zeros((SIDE, SIDE), np.float32)
    _ellipse(disc, (0.5, 0.5), (0.42, 0.42), 120)
    for number in range(12):
        at = 80 + 20 * number
        disc[120:260, at : at + 12 - number] = 255
    return disc.astype(np.uint8)


def _random(kind: str) -> Grey:
    rng = np.random.default_rng(0)
    if kind == "sparse":
        return rng.binomial(1, 0.2, (256, 256)).astype(np.uint8) * np.uint8(100)
    if kind == "code":
        return np.kron(rng.integers(0, 2, (33, 33)), np.ones((8, 8))).astype(np.uint8) * np.uint8(255)
    return rng.integers(0, 256, (256, 256), dtype=np.uint8)


def _pair(gap: int) -> Grey:
    one, two = heads(2)
    return np.hstack([one, np.zeros((one.shape[0], gap), np.uint8), two])


def _inverted() -> Grey:
    return 255 - heads(3)[1]


KINDS: dict[str, dict[str, Callable[[], Grey]]] = {
    "chest": {
        "chest in the brain window": lambda: apply_window(chest(), BRAIN),
        "chest in a soft window": lambda: apply_window(chest(), SOFT),
        "chest in a lung window": lambda: apply_window(chest(), LUNG),
        "chest with arms": lambda: apply_window(chest(arms=True), SOFT),
        "chest, cropped": lambda: _cropped(apply_window(chest(), SOFT)),
        "chest film": radiograph,
    },
    "abdomen": {
        "abdomen in the brain window": lambda: apply_window(abdomen(), BRAIN),
        "abdomen in a soft window": lambda: apply_window(abdomen(), SOFT),
        "abdomen, little fat": lambda: apply_window(abdomen(0.015), SOFT),
        "abdomen, cropped": lambda: _cropped(apply_window(abdomen(), SOFT)),
        "pelvis in the brain window": lambda: apply_window(pelvis(), BRAIN),
        "pelvis in a soft window": lambda: apply_window(pelvis(), SOFT),
        "thighs in a soft window": lambda: apply_window(legs(), SOFT),
        "thighs in the brain window": lambda: apply_window(legs(), BRAIN),
    },
    "magnetic resonance": {
        "T1": lambda: magnetic(0.12, 0.6, 0.95),
        "T2": lambda: magnetic(0.95, 0.4, 0.7),
        "FLAIR": lambda: magnetic(0.06, 0.55, 0.5),
        "T1, cropped": lambda: _cropped(magnetic(0.12, 0.6, 0.95)),
        "proton density": lambda: magnetic(0.6, 0.7, 0.8),
    },
    "other radiology": {
        "hand": hand,
        "mammogram": mammogram,
        "ultrasound": ultrasound,
        "skull film": skull_film,
        "inverted head": _inverted,
    },
    "photograph": {
        **{f"landscape {cells}": lambda cells=cells: photograph(256, cells, cells) for cells in (3, 5, 9, 17, 33)},
        "small": lambda: photograph(100),
        "portrait": portrait,
        "planet": planet,
    },
    "text": {
        "page": lambda: text(255, 0),
        "grey page": lambda: text(200, 30, 1.0),
        "terminal": lambda: text(0, 255),
        "large terminal": lambda: text(0, 255, 2.0),
    },
    "plot": {
        f"{kind} on {'black' if ground == 0 else 'white'}": lambda ground=ground, kind=kind: plot(ground, kind)
        for ground in (0, 255)
        for kind in ("line", "bars", "dots", "pie")
    },
    "pattern": {
        "noise": lambda: _random("noise"),
        "sparse noise": lambda: _random("sparse"),
        "code": lambda: _random("code"),
        "ramp": lambda: np.tile(np.arange(256, dtype=np.uint8), (256, 1)),
        "box": lambda: np.pad(np.full((100, 100), 90, np.uint8), 80),
        "disc": lambda: cv2.circle(np.zeros((256, 256), np.uint8), (128, 128), 90, 150, -1),
        "ring": lambda: cv2.circle(np.zeros((256, 256), np.uint8), (128, 128), 90, 255, 6),
        "black": lambda: np.zeros((256, 256), np.uint8),
        "white": lambda: np.full((256, 256), 255, np.uint8),
    },
    "phantom": {
        "water": lambda: apply_window(cylinder(), BRAIN),
        "water, bright wall": lambda: apply_window(cylinder(wall=700), BRAIN),
        "water in a soft window": lambda: apply_window(cylinder(), SOFT),
        "water, small": lambda: apply_window(cylinder(radius=0.2), BRAIN),
        "water, cropped": lambda: _cropped(apply_window(cylinder(), BRAIN)),
        "water, noisy": lambda: apply_window(cylinder(noise=15), BRAIN),
        "rods": lambda: apply_window(inserts(8, (120, -100, 900)), BRAIN),
        "rods in a soft window": lambda: apply_window(inserts(6, (60, 90, 300)), SOFT),
        "head-shaped": lambda: apply_window(oval(), BRAIN),
        "Shepp-Logan": shepp_logan,
        "bars": bars,
    },
    "montage": {
        **{
            f"{c} x {r}": lambda c=c, r=r: sheet(c, r)
            for c, r in ((2, 1), (1, 2), (2, 2), (3, 2), (3, 3), (4, 3), (5, 4))
        },
        **{
            f"{c} x {r}, tight": lambda c=c, r=r: sheet(c, r, tight=True)
            for c, r in ((2, 1), (1, 2), (2, 2), (3, 2), (3, 3), (4, 4))
        },
        "2 x 2, ruled": lambda: sheet(2, 2, line=1),
        "2 x 2 on grey": lambda: sheet(2, 2, ground=20),
        "pair with a gap": lambda: _pair(60),
    },
}
"""Kind → name → what makes the picture."""
