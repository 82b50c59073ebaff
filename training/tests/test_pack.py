"""`viseme-train pack`: robin's own painter as if it had been trained on her clip."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import clips
from clips import Speech
from viseme_train import checkpoint, cli
from viseme_train.avatar import fit, hearing, judge, lips, material, pack, video
from viseme_train.avatar.lips import PersonCode
from viseme_train.compact.train_painter import Hand

TERMS = ["--licence", "CC0-1.0", "--person", "Robin", "--use", "tests", "--until", "2030-01-01"]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    m = material.load(data)
    everything = np.arange(len(m))
    numbers = lips.filmed(m, everything)
    hand = Hand(PersonCode(), m.size)
    fit.start_from(hand, checkpoint.load(fit.BASE), m, everything, numbers)
    lips.learn_to_follow(hand.code, m, everything, numbers, apart=12)
    checkpoint.save(checkpoint.plain_state(hand), folder / "best.pth")
    shutil.copyfile(hearing.LISTENER, folder / "listener.pth")
    np.savez(folder / "mask.npz", mask=m.mask)
    (folder / "painter.json").write_text('{"steps": 1, "minutes": 0.1}', encoding="utf-8")
    return folder


def doctor(folder: Path, status: int) -> str:
    """A stand-in for `viseme` that says what it is told to say."""
    path = folder / "viseme"
    path.write_text(f'#!/bin/sh\necho "doctor looks at $2"\nexit {status}\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_pack_is_whole(data: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "robin2.avatar"
    assert cli.main(["pack", str(data), str(run), str(out), *TERMS, "--viseme", doctor(tmp_path, 0)]) == 0
    manifest = json.loads((out / "avatar.json").read_text(encoding="utf-8"))
    assert manifest["name"] == "robin2"
    assert "Robin agreed" in manifest["consent"]
    assert "2030-01-01" in manifest["consent"]
    squares = json.loads((out / "crops.json").read_text(encoding="utf-8"))["squares"]
    frames = list(video.read(out / manifest["template"]))
    assert len(frames) == len(squares) == manifest["frames"] >= pack.SHORTEST
    width, height = manifest["geometry"]["crop"]
    assert all(0 <= x1 and x2 - x1 == width and x2 <= manifest["width"] and y2 - y1 == height for x1, y1, x2, y2 in squares)
    for model in manifest["models"]:
        assert checkpoint.sha256(out / model["file"]) == model["sha256"]
    assert [p.name for p in tmp_path.glob("*.avatar")] == ["robin2.avatar"]


def test_the_template_is_of_good_frames(data: Path) -> None:
    loop = pack.find_loop(data)
    with np.load(loop.folder / "frames.npz") as frames:
        assert (frames["marks"][loop.first:loop.first + loop.count] == 0).all()
        assert loop.count == max(n for _, n in judge.runs(frames["marks"] == 0))


def test_what_doctor_refuses_gets_no_name(data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bad.avatar"
    assert cli.main(["pack", str(data), str(run), str(out), *TERMS, "--viseme", doctor(tmp_path, 65)]) == cli.BAD_DATA
    assert "refused the pack" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.avatar"))
    assert (run / "refused.avatar" / "avatar.json").exists()
    out.mkdir()
    assert cli.main(["pack", str(data), str(run), str(out), *TERMS, "--viseme", doctor(tmp_path, 0)]) == cli.BAD_DATA
    assert "--force" in capsys.readouterr().err
    assert not list(out.iterdir())


def test_what_is_missing_is_told_before_any_work(spoiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    out = str(tmp_path / "me.avatar")
    for extra, words in (([], "--viseme"), (["--viseme", doctor(tmp_path, 0), "--device", "tpu"], "tpu")):
        assert cli.main(["avatar", str(spoiled), out, *TERMS, *extra]) == cli.BAD_DATA
        assert words in capsys.readouterr().err
        assert not (tmp_path / "me.work").exists()


@pytest.mark.slow
def test_one_command_does_it_all(robin: Speech, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "robin.mp4", *robin)
    out = tmp_path / "robin3.avatar"
    command = ["avatar", str(clip), str(out), *TERMS, "--device", "cpu", "--minutes", "0.2", "--viseme"]
    assert cli.main([*command, doctor(tmp_path, 65)]) == cli.BAD_DATA
    assert not out.exists()
    # Everything but the pack is there already.
    scanned = (tmp_path / "robin3.work" / "data" / "clip-1" / "000.npz").stat().st_mtime_ns
    assert cli.main([*command, doctor(tmp_path, 0)]) == 0
    assert (tmp_path / "robin3.work" / "data" / "clip-1" / "000.npz").stat().st_mtime_ns == scanned
    assert json.loads((out / "avatar.json").read_text(encoding="utf-8"))["provenance"]["figures"]["psnr"] > 10
