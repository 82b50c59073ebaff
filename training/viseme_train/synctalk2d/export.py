"""Writes the networks into an avatar pack: ONNX models with folded batch norm, golden tensors from PyTorch, their part of the manifest."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from viseme_train import checkpoint, reference
from viseme_train.checkpoint import sha256
from viseme_train.config import Config
from viseme_train.synctalk2d import audio_encoder, generator

OPSET = 17
#: Largest difference between ONNX Runtime and PyTorch; `viseme doctor` allows as much.
ENCODER_TOLERANCE, GENERATOR_TOLERANCE = 1e-4, 1e-3


def newest_generator(folder: Path) -> Path:
    paths = checkpoint.numbered(folder)
    if not paths:
        raise FileNotFoundError(f"no <steps>.pth in {folder}: train the generator first")
    return paths[-1]


def load_generator(path: Path) -> generator.Generator:
    return generator.of_state(checkpoint.load(path)).eval()


def fold(model: nn.Module) -> nn.Module:
    """A copy in which every convolution followed by a batch norm has swallowed it."""
    model = copy.deepcopy(model).eval()
    merge = torch.nn.utils.fusion.fuse_conv_bn_eval
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i], module[i + 1] = merge(module[i], module[i + 1]), nn.Identity()
        if isinstance(module, generator.AudioBranch):
            for n in ("3", "5"):
                setattr(module, "conv" + n, merge(getattr(module, "conv" + n), getattr(module, "bn" + n)))
                setattr(module, "bn" + n, nn.Identity())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    return model


def to_onnx(model: nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], output: str, path: Path) -> None:
    """Exports the folded model; the first dimension of everything is free."""
    axes = {n: {0: "B"} for n in [*names, output]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(fold(model), inputs, str(path), input_names=names, output_names=[output], dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    written = onnx.load(path)
    onnx.checker.check_model(written)
    entry = written.metadata_props.add()
    entry.key, entry.value = "viseme.tensors.sha256", tensor_digest(written)
    onnx.save(written, str(path))


def tensor_digest(model: onnx.ModelProto) -> str:
    """SHA-256 over the convolutions' weights, whatever their names and order: `viseme doctor` computes the same."""
    used = {name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]}
    lines = [f"{list(t.dims)} {hashlib.sha256(onnx.numpy_helper.to_array(t).astype('<f4').tobytes()).hexdigest()}\n"
             for t in model.graph.initializer if t.name in used]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def golden_audio() -> np.ndarray:
    """A second and a half of something speech-like, from a formula."""
    t = np.arange(24000) / 16000
    voice: np.ndarray = sum((np.sin(2 * np.pi * h * (120 + 20 * np.sin(2 * np.pi * 2 * t)) * t) / h for h in range(1, 24)), np.zeros(len(t)))
    return (voice * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * 0.08).astype(np.float32)


def difference(path: Path, inputs: dict[str, np.ndarray], output: np.ndarray) -> float:
    """Largest difference between what ONNX Runtime and what PyTorch says, for one and for three at once."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return max(float(np.abs(session.run(None, {k: np.concatenate([v] * n) for k, v in inputs.items()})[0] - np.concatenate([output] * n)).max())
               for n in (1, 3))


def write(settings: Config, crops: np.ndarray) -> dict[str, Any]:
    """Writes both models and their golden tensors into the pack, all or nothing; gives `models`, `golden` and so on of its manifest.

    `crops` are those of the decoded template, [poses, 328, 328, 3]. A model that differs from PyTorch is an error.
    """
    pack, chosen = settings.pack, settings.export
    generator_path = newest_generator(settings.checkpoints)
    encoder, model = audio_encoder.load(settings.encoder_checkpoint), load_generator(generator_path)
    speech = golden_audio()
    windows = reference.windows(reference.mel(speech))
    mel = np.ascontiguousarray(windows[list(chosen.windows)][:, None])
    roi = np.ascontiguousarray(reference.roi(crops[chosen.template_frame]))
    with torch.inference_mode():
        rows = encoder(torch.from_numpy(np.ascontiguousarray(windows))[:, None]).numpy()
        features = encoder(torch.from_numpy(mel)).numpy()
        audio = reference.feature_window(reference.audio_rows(rows), chosen.frame)[None]
        image = reference.generator_input(roi)[None]
        output = model(torch.from_numpy(image), torch.from_numpy(audio)).numpy()
    golden = {"speech.bin": (speech, "<f4"), "encoder.input.bin": (mel, "<f4"), "encoder.output.bin": (features, "<f4"), "generator.roi.u8": (roi, "u1"),
              "generator.audio.bin": (audio, "<f4"), "generator.output.bin": (output, "<f4")}
    pack.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".export.part-", dir=pack))
    try:
        to_onnx(encoder, (torch.from_numpy(mel),), ["mel"], "features", scratch / "audio_encoder.onnx")
        to_onnx(model, (torch.from_numpy(image), torch.from_numpy(audio)), ["image", "audio"], "output", scratch / "generator.onnx")
        of_encoder = difference(scratch / "audio_encoder.onnx", {"mel": mel}, features)
        of_generator = difference(scratch / "generator.onnx", {"image": image, "audio": audio}, output)
        print(f"ONNX against PyTorch: encoder {of_encoder:.1e}, generator {of_generator:.1e}")
        if of_encoder > ENCODER_TOLERANCE or of_generator > GENERATOR_TOLERANCE:
            raise ValueError("the export differs from PyTorch: not written")
        for name, (array, kind) in golden.items():
            np.ascontiguousarray(array).astype(kind).tofile(scratch / f"golden.{name}")
        for file in scratch.iterdir():
            os.replace(file, pack / file.name)
    finally:
        shutil.rmtree(scratch)
    return {
        "models": [
            {"role": "audio-encoder", "file": "audio_encoder.onnx", "sha256": sha256(pack / "audio_encoder.onnx"),
             "inputs": [{"name": "mel", "shape": ["B", 1, 80, 16]}], "outputs": [{"name": "features", "shape": ["B", 512]}]},
            {"role": "generator", "file": "generator.onnx", "sha256": sha256(pack / "generator.onnx"),
             "inputs": [{"name": "image", "shape": ["B", 6, 320, 320]}, {"name": "audio", "shape": ["B", 32, 16, 16]}],
             "outputs": [{"name": "output", "shape": ["B", 3, 320, 320]}]}],
        "provenance": {"checkpoints": {p.name: sha256(p) for p in (settings.encoder_checkpoint, generator_path)},
                       "converter": f"viseme_train, torch {torch.__version__.split('+')[0]}", "generatorChannels": list(model.channels)},
        "golden": [{"role": "audio-encoder", "inputs": ["golden.encoder.input.bin"], "output": "golden.encoder.output.bin", "tolerance": ENCODER_TOLERANCE},
                   {"role": "generator", "inputs": ["golden.generator.roi.u8", "golden.generator.audio.bin"], "output": "golden.generator.output.bin",
                    "tolerance": GENERATOR_TOLERANCE}],
        "goldenSpeech": {"samples": "golden.speech.bin", "windows": "golden.encoder.input.bin", "windowIndices": list(chosen.windows),
                         "frame": chosen.frame, "featureWindow": "golden.generator.audio.bin", "templateFrame": chosen.template_frame,
                         "roi": "golden.generator.roi.u8"},
    }
