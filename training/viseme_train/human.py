"""Recordings of people as training data: an index of files, and phones with times from a forced alignment.

`index.tsv` has the columns `file speaker language …`; what `viseme_train.align` writes has `file phone start end` (ARPAbet in capitals or
IPA, seconds).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from viseme_train.phonemes import Phone, expand, from_arpabet, from_ipa

#: Seconds before the aligner's end of a plosive at which the lips part: it counts the burst to the phone.
BURST = {"P": 0.027, "B": 0.012}


@dataclass(frozen=True)
class Recording:
    """One utterance of a person; `aligned` are the aligner's own phones."""

    file: str
    speaker: str
    sex: str
    language: str
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
            sound = name.rstrip("012").upper()
            end = max(start + 0.02, end - BURST[sound]) if sound in BURST else end
            out += expand(canonical(name), start, end)
        return out


def canonical(name: str) -> list[str]:
    """The canonical phones of an aligned one."""
    if name == "SIL" or name.startswith("+"):
        return ["sil"]
    return from_arpabet(name) if name.isascii() and name.isupper() else from_ipa(name)


def recordings(folder: Path, table: Path, chosen: Callable[[dict[str, str]], bool]) -> list[Recording]:
    """The aligned recordings whose row in the index is `chosen`."""
    aligned: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    with open(table, encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            aligned[row["file"]].append((row["phone"], float(row["start"]), float(row["end"])))
    with open(folder / "index.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Recording(r["file"], r["speaker"], r["sex"], r["language"], aligned[r["file"]]) for r in rows if r["file"] in aligned and chosen(r)]


def names(path: Path) -> set[str]:
    """The names in a file, one a line; `#` begins a comment."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}
