"""A toy recipe: a few seconds of sounds whose spectrum follows the phones, and a mouth that is an ellipse."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from viseme_train import config, reference
from viseme_train import mouth as mouth_model
from viseme_train.checkpoint import replacing, save_text
from viseme_train.config import Config
from viseme_train.phonemes import CANONICAL, Phone

TRAINING = Path(__file__).resolve().parents[1]
RECIPE = TRAINING / "tests" / "synctalk2d.toml"
POSES = 5


def settings(folder: Path) -> Config:
    """The settings that trained the first robin, with everything small."""
    return config.load(RECIPE, [
        f"work={json.dumps(str(folder / 'work'))}", f"checkpoints={json.dumps(str(folder / 'checkpoints'))}", f"pack={json.dumps(str(folder / 'toy.avatar'))}",
        "augment.copies=2", "augment.revoiced=0", "augment.quiet_clips=2",
        "encoder.batch=12", "encoder.head_places=16", "encoder.head_epochs=3",
        "generator.channels=[4, 8, 16, 32, 64]", "generator.sources=[[0, 1.0], [1, 1.0]]", "generator.aside=4",
        "generator.picture={minutes=1, batch=2, peak=4e-3, whole=0.1}", "generator.audio={minutes=1, batch=8, peak=3e-3, whole=1.0}",
        "generator.joint={minutes=1, batch=2, peak=2e-3, whole=0.1}", "export.template_frame=2"])


def spoken(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, list[Phone]]:
    """Phones of 60–180 ms, each with formants of its own; silence is silent."""
    phones: list[Phone] = []
    at = 0.0
    while at < seconds:
        end = at + float(rng.uniform(0.06, 0.18))
        phones.append((int(rng.integers(len(CANONICAL))), at, end))
        at = end
    count = int(at * 16000)
    time = np.arange(count) / 16000
    wave = np.zeros(count)
    for index, start, end in phones:
        if index:
            where = (time >= start) & (time < end)
            for harmonic in range(1, 40):
                gain = sum(1 / (1 + ((harmonic * 120 - formant) / 150) ** 2) for formant in (250 + 40 * (index % 7), 800 + 100 * index))
                wave[where] += gain * np.sin(2 * np.pi * 120 * harmonic * time[where])
    return wave / np.abs(wave).max() * 0.5, phones


def make_corpus(work: Path, utterances: int = 4) -> None:
    rng = np.random.default_rng(1)
    jobs = []
    for i in range(utterances):
        wave, phones = spoken(rng, 2.5)
        jobs.append({"id": f"toy-{i}", "text": "", "engine": "toy", "voice": "toy", "natural": i % 2 == 0, "language": "en",
                     "split": "train", "unseen_text": False})
        with replacing(work / "corpus" / f"toy-{i}.npz") as scratch:
            np.savez(scratch, wave=np.round(wave * 32767).astype(np.int16), phones=np.array(phones))
    save_text(json.dumps(jobs), work / "corpus.json")


def crop(pose: int, mouth: np.ndarray) -> np.ndarray:
    """A face of one colour with lips, and a dark ellipse as open as the mouth, [328, 328, 3] uint8."""
    image = np.full((reference.CROP, reference.CROP, 3), (150, 170, 210), np.uint8)
    centre = (164 + 2 * pose, 160 + pose)
    opening = float(mouth_model.aperture(mouth))
    wide = int(45 + 15 * float(mouth[1]))
    cv2.ellipse(image, centre, (wide + 8, int(10 + 40 * opening)), 0, 0, 360, (90, 90, 190), -1)
    cv2.ellipse(image, centre, (wide, int(38 * opening)), 0, 0, 360, (30, 20, 60), -1)
    return image


def make_pictures(work: Path, count: int = 60) -> None:
    """The template's crops, and one chunk of drawn rois whose mouths are those of the augmented copies."""
    with replacing(work / "template_crops.npy") as scratch:
        np.save(scratch, np.stack([crop(pose, np.zeros(7)) for pose in range(POSES)]))
    rng = np.random.default_rng(2)
    tracks = []
    for number in range(2):
        with np.load(work / "mels" / f"{number}.npz") as data:
            tracks.append(data["track"].astype(np.float32))
    meta = np.array([(copy := int(rng.integers(2)), rng.integers(len(tracks[copy])), rng.integers(POSES)) for _ in range(count)])
    mouth = np.stack([tracks[copy][frame] for copy, frame, _ in meta])
    images = np.stack([reference.roi(crop(int(pose), m)) for (_, _, pose), m in zip(meta, mouth)])
    with replacing(work / "frames" / "000.npy") as scratch:
        np.save(scratch, images)
    with replacing(work / "frames" / "000.npz") as scratch:
        np.savez(scratch, meta=meta, mouth=mouth)
