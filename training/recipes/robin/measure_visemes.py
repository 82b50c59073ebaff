"""The fifteen Oculus visemes against the phones that are spoken, on voices that training never had: python recipes/robin/measure_visemes.py

Every frame of the held-out synthetic voices is one answer: the viseme of which `viseme visemes` says there is most, against that of the phone in the
middle of the frame. Prints precision, recall and F1 of each viseme, and the confusion table (rows: spoken, columns: told) in per cent of the row.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from viseme_train import config, corpus
from viseme_train import mouth as mouth_model
from viseme_train.compact import export, front_end
from viseme_train.compact.networks import Articulator
from viseme_train.compact.settings import CompactConfig
from viseme_train.compact.train_listener import Ear
from viseme_train.phonemes import CANONICAL
from viseme_train.reference import frame_count

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
#: As `OculusViseme` has them.
PHONES = {"sil": "sil", "PP": "p b m", "FF": "f v", "TH": "th", "DD": "t d", "kk": "k ng h", "CH": "sh", "SS": "s", "nn": "n l", "RR": "r rr er",
          "aa": "ae ah ax aa", "E": "ey eh", "I": "iy ih y", "O": "ao oo oe", "U": "uh uw ue w"}
OF_PHONE = np.array([next(i for i, v in enumerate(VISEMES) if phone in PHONES[v].split()) for phone in CANONICAL])
CLOSE, TUCK = mouth_model.MOUTH.index("close"), mouth_model.MOUTH.index("tuck")


@torch.inference_mode()
def told(ear: Ear, articulator: Articulator, wave: np.ndarray) -> np.ndarray:
    """The viseme of every frame."""
    rows = ear.encoder(torch.from_numpy(front_end.windows(front_end.mel(wave)))).numpy()
    windows = np.stack([front_end.feature_window(rows, k) for k in range(frame_count(len(wave)))])
    values = articulator(torch.from_numpy(windows)).numpy()
    weights = np.stack([values[:, 7:][:, OF_PHONE == i].sum(1) for i in range(len(VISEMES))], 1)
    speech = 1 - weights[:, 0]
    for viseme, parameter in (("PP", CLOSE), ("FF", TUCK)):
        column = VISEMES.index(viseme)
        wanted = values[:, parameter] * speech
        raised = wanted > weights[:, column]
        rest = np.where(raised, (1 - wanted) / np.maximum(1e-9, 1 - weights[:, column]), 1)
        weights *= rest[:, None]
        weights[raised, column] = wanted[raised]
    return weights.argmax(1)


def main() -> None:
    parser = config.parser(__doc__, Path(__file__).with_name("robin.toml"))
    parser.add_argument("--json", type=Path)
    a = parser.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    torch.set_num_threads(1)
    ear, _ = export.load(settings)
    articulator = ear.articulator()
    table = np.zeros((len(VISEMES), len(VISEMES)), int)
    for u in corpus.load(settings.work, "heldout_voice"):
        if u.voice == "rms" and not u.unseen_text:
            continue
        wave = np.concatenate([np.zeros(4800), u.wave16k * (0.5 / np.abs(u.wave16k).max()), np.zeros(4800)])
        phones = [(i, s + 0.3, e + 0.3) for i, s, e in u.phones]
        np.add.at(table, (OF_PHONE[mouth_model.classes(phones, len(wave))], told(ear, articulator, wave)), 1)
    recall, precision = (np.diag(table) / np.maximum(1, table.sum(axis)) for axis in (1, 0))
    f1 = 2 * recall * precision / np.maximum(1e-9, recall + precision)
    for name, p, r, f, n in zip(VISEMES, precision, recall, f1, table.sum(1)):
        print(f"{name:4s} precision {p:.3f} recall {r:.3f} F1 {f:.3f} of {n}")
    print(f"macro-F1 {f1.mean():.3f}, {100 * np.trace(table) / table.sum():.1f} % of {table.sum()} frames")
    print("     " + " ".join(f"{v:>4s}" for v in VISEMES))
    for name, row in zip(VISEMES, table):
        print(f"{name:4s} " + " ".join(f"{100 * x / max(1, row.sum()):4.0f}" for x in row))
    if a.json:
        a.json.write_text(json.dumps({"visemes": VISEMES, "frames": table.tolist()}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
