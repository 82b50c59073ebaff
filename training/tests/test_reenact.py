"""What `pack` gives `viseme report`, and what it makes of the answer."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from viseme_train.avatar import material, reenact, scan, video
from viseme_train.avatar.settings import FitSettings
from viseme_train.avatar.video import ClipError

SETTINGS = FitSettings(held_out_seconds=(0.4, 12.0))


def program(folder: Path, script: str) -> str:
    path = folder / "viseme"
    path.write_text(f"#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --json) json=$2;; --range) range=$2;; --video) clip=$2;; esac; shift; done\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_film_has_every_frame_and_sample(data: Path, tmp_path: Path) -> None:
    folder = data / "clip-1"
    reenact.film(folder, tmp_path / "film.mkv")
    wanted = [image for _, image in scan.frames(folder)]
    seen = list(video.read(tmp_path / "film.mkv"))
    assert len(wanted) > 130, "more than one piece"
    assert len(seen) == len(wanted)
    assert all(np.array_equal(a, b) for a, b in zip(seen, wanted))
    with av.open(str(tmp_path / "film.mkv")) as film:
        times = [float(packet.pts * packet.time_base) for packet in film.demux(video=0) if packet.pts is not None]
    assert np.allclose(times, np.arange(len(times)) / video.FPS, atol=0.002)
    with av.open(str(tmp_path / "film.mkv")) as film:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in film.decode(audio=0)])
    with wave.open(str(folder / "sound.wav")) as file:
        assert np.array_equal(heard, np.frombuffer(file.readframes(file.getnframes()), "<i2"))


def test_asked_is_what_the_training_never_saw(data: Path) -> None:
    m = material.load(data)
    train, held = material.split(m, SETTINGS)
    stretch = reenact.held_out(data, SETTINGS)
    assert (stretch.folder, stretch.first, stretch.last) == (data / "clip-1", int(m.frame[held[0]]), int(m.frame[held[-1]]))
    assert m.frame[train].max() < stretch.first


def test_poor_figures_are_told_and_a_report_that_fails_is_an_error(data: Path, tmp_path: Path) -> None:
    say = 'echo "poor  r of the opening 0.12" >&2; echo "     lag 0" >&2; echo "$range" > "$json"; test -s "$clip"'
    assert reenact.report(program(tmp_path, f"{say} && exit 1"), tmp_path, data, tmp_path, SETTINGS) == "poor  r of the opening 0.12"
    stretch = reenact.held_out(data, SETTINGS)
    assert (tmp_path / "report.json").read_text().strip() == f"{stretch.first / 25}:{(stretch.last + 1) / 25}"
    assert reenact.report(program(tmp_path, f"{say} && exit 0"), tmp_path, data, tmp_path, SETTINGS) == ""
    with pytest.raises(ClipError, match="no such model"):
        reenact.report(program(tmp_path, "echo no such model >&2; exit 66"), tmp_path, data, tmp_path, SETTINGS)
    with pytest.raises(ClipError, match="trapped"):
        reenact.report(program(tmp_path, "echo trapped >&2; exit 1"), tmp_path, data, tmp_path, SETTINGS)
