"""Augmented copies of the corpus as mels, computed once, so that training reads arrays only.

    python -m viseme_train.augment --config RECIPE.toml [--jobs 2]

Copy 0 changes the level only; the others go through speed and pitch, room, band limit, tilt, compression, codec, noise.
The last copies hold the natural voices only, each utterance as somebody else would say it (`revoice`).
All have silence around them. Every copy also holds clips without speech (digital silence, noise, hum) whose mouth is closed.
A level change of g dB is a shift of the mel by 0.08·g, so training varies the level again, at no cost.
"""

from __future__ import annotations

import multiprocessing
import os
import zlib
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from viseme_train import config, corpus, reference
from viseme_train import mouth as mouth_model
from viseme_train.checkpoint import replacing
from viseme_train.config import AugmentSettings
from viseme_train.corpus import Utterance
from viseme_train.phonemes import Phone

#: Smooth curves over the mel bands.
TIMBRE = np.cos(np.pi * np.arange(1, 7)[:, None] * (np.arange(80) + 0.5) / 80)


def coloured(rng: np.random.Generator, count: int, exponent: float) -> np.ndarray:
    """Noise with a power spectrum 1/f^exponent and RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / 16000), 20)
    out = np.fft.irfft(spectrum * frequency ** (-exponent / 2), count)
    return out / (out.std() + 1e-12)


def hum(rng: np.random.Generator, count: int) -> np.ndarray:
    """Mains hum and its harmonics, RMS 1."""
    base = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    t = np.arange(count) / 16000
    out = sum(rng.uniform(0, 1) / h * np.sin(2 * np.pi * base * h * t + rng.uniform(0, 6.3)) for h in range(1, rng.integers(2, 12)))
    return out / (out.std() + 1e-12)


def noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """Some background, RMS 1: coloured noise, hum, or both, sometimes swelling."""
    out = coloured(rng, count, rng.choice([0.0, 0.5, 1.0, 1.5, 2.0]))
    if rng.random() < 0.25:
        out = out + rng.uniform(0.2, 2) * hum(rng, count)
    if rng.random() < 0.3:
        out = out * (1 + 0.6 * np.sin(2 * np.pi * rng.uniform(0.1, 1.5) * np.arange(count) / 16000 + rng.uniform(0, 6.3)))
    return out / (out.std() + 1e-12)


def room(rng: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """A room of exponentially decaying noise; the direct sound stays where it was."""
    rt60 = rng.uniform(0.12, 0.7)
    count = int(16000 * min(rt60, 0.6))
    t = np.arange(count) / 16000
    tail = rng.standard_normal(count) * 10 ** (-3 * t / rt60)
    tail[: int(rng.uniform(0.001, 0.006) * 16000)] = 0
    tail = signal.lfilter([1], [1, -rng.uniform(0.0, 0.7)], tail)
    tail *= 10 ** (-rng.uniform(2, 16) / 20) / (np.sqrt((tail ** 2).sum()) + 1e-9)
    tail[0] += 1
    return signal.fftconvolve(wave, tail)[: len(wave)]


def codec(rng: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """What lossy speech codecs do: µ-law steps, or spectral holes under a threshold."""
    if rng.random() < 0.5:
        peak = np.abs(wave).max() + 1e-9
        x = wave / peak
        y = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
        y = np.round(y * 127) / 127
        return np.sign(y) * (256 ** np.abs(y) - 1) / 255 * peak
    f, t, spectrum = signal.stft(wave, nperseg=512, noverlap=256)
    magnitude = np.abs(spectrum)
    spectrum[magnitude < magnitude.max(0, keepdims=True) * 10 ** (-rng.uniform(25, 45) / 20)] = 0
    return signal.istft(spectrum, nperseg=512, noverlap=256)[1][: len(wave)]


def degrade(rng: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """Room, band limit, tilt, compression, codec, noise: each with its own chance."""
    if rng.random() < 0.55:
        wave = room(rng, wave)
    if rng.random() < 0.5:  # tilt, and a resonance of the microphone
        wave = signal.lfilter([1, rng.uniform(-0.6, 0.5)], [1], wave)
        centre, q = rng.uniform(150, 5000), rng.uniform(1.2, 4)
        b, a = signal.iirpeak(centre, q, fs=16000)
        wave = wave + rng.uniform(-0.5, 1.5) * signal.lfilter(b, a, wave)
    if rng.random() < 0.4:
        low, high = rng.uniform(50, 350), rng.uniform(3000, 7500)
        wave = signal.sosfilt(signal.butter(2, [low, high], "bandpass", fs=16000, output="sos"), wave)
    if rng.random() < 0.3:  # compression or saturation
        drive = rng.uniform(1, 6) / (np.abs(wave).max() + 1e-9)
        wave = np.tanh(wave * drive) / drive
    if rng.random() < 0.2:
        wave = codec(rng, wave)
    if rng.random() < 0.75:
        level = np.sqrt(np.mean(wave[np.abs(wave) > 0.02 * np.abs(wave).max()] ** 2) + 1e-12)
        wave = wave + noise(rng, len(wave)) * level * 10 ** (-rng.uniform(5, 40) / 20)
    return wave


def speed(rng: np.random.Generator, wave: np.ndarray, phones: list[Phone]) -> tuple[np.ndarray, list[Phone]]:
    """Plays the utterance faster or slower (0.86–1.17), pitch and formants with it."""
    import soxr

    factor = float(np.exp(rng.uniform(np.log(0.86), np.log(1.17))))
    out = soxr.resample(wave.astype(np.float32), 16000, 16000 / factor, quality="MQ")
    return out, [(i, s / factor, e / factor) for i, s, e in phones]


def revoice(rng: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """The same words at the same times from another throat, through the WORLD vocoder: pitch, liveliness, formants, breath.

    The natural voices are few, and what an encoder knows of them does not hold for the next one.
    """
    import pyworld

    f0, t = pyworld.dio(wave, 16000, frame_period=5.0)
    f0 = pyworld.stonemask(wave, f0, t, 16000)
    envelope, noise_share = pyworld.cheaptrick(wave, f0, t, 16000), pyworld.d4c(wave, f0, t, 16000)
    voiced = f0 > 0
    if voiced.any():
        pitch = np.exp(rng.uniform(np.log(75), np.log(270)))
        f0[voiced] = np.clip(pitch * (f0[voiced] / np.exp(np.log(f0[voiced]).mean())) ** rng.uniform(0.2, 1.5), 50, 500)
    bins = envelope.shape[1]
    low, high = np.exp(rng.uniform(-0.2, 0.2)), np.exp(rng.uniform(-0.12, 0.12))  # the throat as a whole, then the front of the mouth
    position = np.linspace(0, 1, bins)
    source = np.clip(position * low * high ** np.clip(position * 4 - 0.5, 0, 1), 0, 1) * (bins - 1)
    left = np.minimum(source.astype(int), bins - 2)
    part = source - left
    log = np.log(envelope + 1e-16)
    log = log[:, left] * (1 - part) + log[:, left + 1] * part
    cepstrum = np.fft.irfft(log, axis=1)  # sharper or flatter formants
    quefrency = np.minimum(np.arange(cepstrum.shape[1]), cepstrum.shape[1] - np.arange(cepstrum.shape[1]))
    cepstrum *= np.where(quefrency > 2, rng.uniform(0.75, 1.15), 1.0)
    envelope = np.exp(np.fft.rfft(cepstrum, axis=1).real)
    noise_share = np.clip(noise_share[:, left] ** rng.uniform(0.4, 1.6), 0, 1)
    out = pyworld.synthesize(f0, np.ascontiguousarray(envelope), np.ascontiguousarray(noise_share), 16000, 5.0)[: len(wave)]
    return np.pad(out, (0, len(wave) - len(out)))


def _add(mel: np.ndarray, noise_db: np.ndarray) -> np.ndarray:
    """Adds a noise, in dB over the mel's floor of −4, to a normalised mel: 12.5 dB are 1.0."""
    power = 10 ** (1.25 * (mel + 4)) + 10 ** (noise_db / 10)
    return (0.8 * np.log10(power) - 4).astype(np.float32)


def loud(mel: np.ndarray) -> float:
    """The usual loud value of a clip's mel [columns, 80], for noise at a given distance."""
    return float(np.percentile(mel[::4].astype(np.float32).mean(1), 90))


def breathe(r: np.random.Generator, mel: np.ndarray, still: np.ndarray, loud: float) -> np.ndarray:
    """Breaths, clicks and rustling while the mouth is at rest, 18…50 dB under the loud frames; no synthetic voice draws breath.

    `mel` is [columns, 80], `still` says of every column whether the mouth is closed and at rest.
    """
    if loud <= -3 or not still.any():
        return mel
    bands = np.arange(80)
    for _ in range(1 + len(mel) // 160):
        if r.random() < 0.5:
            continue
        length = int(r.integers(5, 50))
        start = int(r.integers(-length // 2, len(mel)))
        where = np.arange(max(0, start), min(len(mel), start + length))
        where = where[still[where]]
        if len(where) == 0:
            continue
        shape = r.uniform(-12, 12) * np.linspace(-0.5, 0.5, 80)
        for _ in range(3):
            shape = shape + r.uniform(0, 14) * np.exp(-0.5 * ((bands - r.uniform(5, 80)) / r.uniform(4, 14)) ** 2)
        swell = 10 * np.log10(np.sin(np.pi * (where - start + 0.5) / length) + 0.02)
        level = 12.5 * (loud + 4) - r.uniform(18, 50) + swell[:, None] + shape + r.normal(0, 2.5, (len(where), 80))
        mel = mel.copy()
        mel[where] = _add(mel[where], level)
    return mel


def vary(r: np.random.Generator, mel: np.ndarray, loud: float) -> np.ndarray:
    """A normalised mel [columns, 80] as another voice, room or microphone would give it: vocal tract length, pitch blurred away,
    noise, level −24…+6 dB, timbre, masked bands and moments. It costs next to nothing, so training does it anew each time."""
    if r.random() < 0.75:  # formants up or down: warping the held-out voice by 10 % gave r 0.83 instead of 0.73
        bands = np.arange(80) * np.exp(r.uniform(-0.17, 0.17) + r.uniform(-0.1, 0.1) * np.clip(np.arange(80) / 50 - 0.6, 0, 1))
        source = np.clip(bands, 0, 78.999)
        low = source.astype(int)
        part = (source - low).astype(np.float32)
        mel = mel[:, low] * (1 - part) + mel[:, low + 1] * part
    if r.random() < 0.35:  # harmonics stand out in the low bands: voices of other pitch, or whispering, lack them
        width = int(r.choice([3, 5, 7]))
        power = np.pad(10 ** (1.25 * (mel + 4)), ((0, 0), (width // 2, width // 2)), mode="edge")
        mel = (0.8 * np.log10(sum(power[:, j:j + 80] for j in range(width)) / width) - 4).astype(np.float32)
    if loud > -3 and r.random() < 0.4:  # noise at 3…35 dB under the loud frames, added as power
        floor_db = 12.5 * (loud + 4) - r.uniform(3, 35) + r.uniform(-12, 12) * np.linspace(-0.5, 0.5, 80)
        rough = r.standard_normal((len(mel) + 2, 80))
        rough = (rough[:-2] + rough[1:-1] + rough[2:]) / 1.7 * np.linspace(3.5, 1.2, 80)
        mel = _add(mel, floor_db + rough)
    floor = mel <= -3.999
    mel = mel + 0.08 * r.uniform(-24, 6)
    if r.random() < 0.8:  # the timbre of a throat, a nose, a microphone: a smooth curve over the bands, 6 dB or so
        mel = mel + (r.normal(0, 0.28, 6) @ TIMBRE).astype(np.float32)
    mel[floor] = -4
    if r.random() < 0.2:
        low = r.integers(0, 72)
        mel[:, low:low + r.integers(2, 9)] = r.uniform(-4, -1)
    if r.random() < 0.15:
        start = r.integers(0, len(mel))
        mel[start:start + r.integers(2, 7)] = -4
    return np.clip(mel, -4, 4, out=mel).astype(np.float32)


def veil(r: np.random.Generator, mel: np.ndarray) -> np.ndarray:
    """A piece of mel [T, 80] with up to two bands of frequency and three moments replaced by its mean level (Park et al., SpecAugment, 2019):
    no single cue can be learned by heart."""
    mel, mean = mel.copy(), float(mel.mean())
    for _ in range(int(r.integers(3))):
        low = int(r.integers(0, 76))
        mel[:, low:low + int(r.integers(2, 13))] = mean
    for _ in range(int(r.integers(4))):
        start = int(r.integers(len(mel)))
        mel[start:start + int(r.integers(2, 6))] = mean
    return mel


def still_columns(track: np.ndarray, columns: np.ndarray, columns_a_frame: float = 3.2) -> np.ndarray:
    """Whether the mouth [frames, 7] is closed and at rest at mel columns, given by their numbers."""
    return np.abs(track[np.minimum((columns / columns_a_frame).astype(int), len(track) - 1)]).sum(1) < 0.02


def offsets(lengths: np.ndarray) -> np.ndarray:
    """Where each of some parts of these lengths begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)])


def read_shard(path: Path) -> dict[str, Any]:
    """The arrays of a shard; where the columns (`c0`) and frames (`f0`) of its clips begin, and the usual loud value of each (`loud`)."""
    with np.load(path) as data:
        shard: dict[str, Any] = {k: data[k] for k in data.files}
    shard["c0"], shard["f0"] = offsets(shard["columns"]), offsets(shard["frames"])
    shard["loud"] = np.array([loud(shard["mel"][a:b]) for a, b in zip(shard["c0"][:-1], shard["c0"][1:])], np.float32)
    return shard


def perform(rng: np.random.Generator, wave: np.ndarray, phones: list[Phone], changed: bool, revoiced: bool) -> tuple[np.ndarray, list[Phone]]:
    """Speech at another level with silence around it; `changed`: at another speed and through a room, a microphone, a codec, noise;
    `revoiced`: from another throat."""
    wave = wave.astype(np.float64)
    wave = wave / (np.abs(wave).max() + 1e-9) * 10 ** (-rng.uniform(0, 12) / 20)
    if revoiced:
        wave = revoice(rng, wave)
    if changed:
        wave, phones = speed(rng, wave, phones)
    lead, tail = (int(16000 * rng.uniform(0.0, 0.9)) for _ in range(2))
    wave = np.concatenate([np.zeros(lead), wave, np.zeros(tail)])
    phones = [(i, s + lead / 16000, e + lead / 16000) for i, s, e in phones]
    if changed:
        wave = degrade(rng, wave)
    if rng.random() < 0.5:  # 16-bit files have a floor
        wave = np.round(np.clip(wave, -1, 1) * 32767) / 32768
    return wave, phones


def background(rng: np.random.Generator, count: int, kind: int) -> np.ndarray:
    """Samples without speech: digital silence (kind 0), hum (1) or noise (others) at −80…−30 dB."""
    level = 10 ** (rng.uniform(-80, -30) / 20)
    return np.zeros(count) if kind == 0 else hum(rng, count) * level if kind == 1 else noise(rng, count) * level


def copy(utterance: Utterance, number: int, settings: AugmentSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One augmented copy → mel [80, T] float32, mouth [frames, 7], phone classes [frames]."""
    rng = np.random.default_rng([settings.seed, number, zlib.crc32(utterance.id.encode())])
    wave, phones = perform(rng, utterance.wave16k, utterance.phones, changed=number > 0, revoiced=number >= settings.copies)
    return reference.mel(wave), mouth_model.track(phones, len(wave)), mouth_model.classes(phones, len(wave))


def quiet(number: int, clip: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A clip without speech: digital silence, noise or hum at −80…−30 dB; the mouth is at rest."""
    rng = np.random.default_rng([seed, number, clip, 99])
    kind = clip % 6
    wave = background(rng, 640 * 100, kind)
    if kind == 5:
        wave = np.round(wave * 32767) / 32768
    return reference.mel(wave), np.zeros((100, 7), np.float32), np.zeros(100, np.int64)


_ITEMS: list[Utterance] = []


def _init(work: Path) -> None:
    global _ITEMS
    _ITEMS = corpus.load(work, "train")


def _one(task: tuple[int, int, AugmentSettings]) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    number, i, settings = task
    mel, track, phone = copy(_ITEMS[i], number, settings) if i >= 0 else quiet(number, -1 - i, settings.seed)
    return mel.T.astype(np.float16), track.astype(np.float16), phone.astype(np.uint8), i < 0


def build(number: int, work: Path, settings: AugmentSettings, pool: Pool, natural: np.ndarray) -> None:
    """Writes shard `mels/<number>.npz` unless it exists; `natural` says of every utterance whether it sounds like a person."""
    path = work / "mels" / f"{number}.npz"
    if path.exists():
        return
    chosen = np.flatnonzero(natural) if number >= settings.copies else np.arange(len(natural))
    tasks = [(number, int(i), settings) for i in chosen] + [(number, -1 - c, settings) for c in range(settings.quiet_clips)]
    mels, tracks, phones, silent = zip(*pool.imap(_one, tasks, chunksize=16))
    with replacing(path) as scratch:
        np.savez(scratch, mel=np.concatenate(mels), track=np.concatenate(tracks), phone=np.concatenate(phones),
                 columns=np.array([len(m) for m in mels]), frames=np.array([len(t) for t in tracks]), quiet=np.array(silent),
                 natural=np.append(natural[chosen], np.zeros(settings.quiet_clips, bool)))
    print(f"{path}: {len(tasks)} clips, {sum(map(len, tracks)) / 1500:.1f} minutes", flush=True)


def build_all(work: Path, settings: AugmentSettings, jobs: int) -> None:
    natural = np.array([u.natural for u in corpus.load(work, "train")])
    with multiprocessing.get_context("spawn").Pool(jobs, _init, (work,)) as pool:
        for number in range(settings.copies + settings.revoiced):
            build(number, work, settings, pool, natural)


def main() -> None:
    parser = config.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    settings = config.chosen(arguments)
    build_all(settings.work, settings.augment, arguments.jobs)


if __name__ == "__main__":
    main()
