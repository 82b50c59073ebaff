"""Recordings of people as training data: an index of files, and phones with times from a forced alignment.

`index.tsv` has the columns `file speaker language …`, `phones_pocketsphinx.tsv` has `file phone start end` (ARPAbet, seconds).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from viseme_train.phonemes import Phone, expand, from_arpabet

#: Seconds before the aligner's end of a plosive at which the lips part: it counts the burst to the phone.
BURST = {"P": 0.027, "B": 0.012}


@dataclass(frozen=True)
class Recording:
    """One utterance of a person; `aligned` are the aligner's own phones."""

    file: str
    speaker: str
    sex: str
    aligned: list[tuple[str, float, float]]

    def wave(self, folder: Path) -> np.ndarray:
        """Samples at 16 kHz."""
        wave, rate = soundfile.read(folder / self.file)
        if rate != 16000:
            raise ValueError(f"{self.file} has {rate} Hz, expected 16000")
        return wave

    @property
    def phones(self) -> list[Phone]:
        """Canonical timed phones."""
        out: list[Phone] = []
        for name, start, end in self.aligned:
            name = name.rstrip("012")
            end = max(start + 0.02, end - BURST[name]) if name in BURST else end
            out += expand(from_arpabet("sil" if name == "SIL" or name.startswith("+") else name), start, end)
        return out


def recordings(folder: Path, speakers_held_out: set[str], unused: tuple[str, ...], held_out: bool) -> list[Recording]:
    """The aligned recordings of the speakers that are held out, or of all others but the `unused` folders."""
    aligned: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    with open(folder / "phones_pocketsphinx.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            aligned[row["file"]].append((row["phone"], float(row["start"]), float(row["end"])))
    with open(folder / "index.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [Recording(r["file"], r["speaker"], r["sex"], aligned[r["file"]]) for r in rows
            if r["file"] in aligned and not r["file"].startswith(unused) and (r["speaker"] in speakers_held_out) == held_out]


def names(path: Path) -> set[str]:
    """The names in a file, one a line; `#` begins a comment."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}
