"""What robin's ear makes of speech: feature rows, the mouth that it expects, and how well a filmed mouth follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from viseme_train import checkpoint
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.compact.train_listener import Ear, opening
from viseme_train.reference import SAMPLES_PER_FRAME, frame_count

#: The weights of audio encoder and listener that come with the package.
LISTENER = Path(__file__).with_name("models") / "listener.pth"
#: Shifts that are tried, in frames, and those that tell what chance gives.
NEAR = 12
FAR = range(25, 76)


@dataclass(frozen=True)
class Heard:
    """Of every frame of a sound: feature rows [n, 96], code [n, 128], mouth parameters [n, 7], the opening [n] that they mean."""

    rows: np.ndarray
    code: np.ndarray
    mouth: np.ndarray
    opening: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """How the filmed mouth follows the sound: r at the best shift, what the best of far shifts gives by chance, and the shift itself.

    Positive: the mouth is late, the sound must be delayed by as much.
    """

    r: float
    chance: float
    seconds: float

    def sure(self, settings: PrepareSettings) -> bool:
        return self.r >= settings.least_follow and self.r - self.chance >= settings.least_above_chance


def load(path: Path = LISTENER) -> Ear:
    ear = Ear()
    ear.load_state_dict(checkpoint.load(path), strict=True)
    return ear.eval()


def hear(ear: Ear, wave: np.ndarray) -> Heard:
    """Listens to a whole sound."""
    rows, code, mouth = ear.hear(wave)
    own = torch.zeros(len(code), rows.shape[1])
    own[:min(len(code), len(rows))] = rows[:len(code)]
    return Heard(own.numpy(), code.contiguous().numpy(), mouth.numpy().copy(), opening(mouth).numpy())


def loudness(wave: np.ndarray) -> np.ndarray:
    """Level of every frame in dB of full scale, −100 at the least."""
    frames = frame_count(len(wave))
    padded = np.pad(wave.astype(np.float64), (0, frames * SAMPLES_PER_FRAME - len(wave))).reshape(frames, SAMPLES_PER_FRAME)
    return 10 * np.log10((padded ** 2).mean(1) + 1e-10)


#: Of every frame of a clip: the opening that is heard, the one that is seen, and whether the frame is good.
Track = tuple[np.ndarray, np.ndarray, np.ndarray]


def _without_drift(track: Track) -> Track:
    """Slow drifts of the head's posture say nothing about speech."""
    count = min(len(track[0]), len(track[1]))
    slow = lambda x: x - np.convolve(np.pad(x, 25, mode="edge"), np.ones(51) / 51, "valid")
    said, seen, good = (x[:count] for x in track)
    return (slow(said), slow(seen), good) if count else (said, seen, good)


def _correlation(tracks: Sequence[Track], shift: int) -> float:
    """r of what is said in frame k with what is seen in frame k + shift, over the good frames of all clips."""
    pairs = []
    for said, seen, good in tracks:
        k = np.arange(max(0, -shift), min(len(said), len(said) - shift))
        k = k[good[k + shift]]
        pairs.append((said[k], seen[k + shift]))
    said, seen = (np.concatenate(x) for x in zip(*pairs))
    if len(said) < 50 or said.std() < 1e-6 or seen.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(said, seen)[0, 1])


def agreement(tracks: Sequence[Track]) -> Agreement:
    """Compares the openings that are heard and seen at all shifts, over clips of one camera; a peak between two frames is found by a parabola."""
    tracks = [_without_drift(track) for track in tracks]
    longest = max((len(said) for said, _, _ in tracks), default=0)
    if longest == 0:
        return Agreement(0.0, 0.0, 0.0)
    near = np.array([_correlation(tracks, s) for s in range(-NEAR, NEAR + 1)])
    far = [_correlation(tracks, s) for x in FAR for s in (-x, x) if x < longest // 2]
    best = int(near.argmax())
    between = 0.0
    if 0 < best < 2 * NEAR and (bend := near[best - 1] - 2 * near[best] + near[best + 1]) < 0:
        between = float(np.clip(0.5 * (near[best - 1] - near[best + 1]) / bend, -0.5, 0.5))
    return Agreement(float(near[best]), max(far, default=0.0), (best - NEAR + between) / 25)
