"""The mel front end of the compact family: 100 columns a second, four a video frame."""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np

RATE, HOP, WINDOW, FFT, BANDS = 16000, 160, 400, 512, 80
#: Columns that a feature row hears, and by which rows advance.
COLUMNS, ADVANCE = 8, 4
#: Feature rows that a frame hears, and how many of them lie before its own.
ROWS, BEFORE = 32, 27


@lru_cache(1)
def basis() -> np.ndarray:
    """[80, 257] triangles of the Slaney scale, 55 … 7600 Hz."""
    return librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS, fmin=55, fmax=7600)


def mel(wave: np.ndarray) -> np.ndarray:
    """Mono samples at 16 kHz → [80, 1 + floor(N / 160)] float32, −4 … 4; 12.5 dB are 1, digital silence is −4."""
    wave = np.asarray(wave, np.float64)
    emphasised = np.append(wave[:1], wave[1:] - 0.97 * wave[:-1])
    spectrum = librosa.stft(emphasised, n_fft=FFT, hop_length=HOP, win_length=WINDOW, pad_mode="constant")
    # A window half as long as SyncTalk_2D's gives half the magnitude: 6 dB less are taken off.
    level = 20 * np.log10(np.maximum(1e-5, basis() @ np.abs(spectrum))) - 14
    return np.clip(8 * ((level + 100) / 100) - 4, -4, 4).astype(np.float32)


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
