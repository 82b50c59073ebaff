"""Speech as augmented mels with mouth tracks, computed once, so that training reads arrays only.

Shard `<kind>-<number>.npz` of `<work>/shards`: number 0 changes the level only, the others go through speed and pitch, room, band limit,
tilt, compression, codec and noise. All have clips without speech (digital silence, noise, hum) whose mouth is closed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from viseme_train import augment, checkpoint
from viseme_train import mouth as mouth_model
from viseme_train.compact import front_end
from viseme_train.compact.settings import ShardSettings
from viseme_train.phonemes import Phone


@dataclass(frozen=True)
class Clip:
    """Some speech at 16 kHz with its timed phones; `wave` is read when it is needed."""

    id: str
    wave: Callable[[], np.ndarray]
    phones: list[Phone]


Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def example(wave: np.ndarray, phones: list[Phone]) -> Example:
    """Mel [T, 80] float16, mouth [frames, 7] float16, phone classes [frames]."""
    mel = front_end.mel(wave).T.astype(np.float16)
    return mel, mouth_model.track(phones, len(wave)).astype(np.float16), mouth_model.classes(phones, len(wave)).astype(np.uint8)


def spoken(clip: Clip, number: int, seed: int, revoiced: bool) -> Example:
    """One augmented copy of a clip."""
    rng = np.random.default_rng([seed, number, zlib.crc32(clip.id.encode())])
    wave, phones = augment.perform(rng, clip.wave(), clip.phones, changed=number > 0, revoiced=revoiced)
    return example(wave, phones)


def quiet(number: int, clip: int, seed: int) -> Example:
    """Four seconds without speech: digital silence, hum or noise at −80…−30 dB."""
    rng = np.random.default_rng([seed, number, clip, 99])
    return example(augment.background(rng, 64_000, clip % 6), [])


def build(path: Path, clips: Iterable[Clip], number: int, settings: ShardSettings, revoiced: bool = False) -> None:
    """Writes a shard, unless it is there."""
    if path.exists():
        return
    examples = [spoken(clip, number, settings.seed, revoiced) for clip in clips]
    speech = len(examples)
    examples += [quiet(number, i, settings.seed) for i in range(settings.quiet_clips)]
    mels, tracks, phones = zip(*examples)
    with checkpoint.replacing(path) as scratch:
        np.savez(scratch, mel=np.concatenate(mels), track=np.concatenate(tracks), phone=np.concatenate(phones),
                 columns=np.array([len(m) for m in mels]), frames=np.array([len(t) for t in tracks]), speech=np.arange(len(examples)) < speech)
    print(f"{path.name}: {len(examples)} clips, {sum(map(len, tracks)) / 1500:.0f} minutes", flush=True)
