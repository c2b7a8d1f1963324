"""Random changes of training slices: geometry once a sequence, grey levels once a sequence, noise once a slice."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from hemo_trainer.config import AugmentConfig

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]


def augment_sequence(pixels: Grey, config: AugmentConfig, rng: np.random.Generator, side: int | None = None) -> Float:
    """A changed copy of a sequence of slices.

    Args:
        pixels: uint8 ``(slices, H, W, C)``.
        config: strengths.
        rng: the only source of chance.
        side: of the square result; the height of ``pixels`` by default.

    Returns:
        float32 ``(slices, side, side, C)`` in [0, 1].
    """
    channels = pixels.shape[-1]
    matrix = _random_affine(pixels.shape[1], pixels.shape[2], config, rng)
    height, width = (side, side) if side else pixels.shape[1:3]
    matrix *= height / pixels.shape[1]
    tone = None if rng.random() < config.untouched else _random_tone(config, rng)
    jpeg = int(rng.integers(30, 91)) if rng.random() < config.jpeg else None
    sigma = rng.random() * config.blur if rng.random() < 0.5 else 0.0  # noqa: PLR2004  half the sequences stay sharp
    changed = []
    for picture in pixels:
        moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR).reshape(
            height, width, channels
        )
        if jpeg is not None:
            moved = _jpeg_round_trip(moved, jpeg)
        x = moved.astype(np.float32) / np.float32(255)
        if sigma > 0.3:  # noqa: PLR2004  a smaller sigma changes nothing
            x = cv2.GaussianBlur(x, (0, 0), sigma).reshape(height, width, channels)
        x = x if tone is None else tone(x)
        changed.append(_spoil(x, config, rng))
    return np.stack(changed).astype(np.float32)


def _random_affine(height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Rotation, zoom, shift and flip about the centre, as a 2×3 matrix for ``cv2.warpAffine``."""
    angle = rng.uniform(-config.rotation_deg, config.rotation_deg)
    scale = 1 + rng.uniform(-config.zoom, config.zoom)
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), np.float64)
    matrix[:, 2] += rng.uniform(-config.shift, config.shift, 2) * (width, height)
    if rng.random() < config.flip:
        matrix[0] *= -1
        matrix[0, 2] += width - 1
    return matrix


class _Tone:
    """A random grey curve: gain and offset about mid-grey, then gamma."""

    def __init__(self, gain: float, offset: float, gamma: float) -> None:
        self._gain, self._offset, self._gamma = np.float32(gain), np.float32(offset), np.float32(gamma)

    def __call__(self, x: Float) -> Float:
        y = np.clip((x - np.float32(0.5)) * self._gain + np.float32(0.5) + self._offset, 0, 1)
        # Air is black in every window, whatever the curve does to it.
        return np.where(x <= 0, np.float32(0), y**self._gamma).astype(np.float32)


def _random_tone(config: AugmentConfig, rng: np.random.Generator) -> _Tone:
    gain = float(np.exp(rng.uniform(-config.contrast, config.contrast)))
    gamma = float(np.exp(rng.uniform(-config.gamma, config.gamma)))
    return _Tone(gain, rng.uniform(-config.brightness, config.brightness), gamma)


def _spoil(x: Float, config: AugmentConfig, rng: np.random.Generator) -> Float:
    """Noise, a burnt-in letter, a blanked rectangle."""
    height, width, _ = x.shape
    x = x + rng.standard_normal(x.shape, np.float32) * np.float32(rng.random() * config.noise)
    x = np.clip(x, 0, 1)
    if rng.random() < config.marks:
        corner = (int(rng.choice([2, width - 14])), int(rng.choice([12, height - 4])))
        letter = np.zeros((height, width), np.uint8)
        cv2.putText(letter, str(rng.choice(list("LRAP"))), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
        x = np.maximum(x, letter[..., None].astype(np.float32) / np.float32(255))
    if rng.random() < config.erase:
        high, wide = rng.integers(8, max(9, height // 5)), rng.integers(8, max(9, width // 5))
        top, left = rng.integers(0, height - high), rng.integers(0, width - wide)
        x[top : top + high, left : left + wide] = 0
    return x


def _jpeg_round_trip(picture: Grey, quality: int) -> Grey:
    channels: list[Grey] = []
    for channel in np.moveaxis(picture, -1, 0):
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(channel), [cv2.IMWRITE_JPEG_QUALITY, quality])
        channels.append(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8))
    return np.stack(channels, axis=-1).astype(np.uint8)
