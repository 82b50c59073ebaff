"""Progress in a pipe, on a terminal, and for TensorBoard."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from viseme_train.avatar import events, progress
from viseme_train.avatar.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_plain_lines_in_a_pipe(clock: list[float]) -> None:
    out = io.StringIO()
    going = Progress("prepare", 100, done=20, stream=out)
    for _ in range(4):
        clock[0] += 6
        going.advance(10, "a.mp4")
    # A line every ten seconds at most. What an earlier run did is no speed.
    assert out.getvalue().splitlines() == ["prepare: 40 %, 36 s left, a.mp4", "prepare: 60 %, 24 s left, a.mp4"]
    going.finish()
    assert out.getvalue().endswith("prepare: 100 %, took 24 s\n")


def test_a_bar_on_a_terminal(clock: list[float]) -> None:
    out = Terminal()
    going = Progress("fit", 60, stream=out, timed=True)
    clock[0] += 500  # a laptop that slept
    going.advance(30)
    assert out.getvalue() == "\rfit [############............]  50 %, 30 s left"


def test_a_closed_terminal_ends_no_work(clock: list[float]) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    going = Progress("fit", 2, stream=Gone())
    clock[0] += 60
    going.advance()


def test_lengths() -> None:
    assert [progress.length(s) for s in (0.4, 59, 200, 3900)] == ["0 s", "59 s", "3 min 20 s", "1 h 05 min"]


def test_event_files_are_what_tensorboard_reads(tmp_path: Path) -> None:
    assert events.crc32c(b"123456789") == 0xE3069283
    file = events.Events(tmp_path)
    file.add(300, {"psnr": 25.5, "width r": -0.25})
    data, found = file.path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        assert data[8:12] == events._masked(data[:8])
        message = data[12:12 + length]
        assert data[12 + length:16 + length] == events._masked(message)
        found.append(message)
        data = data[16 + length:]
    assert len(found) == 2
    assert b"brain.Event:2" in found[0]
    assert found[1][9:12] == b"\x10\xac\x02"
    assert b"\x0a\x04psnr\x15" + struct.pack("<f", 25.5) in found[1]
    assert b"\x0a\x07width r\x15" + struct.pack("<f", -0.25) in found[1]
