"""Runs one of the two networks in PyTorch, operation by operation, from its ONNX file.

Batch normalisation is folded in the file already, so this is somewhat faster than the network as it was trained.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional


class TorchModel:
    def __init__(self, path: Path, threads: int):
        if threads:
            torch.set_num_threads(threads)
        graph = onnx.load(path).graph
        self.weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
        self.inputs = [i.name for i in graph.input if i.name not in self.weights]
        self.output = graph.output[0].name
        self.nodes = [(n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
                      for n in graph.node]

    @torch.inference_mode()
    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        values = dict(self.weights) | {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in inputs.items()}
        for kind, names, output, options in self.nodes:
            x = values.get(names[0]) if names else None
            if kind == "Conv":
                bias = values[names[2]] if len(names) > 2 else None
                y = functional.conv2d(x, values[names[1]], bias, options["strides"], options["pads"][:2], 1, options["group"])
            elif kind == "Relu":
                y = functional.relu(x)
            elif kind == "Sigmoid":
                y = torch.sigmoid(x)
            elif kind == "Add":
                y = x + values[names[1]]
            elif kind == "Concat":
                y = torch.cat([values[name] for name in names], 1)
            elif kind == "Resize":
                y = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            elif kind in ("Reshape", "Flatten"):
                y = x.reshape(len(x), *values[names[1]].tolist()[1:]) if kind == "Reshape" else x.flatten(1)
            elif kind == "Constant":
                y = torch.from_numpy(numpy_helper.to_array(options["value"]).copy())
            else:
                raise SystemExit(f"{kind} is no operation of these networks")
            values[output] = y
        return values[self.output].numpy()
