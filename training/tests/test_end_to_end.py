"""From sounds to a pack at toy size: losses fall, every phase resumes, ONNX says what PyTorch says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import toy
from viseme_train import augment, checkpoint, config
from viseme_train.config import Config
from viseme_train.schedule import Budget
from viseme_train.synctalk2d import audio_encoder, export, readout, train_encoder, train_generator


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VISEME_TRAINING_WORK", raising=False)
        made = toy.settings(tmp_path_factory.mktemp("toy"))
    toy.make_corpus(made.work)
    augment.build_all(made.work, made.augment, jobs=1)
    toy.make_pictures(made.work)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine several wait for each other most of the time
    yield made
    torch.set_num_threads(threads)


def falls(losses: list[float], to: float) -> bool:
    """The mean of the last quarter is below a share of that of the first."""
    quarter = max(1, len(losses) // 4)
    first, last = np.mean(losses[:quarter]), np.mean(losses[-quarter:])
    print(f"loss {first:.4f} → {last:.4f} in {len(losses)} steps")
    return bool(last < to * first)


def phase(settings: Config, name: str, steps: int) -> list[float]:
    run = train_generator.Run(name, Budget(1, steps))
    return train_generator.train(0, 1, settings, run)


# The tests of this file follow one another, as the steps of a recipe do.


def test_the_encoder_learns_and_resumes(settings: Config) -> None:
    half = train_encoder.train(0, 1, settings, train_encoder.Run(Budget(1, 24)))
    state = checkpoint.load(train_encoder.resume_path(settings))
    rest = train_encoder.train(0, 1, settings, train_encoder.Run(Budget(1, 48)))
    assert (len(half), state["step"], len(rest)) == (24, 24, 24)
    assert falls(half + rest, to=0.8)
    again = train_encoder.train(0, 1, settings, train_encoder.Run(Budget(1, 48)))
    assert again == []
    head = readout.Readout()
    assert readout.fit_head(audio_encoder.load(settings.encoder_checkpoint), head, settings, torch.device("cpu")) > 0


def test_the_picture_phase_learns_and_resumes(settings: Config) -> None:
    losses = phase(settings, "picture", 20)
    assert [p.name for p in checkpoint.numbered(settings.checkpoints)] == ["20.pth"]
    rest = phase(settings, "picture", 50)
    assert len(rest) == 30
    assert falls(losses + rest, to=0.85)
    assert [p.name for p in checkpoint.numbered(settings.checkpoints)] == ["50.pth"]


def test_the_audio_phase_learns(settings: Config) -> None:
    assert falls(phase(settings, "audio", 40), to=0.9)
    assert checkpoint.load(train_generator.resume_path(settings))["done"].keys() == {"picture", "audio"}


def test_the_joint_phase_resumes_with_its_head_and_optimiser(settings: Config) -> None:
    first = phase(settings, "joint", 8)
    path = train_generator.resume_path(settings)
    before = checkpoint.load(path)
    parameters = len(list(export.load_generator(export.newest_generator(settings.checkpoints)).parameters()))
    assert before["head"]["weight"].shape == (9, 64)
    assert len(before["optimizer"]["state"]) == parameters + 2
    rest = phase(settings, "joint", 24)
    assert len(rest) == 16
    assert falls(first + rest, to=0.95)
    after = checkpoint.load(path)
    assert after["optimizer"]["state"][parameters]["step"] == 24
    assert not torch.equal(after["head"]["weight"], before["head"]["weight"])
    checkpoint.save({**after, "head": None}, path)
    with pytest.raises(ValueError, match="no head"):
        phase(settings, "joint", 25)


def test_the_pack_says_what_pytorch_says(settings: Config) -> None:
    crops = np.load(settings.work / "template_crops.npy")
    manifest = export.write(settings, crops)
    assert not list(settings.pack.glob(".*"))
    for model in manifest["models"]:
        assert checkpoint.sha256(settings.pack / model["file"]) == model["sha256"]
    inputs = {"mel": torch.randn(5, 1, 80, 16)}
    compare(settings.pack / "audio_encoder.onnx", audio_encoder.load(settings.encoder_checkpoint), inputs, 1e-4)
    generator = export.load_generator(export.newest_generator(settings.checkpoints))
    compare(settings.pack / "generator.onnx", generator, {"image": torch.rand(2, 6, 320, 320), "audio": torch.rand(2, 32, 16, 16)}, 1e-3)


def compare(path: Path, model: torch.nn.Module, inputs: dict[str, torch.Tensor], tolerance: float) -> None:
    with torch.inference_mode():
        want = model(*inputs.values()).numpy()
    (got,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {k: v.numpy() for k, v in inputs.items()})
    np.testing.assert_allclose(got, want, atol=tolerance, rtol=0)


def test_the_shipped_checkpoints_load_strictly() -> None:
    robin = config.load(toy.RECIPE)
    assert len(audio_encoder.load(robin.encoder_checkpoint).state_dict()) == 91
    assert export.load_generator(export.newest_generator(robin.checkpoints)).channels == robin.generator.channels
