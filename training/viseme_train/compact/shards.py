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
    wave, phones = clip.wave().astype(np.float64), clip.phones
    wave = wave / (np.abs(wave).max() + 1e-9) * 10 ** (-rng.uniform(0, 12) / 20)
    if revoiced:
        wave = augment.revoice(rng, wave)
    if number:
        wave, phones = augment.speed(rng, wave, phones)
    lead, tail = (int(16000 * rng.uniform(0.0, 0.9)) for _ in range(2))
    wave = np.concatenate([np.zeros(lead), wave, np.zeros(tail)])
    phones = [(i, s + lead / 16000, e + lead / 16000) for i, s, e in phones]
    if number:
        wave = augment.degrade(rng, wave)
    if rng.random() < 0.5:  # 16-bit files have a floor
        wave = np.round(np.clip(wave, -1, 1) * 32767) / 32768
    return example(wave, phones)


def quiet(number: int, clip: int, seed: int) -> Example:
    """Four seconds without speech: digital silence, hum or noise at −80…−30 dB."""
    rng = np.random.default_rng([seed, number, clip, 99])
    count, kind = 64_000, clip % 6
    level = 10 ** (rng.uniform(-80, -30) / 20)
    wave = np.zeros(count) if kind == 0 else level * (augment.hum(rng, count) if kind == 1 else augment.noise(rng, count))
    return example(wave, [])


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
