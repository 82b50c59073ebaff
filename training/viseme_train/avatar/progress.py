"""Progress of a long command on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

LINE_SECONDS, BAR_SECONDS, BAR_WIDTH = 10.0, 0.2, 24


def length(seconds: float) -> str:
    """12 s, 3 min 20 s, 1 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Counts the work of one stage. What was done before it began, by a run that was stopped, does not count as speed."""

    def __init__(self, stage: str, total: float, done: float = 0, stream: TextIO | None = None, timed: bool = False) -> None:
        self.stage, self.total, self.first, self.done = stage, total, done, done
        #: The work is counted in seconds: what is left needs no estimate.
        self.timed = timed
        self.stream = stream or sys.stderr
        self.bar = self.stream.isatty()
        self.began = self.shown = time.monotonic()
        self.width = 0

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount
        if time.monotonic() - self.shown >= (BAR_SECONDS if self.bar else LINE_SECONDS):
            self._show(note)

    def finish(self, note: str = "") -> None:
        self.done = self.total
        self._show(note)
        if self.bar:
            self._write("\n")

    def _show(self, note: str) -> None:
        self.shown = time.monotonic()
        spent, share = self.shown - self.began, min(1.0, self.done / self.total) if self.total else 1.0
        fresh = self.done - self.first
        rate = 1.0 if self.timed else spent / fresh if fresh > 0 else 0.0
        left = f", {length(rate * (self.total - self.done))} left" if fresh > 0 and share < 1 else f", took {length(spent)}" if share == 1 else ""
        text = f"{share * 100:3.0f} %{left}{', ' + note if note else ''}"
        if self.bar:
            filled = round(share * BAR_WIDTH)
            line = f"{self.stage} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
            self._write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self._write(f"{self.stage}: {text.strip()}\n")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            pass  # a closed terminal ends no work
