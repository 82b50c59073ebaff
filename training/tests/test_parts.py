"""The small parts that all trainings share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import toy
from viseme_train import checkpoint, config, metrics, mouth, reference
from viseme_train.device import choose, spawn
from viseme_train.phonemes import INDEX
from viseme_train.schedule import Budget, learning_rate
from viseme_train.synctalk2d.losses import picture_loss


def test_settings_name_what_is_wrong(tmp_path: Path) -> None:
    text = toy.RECIPE.read_text(encoding="utf-8")
    for change, word in (("encoder.speed=1", "speed"), ("generator.channels=8", "channels"), ("encoder.batch=1.5", "batch")):
        with pytest.raises(ValueError, match=word):
            config.load(toy.RECIPE, [change])
    short = tmp_path / "short.toml"
    short.write_text(text.replace("copies = 3\n", ""), encoding="utf-8")
    with pytest.raises(ValueError, match=r"augment: copies missing"):
        config.load(short)


def test_the_work_folder_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISEME_TRAINING_WORK", raising=False)
    assert config.load(toy.RECIPE).work == toy.TRAINING / "work"
    monkeypatch.setenv("VISEME_TRAINING_WORK", str(tmp_path))
    assert config.load(toy.RECIPE).work == tmp_path


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save({"x": torch.ones(2)}, path)

    def fail() -> None:
        with checkpoint.replacing(path) as scratch:
            scratch.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert torch.equal(checkpoint.load(path)["x"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_a_numbered_checkpoint_replaces_the_others(tmp_path: Path) -> None:
    (tmp_path / "audio_visual_encoder.pth").write_bytes(b"")
    for steps in (9, 10, 11):
        checkpoint.save_numbered({"x": torch.ones(1)}, tmp_path, steps)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["11.pth", "audio_visual_encoder.pth"]


def test_the_rate_warms_up_and_decays() -> None:
    rates = [learning_rate(p, 1.0) for p in (0.0, 0.02, 0.04, 0.5, 1.0, 1.5)]
    assert rates[0] < rates[1] < rates[2] == pytest.approx(1.0)
    assert rates[2] > rates[3] > rates[4] == rates[5] == pytest.approx(0.01)
    assert Budget(2).progress(7, 60) == 0.5
    assert Budget(2, steps=10).progress(7, 60) == 0.7
    assert Budget(0).progress(0, 0) == Budget(1, steps=0).progress(0, 0) == 1


def test_a_device_that_is_missing_is_an_error() -> None:
    assert choose("cpu").type == "cpu"
    for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            with pytest.raises(RuntimeError, match=name):
                choose(name)
    with pytest.raises(ValueError, match="tpu"):
        choose("tpu")
    with pytest.raises(ValueError, match="2 workers"):
        spawn(print, 2, "cuda")


def test_the_front_end_has_parameters() -> None:
    wave = np.random.default_rng(0).standard_normal(16000) * 0.1
    assert reference.mel(wave).shape == (80, 81)
    other = reference.MelSettings(bands=40, low=0, high=8000)
    assert reference.mel(wave, other).shape == (40, 81)
    assert (reference.mel(np.zeros(16000)) == -4).all()


def test_lips_meet_on_bilabials() -> None:
    phones = [(INDEX["aa"], 0.0, 0.3), (INDEX["p"], 0.3, 0.42), (INDEX["aa"], 0.42, 0.8)]
    track = mouth.track(phones, 12800)
    aperture = mouth.aperture(track)
    assert aperture[8:10].min() == 0
    assert aperture[3] > 0.5
    speech = mouth.classes(phones, 12800) != 0
    assert list(metrics.closures(aperture, aperture, speech, phones, 0.1, 0.15))[:3] == [1, 1, 0]
    assert list(metrics.closures(aperture * 0 + 0.5, aperture, speech, phones, 0.1, 0.15))[:3] == [0, 1, 0]


def test_the_loss_is_zero_on_the_target_and_heavier_at_the_mouth() -> None:
    closed = torch.full((1, 3, 64, 64), 0.5)
    target = closed.clone()
    target[..., 24:40, 24:40] = 0.1
    focus = torch.zeros(1, 1, 64, 64)
    assert picture_loss(target, target, closed, focus) == 0
    at_mouth, elsewhere = target.clone(), target.clone()
    at_mouth[..., 30:34, 30:34] += 0.01
    elsewhere[..., 4:8, 4:8] += 0.01
    assert picture_loss(at_mouth, target, closed, focus) > 3 * picture_loss(elsewhere, target, closed, focus)
