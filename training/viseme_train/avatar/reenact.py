"""Lets `viseme report` compare the packed avatar with the person: on the end of the speech, which no training saw."""

from __future__ import annotations

import subprocess
import tempfile
import wave as wave_file
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from viseme_train.avatar import material, scan
from viseme_train.avatar.settings import FitSettings
from viseme_train.avatar.video import FPS, ClipError

#: Exit status of `viseme report --strict` when a figure is poor.
POOR = 1


@dataclass(frozen=True)
class Stretch:
    """Frames `first` … `last` of a prepared clip."""

    folder: Path
    first: int
    last: int


def held_out(data: Path, s: FitSettings) -> Stretch:
    """The held-out frames of the clip that has most of them."""
    _, folders = material.prepared(data)
    clips, numbers, speaking = [], [], []
    for k, folder in enumerate(folders):
        with np.load(folder / "frames.npz") as saved:
            good = np.flatnonzero(saved["marks"] == 0)
            numbers.append(good)
            speaking.append(saved["speaking"][good])
        clips.append(np.full(len(good), k))
    clip, number = np.concatenate(clips), np.concatenate(numbers)
    held = material.held_out(np.concatenate(speaking), s)
    most = int(np.bincount(clip[held]).argmax())
    frames = number[held[clip[held] == most]]
    return Stretch(folders[most], int(frames[0]), int(frames[-1]))


def film(folder: Path, out: Path) -> None:
    """A clip as it was prepared, with the sound that fits: its pieces in a row, nothing encoded again."""
    with wave_file.open(str(folder / "sound.wav")) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    with av.open(str(out), "w", format="matroska") as sink:
        sound = sink.add_stream("pcm_s16le", rate=rate, layout="mono")
        picture = None
        first = 0
        for piece in scan.pieces(folder):
            with av.open(str(piece.with_suffix(".mp4"))) as source:
                stream = source.streams.video[0]
                picture = picture or sink.add_stream_from_template(stream)
                step = round(1 / (FPS * stream.time_base))
                count = 0
                for packet in source.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + first * step, packet.dts + first * step
                    packet.stream = picture
                    sink.mux(packet)
                    count += 1
            first += count
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            sink.mux(packet)


def report(program: str, pack: Path, data: Path, run: Path, s: FitSettings) -> str:
    """Writes RUN/report.html and RUN/report.json; gives the figures that are poor, a line each, or nothing.

    Raises:
        ClipError: The report could not be made.
    """
    stretch = held_out(data, s)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / f"{stretch.folder.name}.mkv"
        film(stretch.folder, clip)
        command = [program, "report", "--avatar", str(pack), "--video", str(clip), "-o", str(run / "report.html"), "--json", str(run / "report.json"),
                   "--range", f"{stretch.first / FPS}:{(stretch.last + 1) / FPS}", "--strict", "--force"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    faults = [line for line in (made.stdout + made.stderr).splitlines() if line.startswith("poor")] if made.returncode == POOR else []
    # A program that fails without a word about a figure has not found them well.
    if (made.returncode != 0 and not faults) or not (run / "report.json").exists():
        raise ClipError(f"`viseme report` failed:\n{made.stdout}{made.stderr}")
    return "\n".join(faults)
