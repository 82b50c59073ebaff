"""Writes the networks into an avatar pack: ONNX models with folded batch norm, golden tensors from PyTorch, their part of the manifest."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from viseme_train import checkpoint, onnx_file, reference
from viseme_train.checkpoint import sha256
from viseme_train.config import Config
from viseme_train.onnx_file import ENCODER_TOLERANCE, GENERATOR_TOLERANCE
from viseme_train.synctalk2d import audio_encoder, generator


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


def write(settings: Config, crops: np.ndarray) -> dict[str, Any]:
    """Writes both models and their golden tensors into the pack, all or nothing; gives `models`, `golden` and so on of its manifest.

    `crops` are those of the decoded template, [poses, 328, 328, 3]. A model that differs from PyTorch is an error.
    """
    pack, chosen = settings.pack, settings.export
    generator_path = newest_generator(settings.checkpoints)
    encoder, model = audio_encoder.load(settings.encoder_checkpoint), load_generator(generator_path)
    speech = onnx_file.golden_audio()
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
    with onnx_file.files_of(pack) as scratch:
        onnx_file.write(fold(encoder), (torch.from_numpy(mel),), ["mel"], ["features"], scratch / "audio_encoder.onnx")
        onnx_file.write(fold(model), (torch.from_numpy(image), torch.from_numpy(audio)), ["image", "audio"], ["output"], scratch / "generator.onnx")
        onnx_file.check(scratch / "audio_encoder.onnx", {"mel": mel}, features, ENCODER_TOLERANCE)
        onnx_file.check(scratch / "generator.onnx", {"image": image, "audio": audio}, output, GENERATOR_TOLERANCE)
        for name, (array, kind) in golden.items():
            np.ascontiguousarray(array).astype(kind).tofile(scratch / f"golden.{name}")
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
