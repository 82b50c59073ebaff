"""A corpus as training data: utterances with their phones and mouth tracks, and feature rows of a waveform.

A recipe writes `<work>/corpus.json`, a list of objects with `id text engine voice natural language split unseen_text`, and for each
`<work>/corpus/<id>.npz` with `wave` (int16, 16 kHz) and `phones` ([n, 3]: canonical index, start, end in seconds).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from viseme_train import mouth as mouth_model
from viseme_train import reference
from viseme_train.phonemes import Phone

SPLITS = ("train", "heldout_voice", "heldout_sentence")


@dataclass(frozen=True)
class Utterance:
    """One utterance; `mouth` is [frames, 7] in the order of `mouth.MOUTH`, frames = ceil(samples / 640)."""

    id: str
    text: str
    engine: str
    voice: str
    #: The voice sounds like a person.
    natural: bool
    language: str
    split: str
    unseen_text: bool
    wave16k: np.ndarray
    phones: list[Phone]
    mouth: np.ndarray


def load(work: Path, split: str, limit: int | None = None) -> list[Utterance]:
    """All utterances of a split (`train`, `heldout_voice` or `heldout_sentence`), in the order of the corpus."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(SPLITS)}")
    plan = work / "corpus.json"
    if not plan.exists():
        raise FileNotFoundError(f"{plan} is missing: make the corpus first")
    out: list[Utterance] = []
    for job in json.loads(plan.read_text(encoding="utf-8")):
        if job["split"] != split:
            continue
        path = work / "corpus" / f"{job['id']}.npz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: make the corpus first")
        with np.load(path) as data:
            wave = data["wave"].astype(np.float32) / 32768
            phones = [(int(i), float(s), float(e)) for i, s, e in data["phones"]]
        out.append(Utterance(job["id"], job["text"], job["engine"], job["voice"], job["natural"], job["language"], split, job["unseen_text"],
                             wave, phones, mouth_model.track(phones, len(wave))))
        if limit and len(out) >= limit:
            break
    return out


def encode(wave: np.ndarray, encoder: Callable[[torch.Tensor], torch.Tensor], batch: int = 256) -> np.ndarray:
    """Waveform at 16 kHz → audio rows A [n + 2, 512] float32, by the contract's windows."""
    windows = reference.windows(reference.mel(np.asarray(wave, np.float32)))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            piece = torch.from_numpy(np.ascontiguousarray(windows[start:start + batch]))
            rows.append(encoder(piece[:, None]).float().numpy())
    return reference.audio_rows(np.concatenate(rows))
