"""What is to be rendered, and lists of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .store import is_address

SUFFIXES = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True)
class Job:
    """One speech, one avatar, one video.

    `audio` and `output` are paths that every worker sees, or addresses that fsspec knows; `avatar` is a pack that every worker has, by name or path; `crf` is x264's
    quality, 0 (lossless) … 51.
    """

    audio: str
    output: str
    avatar: str = "robin"
    crf: int = 18

    def __post_init__(self) -> None:
        for name in ("audio", "output", "avatar"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f"'{name}' is a text, not {value!r}")
        if not isinstance(self.crf, int) or isinstance(self.crf, bool) or not 0 <= self.crf <= 51:
            raise ValueError(f"'crf' is 0…51, not {self.crf!r}")
        if not self.output.endswith(SUFFIXES):
            raise ValueError(f"The output '{self.output}' must end in .mp4, .mov or .mkv")
        # Workers have other working folders.
        for name in ("audio", "output"):
            value = getattr(self, name)
            if not is_address(value):
                object.__setattr__(self, name, str(Path(value).absolute()))
        if "/" in self.avatar or (Path(self.avatar) / "avatar.json").is_file():
            object.__setattr__(self, "avatar", str(Path(self.avatar).absolute()))


def read_jobs(path: Path) -> list[Job]:
    """Reads a list of jobs: `.csv` with a header, or one JSON object a line. Names are those of `Job`.

    Raises:
        ValueError: With the line, for anything that is not a job, and for two jobs that write one file.
    """
    jobs: list[Job] = []
    outputs: dict[str, int] = {}
    known = {field.name for field in fields(Job)}
    for line, row in _rows(path):
        where = f"'{path}', line {line}"
        if not isinstance(row, dict):
            raise ValueError(f"{where} is not a JSON object")
        if unknown := sorted(str(name) for name in set(row) - known):
            raise ValueError(f"{where} has {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        if missing := sorted({"audio", "output"} - set(row)):
            raise ValueError(f"{where} has no {' and no '.join(missing)}")
        try:
            job = Job(**row)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if job.output in outputs:
            raise ValueError(f"{where} writes '{job.output}', as line {outputs[job.output]} does")
        outputs[job.output] = line
        jobs.append(job)
    if not jobs:
        raise ValueError(f"'{path}' has no jobs")
    return jobs


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        if path.suffix == ".csv":
            reader = csv.DictReader(file)
            for row in reader:
                # What a row leaves empty is the usual.
                filled: dict[str, Any] = {name or "more columns than names": value for name, value in row.items() if value not in (None, "")}
                if str(filled.get("crf", "")).isdigit():
                    filled["crf"] = int(filled["crf"])
                yield reader.line_num, filled
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(f"'{path}', line {number} is not JSON: {error}") from None
