"""Converts the two face models of MediaPipe from TFLite to ONNX and proves that both say the same.

    python -m viseme_train.avatar.convert_models FOLDER      needs `pip install "viseme_train[face-models]"`

FOLDER has `face_detection_short_range.tflite` and `face_landmark.tflite` of the wheel mediapipe 0.10.21. The graphs are float and
small: five kinds of layers, read into torch and exported. OpenCV, which reads TFLite with code of its own, is the judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import tflite
import torch
from torch import nn
from torch.nn import functional as F

from viseme_train import checkpoint, onnx_file
from viseme_train.avatar.face import DETECTOR, LANDMARKS, MODELS

SOURCES = {"face_detection_short_range": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
           "face_landmark": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"}
#: Largest difference from OpenCV over random and plain pictures, in the units of the outputs: pixels of the crop, logits.
TOLERANCE = 2e-3
OPERATORS = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
TYPES = {0: "<f4", 1: "<f2", 2: "<i4"}


class Graph(nn.Module):
    """A float TFLite file of convolutions, PReLU, sums, pools and padding, as a torch module; pictures are (B, 3, H, W)."""

    def __init__(self, path: Path, outputs: Sequence[str]) -> None:
        super().__init__()
        model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        graph = model.Subgraphs(0)
        assert graph is not None
        self.input = int(graph.Inputs(0))
        self.size = int(graph.Tensors(self.input).Shape(1))
        names = {graph.Tensors(i).Name().decode(): i for i in range(graph.TensorsLength())}
        self.outputs = [names[n] for n in outputs]
        self.constants: dict[int, np.ndarray] = {}
        self.steps: list[tuple[str, list[int], int, dict[str, Any]]] = []
        for k in range(graph.OperatorsLength()):
            operator = graph.Operators(k)
            code = model.OperatorCodes(operator.OpcodeIndex())
            name = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs, output = [int(i) for i in operator.InputsAsNumpy()], int(operator.Outputs(0))
            for i in inputs:
                if i not in self.constants and (value := self._constant(model, graph, i)) is not None:
                    self.constants[i] = value
            if name == "DEQUANTIZE" and inputs[0] in self.constants:
                self.constants[output] = self.constants[inputs[0]].astype(np.float32)
            else:
                width = {"width": int(graph.Tensors(output).ShapeAsNumpy()[-1])}
                self.steps.append((name, inputs, output, self._options(name, operator) | width))
        for i, value in self.constants.items():
            self.register_buffer(f"c{i}", torch.from_numpy(value.copy()))

    @staticmethod
    def _constant(model: Any, graph: Any, index: int) -> np.ndarray | None:
        tensor = graph.Tensors(index)
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int) or data is None or len(data) == 0:
            return None
        return np.frombuffer(data.tobytes(), TYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    @staticmethod
    def _options(name: str, operator: Any) -> dict[str, Any]:
        kinds = {"CONV_2D": tflite.Conv2DOptions, "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions, "MAX_POOL_2D": tflite.Pool2DOptions, "ADD": tflite.AddOptions}
        if name not in kinds:
            return {}
        table, options = operator.BuiltinOptions(), kinds[name]()
        options.Init(table.Bytes, table.Pos)
        found = {"relu": options.FusedActivationFunction() == 1}
        if name != "ADD":
            found |= {"stride": (options.StrideH(), options.StrideW()), "same": options.Padding() == 0}
        if name == "MAX_POOL_2D":
            found["kernel"] = (options.FilterHeight(), options.FilterWidth())
        return found

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values = {self.input: picture}
        for name, inputs, output, options in self.steps:
            values[output] = self._apply(name, values, inputs, options)
        return tuple(values[i].flatten(1) if values[i].ndim == 4 else values[i] for i in self.outputs)

    def _apply(self, name: str, values: dict[int, torch.Tensor], inputs: list[int], options: dict[str, Any]) -> torch.Tensor:
        constant = lambda i: getattr(self, f"c{inputs[i]}")
        x = values[inputs[0]]
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            depthwise = name != "CONV_2D"
            weight = constant(1).permute(3, 0, 1, 2) if depthwise else constant(1).permute(0, 3, 1, 2)
            stride = options["stride"]
            if options["same"]:  # TensorFlow pads the end more than the beginning
                padding: list[int] = []
                for d in (1, 0):
                    missing = max((-(-x.shape[2 + d] // stride[d]) - 1) * stride[d] + weight.shape[2 + d] - x.shape[2 + d], 0)
                    padding += [missing // 2, missing - missing // 2]
                x = F.pad(x, padding)
            x = F.conv2d(x, weight, constant(2) if len(inputs) > 2 else None, stride, groups=weight.shape[0] if depthwise else 1)
        elif name == "PRELU":
            x = F.prelu(x, constant(1).flatten())
        elif name == "RELU":
            x = F.relu(x)
        elif name == "ADD":
            x = x + values[inputs[1]]
        elif name == "MAX_POOL_2D":
            x = F.max_pool2d(x, options["kernel"], options["stride"])
        elif name == "PAD":  # of (batch, row, column, channel)
            _, rows, columns, channels = self.constants[inputs[1]].tolist()
            x = F.pad(x, (*columns, *rows, *channels))
        elif name == "RESHAPE":
            x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, options["width"])
        elif name == "CONCATENATION":
            x = torch.cat([values[i] for i in inputs], 1)
        else:
            raise ValueError(f"a TFLite operator that these files do not have: {name}")
        return F.relu(x) if options.get("relu") else x


def pictures(size: int) -> list[np.ndarray]:
    """What the models are compared on: noise, a ramp, and smooth blobs, (1, 3, size, size), 0 … 1."""
    rng = np.random.default_rng(1)
    ramp = np.broadcast_to(np.linspace(0, 1, size), (3, size, size))
    blobs = [cv2.GaussianBlur(rng.random((size, size, 3)), (0, 0), s).transpose(2, 0, 1) for s in (3.0, 12.0)]
    scaled = [(b - b.min()) / (b.max() - b.min()) for b in blobs]
    return [x[None].astype(np.float32) for x in (rng.random((3, size, size)), ramp, *scaled)]


def convert(source: Path, target: Path, names: Sequence[str], outputs: Sequence[str]) -> float:
    """Writes one model and gives its largest difference from OpenCV's reading of the TFLite file."""
    if checkpoint.sha256(source) != SOURCES[source.stem]:
        raise ValueError(f"{source}: SHA-256 {checkpoint.sha256(source)}, expected {SOURCES[source.stem]}: another version of the model")
    graph = Graph(source, names).eval()
    examples = pictures(graph.size)
    onnx_file.write(graph, (torch.from_numpy(examples[0]),), ["picture"], list(outputs), target)
    model = onnx.load(target)
    entry = model.metadata_props.add()
    entry.key, entry.value = "viseme.source.sha256", SOURCES[source.stem]
    onnx.save(model, str(target))
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    judge = cv2.dnn.readNetFromTFLite(str(source), cv2.dnn.ENGINE_CLASSIC)
    worst = 0.0
    for x in examples:
        judge.setInput(x)
        for got, want in zip(session.run(list(outputs), {"picture": x}), judge.forward(list(names))):
            worst = max(worst, float(np.abs(got.ravel() - want.ravel()).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the two .tflite files are")
    a = parser.parse_args()
    for source, target, names, outputs in (
            ("face_detection_short_range", DETECTOR, ("regressors", "classificators"), ("boxes", "scores")),
            ("face_landmark", LANDMARKS, ("conv2d_21", "conv2d_31"), ("landmarks", "presence"))):
        # The package has links: the files themselves are the program's.
        with checkpoint.replacing((MODELS / target).resolve()) as scratch:
            worst = convert(a.folder / f"{source}.tflite", scratch, names, outputs)
            print(f"{target}: differs from OpenCV's reading of {source}.tflite by {worst:.1e}")
            if worst > TOLERANCE:
                raise SystemExit(f"{target} differs by more than {TOLERANCE}: nothing is written")


if __name__ == "__main__":
    main()
