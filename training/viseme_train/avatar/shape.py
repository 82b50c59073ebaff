"""What the landmarks of a clip tell: the head's pose, the mouth's opening and width, and where the crops lie.

Landmarks are [n, 468, 3] in pixels, not a number where no face was found. Lengths of the face are shares of its width, temple to temple.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

LEFT_TEMPLE, RIGHT_TEMPLE, LEFT_CHEEK, RIGHT_CHEEK, CHIN = 127, 356, 234, 454, 152
UPPER_LIP, LOWER_LIP, LEFT_CORNER, RIGHT_CORNER = 13, 14, 78, 308
#: The crop begins here: a third of the way between these two points of the nose's bridge.
BRIDGE = (195, 197)
#: Points that neither jaw nor lids nor brows move: forehead, temples, corners of the eyes, bridge of the nose.
STABLE = (10, 338, 297, 332, 284, 251, 389, 356, 127, 162, 21, 54, 103, 67, 109, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 130, 359, 243, 463)
#: Frames over which the crop's path is smoothed (deviation of a Gaussian), and how far from it a whole pixel may lie before it is left.
SMOOTHING, HYSTERESIS = 1.5, 0.75
#: Sizes of the crop (width, height): the painter halves its picture five times.
MULTIPLE, LEAST, LARGEST = 32, (192, 128), (512, 512)
#: The crop around a face of width 1 with a closed mouth: beside the temples, and below the chin, which falls when the mouth opens.
BESIDE, BELOW = 0.02, 0.16


def width(points: np.ndarray) -> np.ndarray:
    """Width of the face in pixels, turned to the side or not: [n]."""
    return np.asarray(np.linalg.norm(points[:, RIGHT_TEMPLE] - points[:, LEFT_TEMPLE], axis=1))


def aperture(points: np.ndarray) -> np.ndarray:
    """Distance of the lips' inner edges in face widths: [n]."""
    return np.asarray(np.linalg.norm(points[:, UPPER_LIP, :2] - points[:, LOWER_LIP, :2], axis=1) / width(points))


def mouth_width(points: np.ndarray) -> np.ndarray:
    """Distance of the corners of the mouth in face widths: [n]."""
    return np.asarray(np.linalg.norm(points[:, RIGHT_CORNER] - points[:, LEFT_CORNER], axis=1) / width(points))


def yaw(points: np.ndarray) -> np.ndarray:
    """Turn to the side in degrees, as the mesh's depth tells it: [n]. About a fifth too small beyond 20°."""
    across = points[:, RIGHT_CHEEK] - points[:, LEFT_CHEEK]
    return np.asarray(np.degrees(np.arctan2(across[:, 2], across[:, 0])))


@dataclass(frozen=True)
class Heads:
    """Where the head is in every frame: point p of the reference (complex, in face widths) lies at `gain · p + place` pixels."""

    reference: np.ndarray
    gain: np.ndarray
    place: np.ndarray

    def at(self, point: complex) -> np.ndarray:
        """Pixels (x, y) of a point of the reference: [n, 2]."""
        z = self.gain * point + self.place
        return np.stack([z.real, z.imag], 1)


def heads(points: np.ndarray) -> Heads:
    """Fits a similarity to the stable points of every frame: thirty points jitter less than any of them."""
    flat = points[..., 0] + 1j * points[..., 1]
    found = np.isfinite(flat[:, 0].real)
    eyes = flat[found, 263] - flat[found, 33]
    middle = flat[found][:, list(STABLE)].mean(1)
    turned = (flat[found] - middle[:, None]) / (eyes / np.abs(eyes) * width(points[found]))[:, None]
    # A part of a long clip tells the shape as well as all of it.
    some = turned[:: max(1, len(turned) // 500)]
    reference = np.median(some.real, 0) + 1j * np.median(some.imag, 0)
    model = reference[list(STABLE)]
    model_middle = model.mean()
    centred = model - model_middle
    seen = flat[:, list(STABLE)]
    seen_middle = seen.mean(1)
    gain = ((seen - seen_middle[:, None]) * centred.conj()).sum(1) / (np.abs(centred) ** 2).sum()
    return Heads(reference, gain, seen_middle - gain * model_middle)


def crop_size(reference: np.ndarray, face: float) -> tuple[int, int]:
    """Width and height of the crop of a face `face` pixels wide."""
    top = (2 * reference[BRIDGE[0]].imag + reference[BRIDGE[1]].imag) / 3
    wanted = ((1 + 2 * BESIDE) * face, (reference[CHIN].imag - top + BELOW) * face)
    fitted = [min(largest, max(least, -(-w // MULTIPLE) * MULTIPLE)) for w, least, largest in zip(wanted, LEAST, LARGEST)]
    return int(fitted[0]), int(fitted[1])


def crop_path(h: Heads, size: tuple[int, int], face: float) -> np.ndarray:
    """Left upper corners of the crop before they are rounded: [n, 2], smoothed over time; gaps are bridged."""
    top = (2 * h.reference[BRIDGE[0]].imag + h.reference[BRIDGE[1]].imag) / 3
    across = (h.reference[LEFT_TEMPLE].real + h.reference[RIGHT_TEMPLE].real) / 2
    middle = h.at(complex(across, top + size[1] / 2 / face))
    n = np.arange(len(middle))
    found = np.isfinite(middle[:, 0])
    bridged = np.stack([np.interp(n, n[found], middle[found, i]) for i in (0, 1)], 1)
    return ndimage.gaussian_filter1d(bridged, SMOOTHING, axis=0, mode="nearest") - np.array(size) / 2


def whole_pixels(path: np.ndarray) -> np.ndarray:
    """Corners in whole pixels, [n, 2]: each stays where it is until the path has left it, so that noise around a half moves nothing."""
    out = np.empty(path.shape, int)
    here = np.round(np.median(path[:12], 0))  # a tracker that has just found a face still moves a little
    for k, wanted in enumerate(path):
        here = np.where(np.abs(wanted - here) > HYSTERESIS, np.round(wanted), here)
        out[k] = here
    return out
