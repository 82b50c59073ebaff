"""The compact family at toy size: one arithmetic for whole speech and single windows, losses that fall, an export that agrees."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from viseme_train import checkpoint, config, onnx_file
from viseme_train.compact import export, front_end, run, shards, train_listener, train_painter
from viseme_train.compact.networks import AudioEncoder, Listener
from viseme_train.compact.settings import CompactConfig, ShardSettings

RECIPE = Path(__file__).parent.parent / "recipes" / "robin" / "robin.toml"


def speech(seconds: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16000)) / 16000
    return np.sin(2 * np.pi * 140 * t) * (np.sin(2 * np.pi * 3 * t) > 0) * 0.3 + rng.normal(0, 1e-3, len(t))


def settings(folder: Path, *changes: str) -> CompactConfig:
    shares = 'listener.shares=[["toy-0", 1.0]]'
    return config.read(CompactConfig, RECIPE, [f'work="{folder}"', f'pack="{folder / "pack"}"', f'checkpoints="{folder}"', shares, *changes])


def test_front_end() -> None:
    mel = front_end.mel(speech(1.0))
    assert mel.shape == (80, 101)
    assert np.abs(mel).max() <= 4
    assert (front_end.mel(np.zeros(4000)) == -4).all()
    assert front_end.windows(mel).shape == (25, 80, 8)
    rows = np.arange(20, dtype=np.float32)[:, None] + 1
    window = front_end.feature_window(rows, 3)[:, 0]
    assert (window[:24] == 0).all()
    assert list(window[[27, 31]]) == [4, 8]
    assert (front_end.feature_window(rows, 19)[28:] == 0).all()


def test_whole_speech_and_single_windows_agree() -> None:
    torch.manual_seed(1)
    encoder, listener = AudioEncoder().eval(), Listener().eval()
    mel = torch.randn(1, 80, 4 * 40 + 4)
    with torch.inference_mode():
        rows = encoder.sequence(mel)
        assert torch.allclose(rows[:, 7], encoder(mel[..., 28:36]), atol=1e-5)
        code = listener.sequence(rows)
        assert code.shape[2] == 40 - 31
        assert torch.allclose(listener.mouth(code)[..., 4], listener(rows[:, 4:36]), atol=1e-5)


def test_training_and_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of both trainings; what they learn is little, but it must be something, and the pack must say what PyTorch says."""
    toy = settings(tmp_path, "listener.batch=4", "listener.frames=32", "painter.batch=2", "painter.whole=[1.0, 1.0]", "listener.checkpoint_seconds=0",
                   "painter.checkpoint_seconds=0")
    phones = [(29 if k % 2 else 0, k / 6, (k + 1) / 6) for k in range(18)]
    clips = [shards.Clip(f"toy-{i}", partial(speech, 3.0, i), phones) for i in range(3)]
    shards.build(tmp_path / "shards" / "toy-0.npz", clips, 0, ShardSettings(seed=1, quiet_clips=1))

    data = train_listener.Pieces(tmp_path / "shards", toy.listener, np.random.default_rng(0))
    batch = data.batch(8)
    torch.manual_seed(0)
    fresh = train_listener.Ear()
    train_listener.train(toy, minutes=0.25)
    ear = train_listener.Ear()
    ear.load_state_dict(checkpoint.load(tmp_path / "listener.ckpt")["model"])
    with torch.inference_mode():
        losses = []
        for model in (fresh.eval(), ear.eval()):
            said, logits = model(batch[0], batch[1])
            losses.append(float(train_listener.loss(toy.listener, said, logits, batch[2], batch[3], batch[4])))
    before, after = losses
    assert after < 0.8 * before, (before, after)

    height, width = 128, 192
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(2)
    template = rng.integers(60, 200, (41, height, width, 3)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[16:112, 16:176] = 255
    mouth = rng.random((20, 7)).astype(np.float32)
    pose = rng.integers(0, 41, 20)
    drawn = template[pose].copy()
    drawn[:, 40:80, 60:120] = (mouth[:, 0] * 255).astype(np.uint8)[:, None, None, None]
    for name, value in (("template", template), ("mask", mask), ("000", drawn)):
        np.save(pictures / f"{name}.npy", value)
    np.savez(pictures / "000.npz", pose=pose, mouth=mouth)
    steps: list[float] = []
    original = train_painter.loss

    def noted(drawn: torch.Tensor, target: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value, error = original(drawn, target, image, mask)
        steps.append(float(value.detach()))
        return value, error

    monkeypatch.setattr(train_painter, "loss", noted)
    train_painter.train(toy, minutes=0.3)
    assert np.mean(steps[-3:]) < 0.8 * np.mean(steps[:3]), steps

    written = export.write(toy, template, mask)
    json.dumps(written)
    assert (toy.pack / "mask.pgm").read_bytes().startswith(b"P5\n192 128\n255\n")
    assert written["models"][1]["inputs"][0]["shape"] == ["B", 6, height, width]
    with pytest.raises(ValueError, match="differs"):
        onnx_file.check(toy.pack / "generator.onnx", {"image": np.zeros((1, 6, height, width), np.float32), "audio": np.zeros((1, 32, 96), np.float32)},
                               np.ones((1, 3, height, width), np.float32), 1e-3)


def test_time_asleep_is_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that was shut for an hour goes on where it was, by its clock as well."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    toy = settings(tmp_path)
    going = run.Run(toy, "toy", toy.painter, 10, torch.nn.Linear(1, 1))
    for wait, spent in ((30, 30), (3600, 30), (30, 60), (80, 140)):
        now[0] += wait
        going.tick()
        assert going.spent == pytest.approx(spent)
    assert not going.over


def test_a_training_begins_with_the_weights_of_another(tmp_path: Path) -> None:
    """Its figures name what came before, also after it was stopped and went on."""
    toy = settings(tmp_path)
    published = tmp_path / "earlier.pth"
    model = torch.nn.Linear(2, 1)
    checkpoint.save(checkpoint.plain_state(model), published)
    published.with_suffix(".json").write_text('{"steps": 7, "minutes": 1.5}')
    going = run.Run(toy, "toy", toy.painter, 10, torch.nn.Linear(2, 1), published)
    for weights in (going.model, going.average):
        assert torch.equal(weights.weight, model.weight)
    going.tick()
    going.learn(going.model(torch.ones(1, 2)).sum())
    going.over = True
    going.save_if_due()
    again = run.Run(toy, "toy", toy.painter, 10, torch.nn.Linear(2, 1), published)
    assert again.step == 1, "it goes on, and begins no second time"
    assert torch.equal(again.model.weight, going.model.weight)
    again.over = True
    again.save_if_due()
    said = json.loads((toy.checkpoints / "toy.json").read_text())
    assert said == {"steps": 1, "minutes": said["minutes"], "before": {"steps": 7, "minutes": 1.5}}
    with pytest.raises(RuntimeError, match="size mismatch"):
        run.Run(toy, "other", toy.painter, 10, torch.nn.Linear(3, 1), published)
