"""Mouth parameters from timed phones: dominance co-articulation after Cohen and Massaro (1993).

Every phone pulls each mouth parameter towards its own target with a dominance that is full inside the phone and decays
exponentially on both sides. The parameter is the dominance-weighted mean of the targets, smoothed with a 15 ms (closure: 9 ms)
Gaussian and read at the frame centres (k + 0.5) / 25 s, because frame k shows the audio of [k / 25, (k + 1) / 25).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from viseme_train.phonemes import CANONICAL, INDEX, Phone
from viseme_train.reference import frame_count

FPS = 25
#: jaw 0…1, width −1…1, the others 0…1; all zero is rest with closed lips; close = 1 means an aperture of exactly zero.
MOUTH = ["jaw", "width", "round", "close", "tuck", "teeth", "tongue"]
STEP = 0.005  # seconds: the grid on which the curves are computed

#: phone: seven targets, then the weights of jaw, lips (width and rounding), closure, tuck, teeth, tongue.
_T = {
    #        jaw   width  round close tuck teeth tongue   wj   wl    wc   wt   we   wo
    "sil": ((0.00, 0.00, 0.00, 0.0, 0.0, 0.00, 0.00), (2.0, 0.8, 1.0, 1.0, 2.0, 2.0)),
    "p":   ((0.10, 0.00, 0.05, 1.0, 0.0, 0.00, 0.00), (0.7, 0.25, 12., 2.0, 1.0, 1.0)),
    "b":   ((0.10, 0.00, 0.05, 1.0, 0.0, 0.00, 0.00), (0.7, 0.25, 12., 2.0, 1.0, 1.0)),
    "m":   ((0.12, 0.00, 0.00, 1.0, 0.0, 0.00, 0.00), (0.7, 0.25, 12., 2.0, 1.0, 1.0)),
    "f":   ((0.14, 0.10, 0.00, 0.0, 1.0, 0.30, 0.00), (3.0, 0.40, 1.0, 20., 1.0, 1.0)),
    "v":   ((0.15, 0.10, 0.00, 0.0, 1.0, 0.30, 0.00), (3.0, 0.40, 1.0, 20., 1.0, 1.0)),
    "w":   ((0.14, -.90, 1.00, 0.0, 0.0, 0.00, 0.00), (2.0, 3.00, 1.0, 1.0, 1.0, 1.0)),
    "th":  ((0.24, 0.10, 0.00, 0.0, 0.0, 0.30, 1.00), (1.6, 0.30, 1.0, 1.0, 1.5, 6.0)),
    "t":   ((0.17, 0.10, 0.00, 0.0, 0.0, 0.60, 0.45), (1.0, 0.15, 1.0, 1.0, 1.5, 2.0)),
    "d":   ((0.20, 0.10, 0.00, 0.0, 0.0, 0.50, 0.50), (0.9, 0.15, 1.0, 1.0, 1.5, 2.0)),
    "n":   ((0.22, 0.10, 0.00, 0.0, 0.0, 0.25, 0.65), (0.8, 0.15, 1.0, 1.0, 1.2, 3.0)),
    "l":   ((0.34, 0.10, 0.00, 0.0, 0.0, 0.10, 0.95), (0.9, 0.20, 1.0, 1.0, 1.2, 5.0)),
    "s":   ((0.11, 0.35, 0.00, 0.0, 0.0, 1.00, 0.00), (2.4, 0.30, 1.0, 1.0, 5.0, 2.0)),
    "sh":  ((0.16, -.40, 0.60, 0.0, 0.0, 0.95, 0.00), (2.4, 1.80, 1.0, 1.0, 5.0, 2.0)),
    "r":   ((0.24, -.30, 0.45, 0.0, 0.0, 0.15, 0.10), (0.8, 1.00, 1.0, 1.0, 1.0, 1.0)),
    "k":   ((0.28, 0.05, 0.00, 0.0, 0.0, 0.05, 0.00), (0.5, 0.12, 1.0, 1.0, 1.0, 1.0)),
    "ng":  ((0.28, 0.05, 0.00, 0.0, 0.0, 0.05, 0.00), (0.5, 0.12, 1.0, 1.0, 1.0, 1.0)),
    "h":   ((0.38, 0.00, 0.00, 0.0, 0.0, 0.00, 0.00), (0.2, 0.05, 1.0, 1.0, 0.5, 0.5)),
    "y":   ((0.20, 0.60, 0.00, 0.0, 0.0, 0.25, 0.00), (0.9, 0.80, 1.0, 1.0, 1.0, 1.0)),
    "rr":  ((0.26, 0.10, 0.00, 0.0, 0.0, 0.15, 0.60), (0.8, 0.20, 1.0, 1.0, 1.0, 2.0)),
    "iy":  ((0.27, 0.90, 0.00, 0.0, 0.0, 0.35, 0.00), (1.3, 1.60, 1.0, 1.0, 1.0, 1.0)),
    "ih":  ((0.38, 0.45, 0.00, 0.0, 0.0, 0.20, 0.00), (1.0, 0.90, 1.0, 1.0, 1.0, 1.0)),
    "ey":  ((0.50, 0.60, 0.00, 0.0, 0.0, 0.15, 0.00), (1.3, 1.20, 1.0, 1.0, 1.0, 1.0)),
    "eh":  ((0.62, 0.40, 0.00, 0.0, 0.0, 0.05, 0.00), (1.3, 1.00, 1.0, 1.0, 1.0, 1.0)),
    "ae":  ((0.85, 0.40, 0.00, 0.0, 0.0, 0.00, 0.00), (1.5, 1.00, 1.0, 1.0, 1.0, 1.0)),
    "ah":  ((0.62, 0.05, 0.00, 0.0, 0.0, 0.00, 0.00), (1.2, 0.70, 1.0, 1.0, 1.0, 1.0)),
    "ax":  ((0.40, 0.05, 0.05, 0.0, 0.0, 0.00, 0.00), (0.7, 0.30, 1.0, 1.0, 1.0, 1.0)),
    "aa":  ((0.97, 0.05, 0.00, 0.0, 0.0, 0.00, 0.00), (1.6, 1.00, 1.0, 1.0, 1.0, 1.0)),
    "er":  ((0.40, -.25, 0.40, 0.0, 0.0, 0.05, 0.00), (1.1, 1.00, 1.0, 1.0, 1.0, 1.0)),
    "ao":  ((0.78, -.40, 0.55, 0.0, 0.0, 0.00, 0.00), (1.5, 1.40, 1.0, 1.0, 1.0, 1.0)),
    "oo":  ((0.52, -.65, 0.80, 0.0, 0.0, 0.00, 0.00), (1.3, 1.90, 1.0, 1.0, 1.0, 1.0)),
    "uh":  ((0.36, -.55, 0.65, 0.0, 0.0, 0.00, 0.00), (1.1, 1.40, 1.0, 1.0, 1.0, 1.0)),
    "uw":  ((0.24, -.90, 1.00, 0.0, 0.0, 0.00, 0.00), (1.3, 2.60, 1.0, 1.0, 1.0, 1.0)),
    "ue":  ((0.24, -.75, 0.95, 0.0, 0.0, 0.05, 0.00), (1.3, 2.40, 1.0, 1.0, 1.0, 1.0)),
    "oe":  ((0.44, -.55, 0.80, 0.0, 0.0, 0.00, 0.00), (1.3, 2.00, 1.0, 1.0, 1.0, 1.0)),
}
assert set(_T) == set(CANONICAL)
TARGETS = np.array([_T[name][0] for name in CANONICAL])
_W = np.array([_T[name][1] for name in CANONICAL])
WEIGHTS = np.stack([_W[:, 0], _W[:, 1], _W[:, 1], _W[:, 2], _W[:, 3], _W[:, 4], _W[:, 5]], axis=1)
#: Decay of the dominance in seconds before and after a phone, for each parameter.
BEFORE = np.array([0.040, 0.085, 0.105, 0.008, 0.012, 0.025, 0.025])
AFTER = np.array([0.036, 0.070, 0.085, 0.008, 0.012, 0.022, 0.022])


def _cores(phones: list[Phone]) -> tuple[np.ndarray, np.ndarray]:
    """Where a phone holds its target: vowels in their middle, stops during the closure, the others throughout."""
    start = np.array([p[1] for p in phones])
    end = np.array([p[2] for p in phones])
    span = end - start
    head = np.zeros(len(phones))
    tail = np.zeros(len(phones))
    for i, (index, _, _) in enumerate(phones):
        name = CANONICAL[index]
        if name in ("p", "b"):
            head[i], tail[i] = 0.05, 0.35
        elif name == "m":
            head[i] = tail[i] = 0.15
        elif name in ("t", "d", "k"):
            tail[i] = 0.20
        elif name == "sil":
            head[i], tail[i] = min(0.3, 0.03 / max(span[i], 1e-3)), min(0.4, 0.06 / max(span[i], 1e-3))
        elif index >= INDEX["iy"]:
            head[i] = tail[i] = 0.25
    return start + head * span, end - tail * span


def curves(phones: list[Phone], duration: float) -> np.ndarray:
    """Mouth parameters on a grid of `STEP` seconds, [ceil(duration/STEP)+1, 7]."""
    t = np.arange(int(np.ceil(duration / STEP)) + 1) * STEP
    phones = [p for p in phones if p[2] > p[1]]
    if not phones:
        return np.zeros((len(t), len(MOUTH)))
    phones = [(0, phones[0][1] - 1.0, phones[0][1])] + list(phones) + [(0, phones[-1][2], max(duration, phones[-1][2]) + 1.0)]
    index = np.array([p[0] for p in phones])
    start, end = _cores(phones)
    before = np.maximum(start[:, None] - t, 0)
    after = np.maximum(t - end[:, None], 0)
    short = np.array([0.35 if p[0] == 0 and p[2] - p[1] < 0.09 else 1.0 for p in phones])  # a breath is no pause
    out = np.empty((len(t), len(MOUTH)))
    for j in range(len(MOUTH)):
        d = np.exp(-before / BEFORE[j] - after / AFTER[j]) * (WEIGHTS[index, j] * short)[:, None]
        out[:, j] = (d * TARGETS[index, j][:, None]).sum(0) / d.sum(0)
    # A sharper contact than a mean of contacts: lips that are almost closed are closed.
    out[:, 3] = np.clip(out[:, 3] * 1.12, 0, 1)
    radius = 9
    padded = np.pad(out, ((radius, radius), (0, 0)), mode="edge")
    smooth = []
    for j, name in enumerate(MOUTH):
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * STEP / (0.009 if name == "close" else 0.015)) ** 2)
        smooth.append(np.convolve(padded[:, j], kernel / kernel.sum(), mode="valid"))
    return np.stack(smooth, axis=1)


def track(phones: list[Phone], samples: int) -> np.ndarray:
    """Mouth parameters at the frame centres, [ceil(samples/640), 7] float32; times in seconds of the 16 kHz signal."""
    duration = samples / 16000 + 0.05
    grid = curves(phones, duration)
    centres = (np.arange(frame_count(samples)) + 0.5) / FPS
    where = np.arange(len(grid)) * STEP
    out = np.stack([np.interp(centres, where, grid[:, j]) for j in range(len(MOUTH))], axis=1)
    # Contact is a point in time, a frame is 40 ms: the closest moment around the centre of the frame counts.
    fine = [np.interp(centres + dt, where, grid[:, 3]) for dt in (-0.010, 0.0, 0.010)]
    out[:, 3] = np.max(fine, axis=0)
    out[:, 3] = np.where(out[:, 3] > 0.90, 1.0, out[:, 3])
    out[np.abs(out) < 0.01] = 0
    return np.clip(out, [0, -1, 0, 0, 0, 0, 0], 1).astype(np.float32)


def classes(phones: list[Phone], samples: int) -> np.ndarray:
    """Canonical phone at every frame centre, [frames] int64; outside all phones it is silence."""
    centres = (np.arange(frame_count(samples)) + 0.5) / FPS
    out = np.zeros(len(centres), np.int64)
    for index, start, end in phones:
        out[(centres >= start) & (centres < end)] = index
    return out


def aperture(mouth: Any) -> Any:
    """Lip opening that the parameters mean: jaw · (1 − close), [..., 7] → [...], of NumPy or torch."""
    return mouth[..., 0] * (1 - mouth[..., 3])
