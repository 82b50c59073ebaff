"""Figures that compare a rendered mouth with the true one, or with what is heard."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import signal

from viseme_train.phonemes import BILABIALS, Phone


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r; not a number where one of them is constant."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-9 and b.std() > 1e-9 else float("nan")


def rank(rows: np.ndarray, share: float = 0.99) -> int:
    """Directions that hold `share` of the variance of rows [n, features]."""
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    return int(np.searchsorted(np.cumsum(values) / values.sum(), share) + 1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures of 8 bits, in dB."""
    return float(10 * np.log10(255 ** 2 / max(1e-9, ((a.astype(np.float32) - b) ** 2).mean())))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of two BGR pictures of 8 bits, in grey, with the usual Gaussian window."""
    x, y = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) for image in (a, b))
    smooth = lambda image: cv2.GaussianBlur(image, (11, 11), 1.5)
    mx, my = smooth(x), smooth(y)
    vx, vy, vxy = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
    return float((((2 * mx * my + 6.5025) * (2 * vxy + 58.5225)) / ((mx * mx + my * my + 6.5025) * (vx + vy + 58.5225))).mean())


def closures(aperture: np.ndarray, truth: np.ndarray, speech: np.ndarray, phones: Sequence[Phone], closed: float, clearly_open: float) -> np.ndarray:
    """Counts of one clip: (bilabials found closed, bilabials, false closures, frames where one would be false).

    A bilabial is found when the mouth is `closed` within a frame of its middle. A closure is false in speech when the truth is
    `clearly_open` in that frame and its neighbours.
    """
    middles = [int((start + end) / 2 * 25) for index, start, end in phones if index in BILABIALS]
    found = sum(bool(aperture[max(0, k - 1):k + 2].min() < closed) for k in middles)
    near = np.minimum(np.minimum(truth, np.roll(truth, 1)), np.roll(truth, -1))
    where = speech & (near >= clearly_open)
    return np.array([found, len(middles), int(((aperture < closed) & where).sum()), int(where.sum())])


def recording(wave: np.ndarray, aperture: np.ndarray) -> dict[str, float]:
    """How the aperture of a person's recording at 16 kHz follows its loudness (300–3000 Hz), rests in pauses, is shut when loud."""
    band = signal.sosfiltfilt(signal.butter(4, [300, 3000], "bandpass", fs=16000, output="sos"), wave)
    power = np.array([np.mean(band[k * 640:(k + 1) * 640] ** 2) for k in range(len(aperture))])
    loud = 10 * np.log10(power + 1e-10)
    loud = np.maximum(loud, loud.max() - 60)
    core, run = np.zeros(len(loud), bool), 0
    for k, quiet in enumerate(np.append(loud < loud.max() - 35, False)):
        if quiet:
            run += 1
            continue
        if run > 10:
            core[k - run + 3:k - 3] = True
        run = 0
    shut = aperture < 0.1 * np.percentile(aperture, 98)
    return {"loudness r": max(correlation(np.roll(aperture, -lag), loud) for lag in (-1, 0, 1)),
            "closed in pauses": float(shut[core].mean()) if core.any() else float("nan"), "pause frames": int(core.sum()),
            "closed when loud": float(shut[loud > np.percentile(loud, 75)].mean())}
