"""The mel front end of the compact family: 100 columns a second, four a video frame."""

from __future__ import annotations

import numpy as np

from viseme_train import reference

#: A window half as long as SyncTalk_2D's gives half the magnitude: 6 dB less are taken off.
SETTINGS = reference.MelSettings(hop=160, fft=512, window=400, reference_db=14, shortest=1120)
BANDS = SETTINGS.bands
#: Columns that a feature row hears, and by which rows advance.
COLUMNS, ADVANCE = 8, 4
#: Feature rows that a frame hears, and how many of them lie before its own.
ROWS, BEFORE = 32, 27


def mel(wave: np.ndarray) -> np.ndarray:
    """Mono samples at 16 kHz → [80, 1 + floor(N / 160)] float32, −4 … 4; 12.5 dB are 1, digital silence is −4."""
    return reference.mel(wave, SETTINGS)


def row_count(columns: int) -> int:
    """Feature rows of a mel: one a frame."""
    return int((columns - COLUMNS) / 100 * 25) + 2


def windows(columns: np.ndarray) -> np.ndarray:
    """Mel [80, T] → mel windows [rows, 80, 8]; the last ones are shifted back, never padded."""
    count = columns.shape[1]
    starts = [min(ADVANCE * k, count - COLUMNS) for k in range(row_count(count))]
    return np.stack([columns[:, s:s + COLUMNS] for s in starts])


def feature_window(rows: np.ndarray, frame: int) -> np.ndarray:
    """The rows frame − 27 … frame + 4 of [n, width]; rows outside the speech are zeros."""
    out = np.zeros((ROWS, rows.shape[1]), np.float32)
    first = frame - BEFORE
    low, high = max(0, first), min(len(rows), first + ROWS)
    if high > low:
        out[low - first:high - first] = rows[low:high]
    return out
