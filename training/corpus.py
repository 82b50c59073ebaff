"""The corpus as training data: utterances with their mouth tracks, and feature rows of a waveform.

    from corpus import load, encode
    for u in load("train"): u.wave16k, u.mouth, u.phones, u.voice
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mouth as mouth_model
from phonemes import Phone
from speech import plan, work

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests" / "Fixtures"))
import reference  # noqa: E402  (the contract's front end: training and rendering share one definition)

SPLITS = ("train", "heldout_voice", "heldout_sentence")


@dataclass
class Utterance:
    """One synthetic utterance; `mouth` is [frames, 7] in the order of `mouth.MOUTH`, frames = ceil(samples / 640)."""

    id: str
    text: str
    engine: str
    voice: str
    language: str
    split: str
    unseen_text: bool
    wave16k: np.ndarray
    phones: list[Phone]
    mouth: np.ndarray


def load(split: str, limit: int | None = None) -> list[Utterance]:
    """All utterances of a split (`train`, `heldout_voice` or `heldout_sentence`), in the fixed order of the plan."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(SPLITS)}")
    out = []
    for job in plan():
        if job["split"] != split:
            continue
        path = work() / "corpus" / f"{job['id']}.npz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: run `python speech.py` first")
        with np.load(path) as data:
            wave = data["wave"].astype(np.float32) / 32768
            phones = [(int(i), float(s), float(e)) for i, s, e in data["phones"]]
        out.append(Utterance(job["id"], job["text"], job["engine"], job["voice"], job["language"], split, job["unseen_text"],
                             wave, phones, mouth_model.track(phones, len(wave))))
        if limit and len(out) >= limit:
            break
    return out


def encode(wave: np.ndarray, encoder, batch: int = 256) -> np.ndarray:
    """Waveform at 16 kHz → audio rows A [n + 2, 512] float32, by the contract's windows."""
    import torch

    windows = reference.windows(reference.mel(np.asarray(wave, np.float32)))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            piece = torch.from_numpy(np.ascontiguousarray(windows[start:start + batch]))
            rows.append(encoder(piece[:, None]).float().numpy())
    return reference.audio_rows(np.concatenate(rows))


if __name__ == "__main__":
    for name in SPLITS:
        items = load(name)
        seconds = sum(len(u.wave16k) for u in items) / 16000
        print(json.dumps({"split": name, "utterances": len(items), "minutes": round(seconds / 60, 1),
                          "voices": len({u.voice for u in items})}))
