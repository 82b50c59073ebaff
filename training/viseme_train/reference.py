"""The contract's arithmetic: the numbers of a trained SyncTalk_2D-family model, written straightforwardly.

Training and measuring use it, and the Swift engine is compared with it stage by stage (`Tests/Fixtures`). It favours obviousness
over speed: librosa for the front end, OpenCV for images, one frame at a time.

Shapes: mel [80, T]; windows [n, 80, 16]; feature rows F [n, 512]; audio rows A [n + 2, 512]; images HxWx3 uint8, BGR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import librosa
import numpy as np


@dataclass(frozen=True)
class MelSettings:
    """The numbers of a log-mel front end; the defaults are the contract's."""

    sample_rate: int = 16000
    hop: int = 200
    fft: int = 800
    window: int = 800  # Hann, in the middle of the spectrum's samples
    shortest: int = 3000  # samples that speech is padded to: fewer give no window
    bands: int = 80
    low: float = 55
    high: float = 7600
    emphasis: float = 0.97
    floor: float = 1e-5  # of the magnitude
    reference_db: float = 20
    range_db: float = 100
    limit: float = 4  # levels are clipped to ± this


CONTRACT = MelSettings()
SAMPLE_RATE, HOP, N_FFT, MELS = CONTRACT.sample_rate, CONTRACT.hop, CONTRACT.fft, CONTRACT.bands
CROP, ROI, BORDER = 328, 320, 4
MASK = (5, 5, 315, 310)  # x1, y1, x2, y2 inside the roi, ends exclusive
SAMPLES_PER_FRAME = 640


@lru_cache
def mel_basis(settings: MelSettings = CONTRACT) -> np.ndarray:
    """The filter bank on Slaney's scale, [bands, 1 + fft / 2] float64."""
    return librosa.filters.mel(sr=settings.sample_rate, n_fft=settings.fft, n_mels=settings.bands, fmin=settings.low, fmax=settings.high, dtype=np.float64)


def mel(wave: np.ndarray, settings: MelSettings = CONTRACT) -> np.ndarray:
    """Mono float samples -> normalised mel [bands, T], T = 1 + floor(N / hop), float32."""
    wave = np.asarray(wave, dtype=np.float64)
    if len(wave) < settings.shortest:
        wave = np.pad(wave, (0, settings.shortest - len(wave)))
    emphasised = np.append(wave[:1], wave[1:] - settings.emphasis * wave[:-1])
    spectrum = librosa.stft(emphasised, n_fft=settings.fft, hop_length=settings.hop, win_length=settings.window, pad_mode="constant")
    level = 20 * np.log10(np.maximum(settings.floor, mel_basis(settings) @ np.abs(spectrum))) - settings.reference_db
    limit = settings.limit
    return np.clip(2 * limit * ((level + settings.range_db) / settings.range_db) - limit, -limit, limit).astype(np.float32)


def window_count(columns: int) -> int:
    """Encoder frames of a mel with `columns` columns: float64, in this order of operations."""
    return int((columns - 16) / 80.0 * 25.0) + 2


def windows(mel_columns: np.ndarray) -> np.ndarray:
    """Mel [80, T] -> encoder windows [n, 80, 16]; the last ones shift back instead of being padded."""
    total = mel_columns.shape[1]
    starts = [min(16 * k // 5, total - 16) for k in range(window_count(total))]
    return np.stack([mel_columns[:, s : s + 16] for s in starts])


def audio_rows(features: np.ndarray) -> np.ndarray:
    """Feature rows [n, 512] -> [n + 2, 512]: the first and the last row doubled."""
    return np.concatenate([features[:1], features, features[-1:]])


def feature_window(rows: np.ndarray, frame: int) -> np.ndarray:
    """Rows frame-8 ... frame+7 of the audio rows (zeros outside), as the generator's [32, 16, 16] input."""
    window = np.zeros((16, 512), np.float32)
    for r in range(16):
        k = frame - 8 + r
        if 0 <= k < len(rows):
            window[r] = rows[k]
    return window.reshape(32, 16, 16)


def frame_count(samples: int) -> int:
    """Video frames that `samples` samples at 16 kHz need at 25 fps: never fewer than the audio."""
    return -(-samples // SAMPLES_PER_FRAME)


def template_index(frame: int, count: int) -> int:
    """Ping-pong: 1, 2, ..., n-1, n-2, ..., 1, 0, 1, ...; image 0 is not first."""
    if count == 1:
        return 0
    position = (frame + 1) % (2 * (count - 1))
    return position if position < count else 2 * (count - 1) - position


def crop328(frame: np.ndarray, square: Sequence[int]) -> np.ndarray:
    """The crop square [x1, y1, x2, y2) of a frame, resized to 328x328."""
    x1, y1, x2, y2 = square
    return cv2.resize(frame[y1:y2, x1:x2], (CROP, CROP), interpolation=cv2.INTER_CUBIC)


def roi(crop: np.ndarray) -> np.ndarray:
    """The crop without its 4-pixel border: 320x320."""
    return crop[BORDER : BORDER + ROI, BORDER : BORDER + ROI]


def masked(region: np.ndarray) -> np.ndarray:
    """The roi with the mask rectangle black."""
    x1, y1, x2, y2 = MASK
    result = region.copy()
    result[y1:y2, x1:x2] = 0
    return result


def generator_input(region: np.ndarray) -> np.ndarray:
    """Roi 320x320x3 -> [6, 320, 320] float32: the roi's B, G, R and the masked roi's B, G, R, divided by 255."""
    both = np.concatenate([region, masked(region)], axis=2)
    return both.transpose(2, 0, 1).astype(np.float32) / 255


def to_bytes(output: np.ndarray) -> np.ndarray:
    """Generator output [3, 320, 320] in 0...1 -> 320x320x3 uint8, truncated."""
    return (output.transpose(1, 2, 0) * 255).astype(np.uint8)


def paste(frame: np.ndarray, square: Sequence[int], crop: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """The generated 320x320 mouth inside the real 4-pixel border of the crop, back into a copy of the frame."""
    x1, y1, x2, y2 = square
    whole = crop.copy()
    whole[BORDER : BORDER + ROI, BORDER : BORDER + ROI] = mouth
    result = frame.copy()
    result[y1:y2, x1:x2] = cv2.resize(whole, (x2 - x1, y2 - y1), interpolation=cv2.INTER_CUBIC)
    return result
