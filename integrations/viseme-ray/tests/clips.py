"""What the tests share: speech, the program with a list of its calls, and what a video holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("VISEME_BINARY") or shutil.which("viseme") or ROOT / ".build/release/viseme").absolute()
AVATARS = ROOT / "avatars"
SPEECH = ROOT / "samples/ferry.wav"


def ffmpeg(*arguments: str | Path) -> str:
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def frames(video: Path) -> list[str]:
    """The digest of every decoded frame."""
    lines = ffmpeg("-i", video, "-map", "0:v", "-f", "framemd5", "-").splitlines()
    return [line.rsplit(",", 1)[1].strip() for line in lines if line and not line.startswith("#")]


def times(video: Path) -> list[float]:
    """When every frame is shown, in seconds."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", str(video)]
    return sorted(float(line.strip(",")) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def sound(video: Path) -> str:
    """The digest of the sound's packets."""
    return ffmpeg("-i", video, "-map", "0:a", "-c", "copy", "-f", "md5", "-")


class BatchTestCase(unittest.TestCase):
    """Has one render to compare with, without loss: x264's rate control begins anew in each segment, so that only then are decoded frames the drawn ones."""

    seconds = 15.0
    folder: Path
    speech: Path
    whole: Path
    program: Path
    calls: Path

    @classmethod
    def setUpClass(cls) -> None:
        os.environ["VISEME_AVATARS"] = str(AVATARS)
        kept = tempfile.TemporaryDirectory(prefix="viseme-ray-test-")
        cls.addClassCleanup(kept.cleanup)
        cls.folder = Path(kept.name)
        cls.speech = cls.folder / "speech.wav"
        ffmpeg("-stream_loop", "-1", "-i", SPEECH, "-t", str(cls.seconds), "-c:a", "pcm_s16le", cls.speech)
        cls.whole = cls.folder / "whole.mp4"
        subprocess.run([BINARY, "render", "--audio", cls.speech, "--crf", "0", "-o", cls.whole], check=True, capture_output=True)
        cls.calls = cls.folder / "calls"
        cls.program = cls.folder / "viseme"
        cls.program.write_text(f'#!/bin/bash\necho "$$ $*" >>"{cls.calls}"\nexec "{BINARY}" "$@"\n')
        cls.program.chmod(0o755)

    def setUp(self) -> None:
        self.calls.write_text("")
        self.place = Path(tempfile.mkdtemp(dir=self.folder))

    def count(self, what: str) -> int:
        """How often the program was asked to render a segment, or to join."""
        return sum(what in line.split()[1:2] and "beyond.mp4" not in line for line in self.calls.read_text().splitlines())

    def assert_same(self, video: Path) -> None:
        """The frames of one render, at their times, and its sound."""
        self.assertEqual(frames(video), frames(self.whole))
        self.assertEqual(times(video), times(self.whole))
        self.assertEqual(sound(video), sound(self.whole))

    def assert_clean(self, folder: Path) -> None:
        """Nothing that was on its way is left."""
        self.assertEqual([path for path in folder.rglob("*") if "partial" in path.name], [])

    def command(self, *arguments: str | Path) -> list[str]:
        options = ["--viseme", str(self.program), "--workers", "2", "--seconds", "4", "--crf", "0", "--work", str(self.place / "work")]
        return [sys.executable, "-m", "viseme_ray", *options, *map(str, arguments)]

    def batch(self, *arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
        """Runs the command: its status, what it says of each job, its words."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr
