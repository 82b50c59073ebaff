"""Figures of the listener on voices that training never had: python recipes/robin/measure_listener.py [--json FILE]

No picture is drawn: the opening is the one that the parameters ask for (`opening`). Synthetic voices have a true mouth. People have none; asked is
what the phones say: lips touch at /p b m/ (within a frame of the phone), open vowels are open in their middle, the mouth is shut in pauses. The
same questions to another utterance's mouth (wrong sound) show what a mouth that hears nothing would score.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shards
from viseme_train import checkpoint, config, corpus, metrics
from viseme_train import mouth as mouth_model
from viseme_train.compact import export
from viseme_train.compact.networks import limited
from viseme_train.compact.settings import CompactConfig
from viseme_train.compact.train_listener import Ear, opening
from viseme_train.human import Recording
from viseme_train.phonemes import BILABIALS, CANONICAL, INDEX

#: A mouth that opens less than this share of the 95th percentile is shut.
SHUT = 0.12
#: Drawn pixels of opening under which a synthetic voice's mouth is closed.
CLOSED = 2.0
OPEN_VOWELS = frozenset(INDEX[name] for name in ("aa", "ae", "ah", "ao", "eh", "ey", "oo", "ih", "er"))


def mouth(ear: Ear, wave: np.ndarray) -> np.ndarray:
    """What the pack's networks say of every frame, [frames, 7]."""
    return limited(ear.hear(wave)[2]).numpy()


def gap(track: np.ndarray) -> np.ndarray:
    """Opening of mouth parameters [frames, 7] in pixels, none of them negative."""
    return np.maximum(0, opening(torch.from_numpy(track)).numpy())


def asked(recording: Recording, gaps: np.ndarray, limit: float) -> tuple[list[bool], list[bool], list[bool]]:
    """Whether the mouth is shut: at each of /p b m/, in the middle of each open vowel, in each frame of a pause."""
    closed: list[bool] = []
    vowels: list[bool] = []
    pauses: list[bool] = []
    previous = -1
    for index, start, end in recording.phones:
        first, last = int(start * 25), int(np.ceil(end * 25))
        if last + 1 >= len(gaps):
            break
        if index in BILABIALS:
            closed.append(bool(gaps[max(0, first - 1):last + 2].min() < limit))
        elif index in OPEN_VOWELS and end - start > 0.08 and index != previous:
            vowels.append(bool(gaps[int((start + end) / 2 * 25)] < limit))
        elif CANONICAL[index] == "sil" and end - start > 0.4:
            pauses += [bool(shut) for shut in gaps[int((start + 0.2) * 25):int((end - 0.2) * 25)] < limit]
        previous = index
    return closed, vowels, pauses


def summary(found: list[Recording], gaps: list[np.ndarray], settings: CompactConfig) -> dict[str, Any]:
    """Shares of each speaker, of all, of a language that was never heard, and of the wrong sound, of openings in pixels."""
    limit = SHUT * float(np.percentile(np.concatenate(gaps), 95))
    answers: dict[str, list[tuple[list[bool], ...]]] = defaultdict(list)
    for i, (r, g) in enumerate(zip(found, gaps)):
        answers[f"{r.language} {r.speaker} {r.sex}"].append(asked(r, g, limit))
        if r.language not in settings.unheard:
            answers["all"].append(asked(r, g, limit))
            answers["wrong sound"].append(asked(r, np.resize(gaps[(i + 1) % len(found)], len(g)), limit))
    out = {}
    for name in sorted(answers, key=lambda name: (name in ("all", "wrong sound"), name)):
        parts = [sum((a[k] for a in answers[name]), []) for k in range(3)]
        out[name] = {key: {"share": round(float(np.mean(p)), 3) if p else 0.0, "of": len(p)} for key, p in zip(("closed", "vowels shut", "pauses closed"), parts)}
    return out


def show(shares: dict[str, Any]) -> None:
    """One line a speaker."""
    for name, values in shares.items():
        print(f"{name:24s}" + "  ".join(f"{key} {100 * s['share']:5.1f} % of {s['of']:4d}" for key, s in values.items()), flush=True)


def people(settings: CompactConfig) -> dict[str, Any]:
    """`summary` of every recording that was held out, as the shipped networks hear them."""
    ear, _ = export.load(settings)
    found = shards.people(settings, held_out=True)
    return summary(found, [gap(mouth(ear, r.wave(settings.speech))) for r in found], settings)


def voices(ear: Ear, settings: CompactConfig) -> dict[str, Any]:
    """Correlations with the true mouth in speech frames (opening: also in whole clips), closures and pauses of synthetic voices."""
    held, unseen = (corpus.load(settings.work, name) for name in ("heldout_voice", "heldout_sentence"))
    groups = {"rms": [u for u in held if u.voice == "rms" and u.unseen_text], "ked and f4": [u for u in held if u.voice != "rms"][::2],
              "natural, unseen sentences": [u for u in unseen if u.natural][::2]}
    out: dict[str, Any] = {}
    for name, items in groups.items():
        said, true, speech = [], [], []
        closed = count = shut = still = 0
        for u in items:
            lead = 4800
            wave = np.concatenate([np.zeros(lead), u.wave16k * (0.5 / np.abs(u.wave16k).max()), np.zeros(lead)])
            phones = [(i, s + lead / 16000, e + lead / 16000) for i, s, e in u.phones]
            track, heard = mouth_model.track(phones, len(wave)), mouth(ear, wave)
            g = gap(heard)
            rest = np.abs(track).sum(1) < 0.02
            shut, still = shut + int((g[rest] < CLOSED).sum()), still + int(rest.sum())
            for index, s, e in phones:
                if index in BILABIALS:
                    k = int((s + e) / 2 * 25)
                    closed, count = closed + bool(g[max(0, k - 1):k + 2].min() < CLOSED), count + 1
            said.append(heard)
            true.append(track)
            speech.append(mouth_model.classes(phones, len(wave)) != 0)
        a, b, s = np.concatenate(said), np.concatenate(true), np.concatenate(speech)
        ga, gb = gap(a), gap(b)
        out[name] = {"opening": round(metrics.correlation(ga, gb), 3), "opening in speech": round(metrics.correlation(ga[s], gb[s]), 3),
                     **{label: round(metrics.correlation(a[s, i], b[s, i]), 3) for i, label in enumerate(mouth_model.MOUTH)},
                     "opening ratio": round(float(ga[s].mean() / gb[s].mean()), 3), "closed": round(closed / max(1, count), 3), "of": count,
                     "pauses closed": round(shut / max(1, still), 3)}
    return out


def main() -> None:
    parser = config.parser(__doc__, Path(__file__).with_name("robin.toml"))
    parser.add_argument("--json", type=Path, help="where the figures are written")
    a = parser.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    torch.set_num_threads(1)
    ear, _ = export.load(settings)
    found = {"voices": voices(ear, settings), "people": people(settings)}
    for name, figures in found["voices"].items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    show(found["people"])
    if a.json:
        checkpoint.save_text(json.dumps(found, indent=1) + "\n", a.json)


if __name__ == "__main__":
    main()
