"""ONNX models of a pack, and what their golden tensors are made from."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

OPSET = 17
#: Largest difference between ONNX Runtime and PyTorch; `viseme doctor` allows as much.
ENCODER_TOLERANCE, GENERATOR_TOLERANCE = 1e-4, 1e-3


def write(model: nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], outputs: list[str], path: Path) -> None:
    """Exports a model in evaluation mode; the first dimension of everything is free."""
    axes = {n: {0: "B"} for n in [*names, *outputs]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, str(path), input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False)
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


def check(path: Path, inputs: dict[str, np.ndarray], output: np.ndarray, tolerance: float) -> None:
    """Compares ONNX Runtime with what PyTorch said, for one and for three at once; a model that differs is an error."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = max(float(np.abs(session.run(None, {k: np.concatenate([v] * n) for k, v in inputs.items()})[0] - np.concatenate([output] * n)).max())
                for n in (1, 3))
    print(f"{path.name}: ONNX Runtime differs from PyTorch by {worst:.1e}")
    if worst > tolerance:
        raise ValueError(f"{path.name} differs from PyTorch by {worst:.1e}, allowed are {tolerance}: the pack stays as it was")


def golden_audio() -> np.ndarray:
    """A second and a half of something speech-like, from a formula."""
    t = np.arange(24000) / 16000
    voice: np.ndarray = sum((np.sin(2 * np.pi * h * (120 + 20 * np.sin(2 * np.pi * 2 * t)) * t) / h for h in range(1, 24)), np.zeros(len(t)))
    return (voice * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * 0.08).astype(np.float32)


@contextmanager
def files_of(pack: Path) -> Iterator[Path]:
    """A folder for files that move into the pack when the block ends without an error."""
    pack.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".export.part-", dir=pack))
    try:
        yield scratch
        for file in scratch.iterdir():
            os.replace(file, pack / file.name)
    finally:
        shutil.rmtree(scratch)
