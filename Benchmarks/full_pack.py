"""Makes a pack whose generator has the reference's full width: the default avatar's network, widened with seeded weights.

The trained channels stay what they are and read nothing else, so the picture is the default avatar's; the other channels are
seeded variations of them, and take the time and the numbers' ranges of trained ones (Net2Net, Chen et al. 2016). It goes
through a checkpoint in the reference's naming, OUT.pth, and `viseme convert`.
Usage: full_pack.py VISEME OUT.avatar [SOURCE.avatar]
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from viseme_train.synctalk2d import generator

ROOT = Path(__file__).resolve().parents[1]


def layers(network: torch.nn.Module) -> list[tuple[torch.nn.Conv2d, torch.nn.BatchNorm2d | None]]:
    """Convolutions in the order in which they run, each with the batch normalisation after it."""
    found = []

    def note(module, _, __):
        if isinstance(module, torch.nn.Conv2d):
            found.append([module, None])
        else:
            found[-1][1] = module

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d))]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 6, 320, 320), torch.zeros(1, 32, 16, 16))
    for hook in hooks:
        hook.remove()
    return found


def widen(source: Path) -> torch.nn.Module:
    """A full-width network that computes what the one in `source` computes."""
    graph = onnx.load(source).graph
    stored = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    network = generator.Generator(generator.FULL)
    convolutions = iter(layers(network))
    # Of each tensor: which channels of the wide one are the trained ones, and how many there are in all.
    live: dict[str, tuple[list[int], int]] = {}
    for tensor in graph.input:
        channels = tensor.type.tensor_type.shape.dim[1].dim_value
        live[tensor.name] = (list(range(channels)), channels)
    for node in graph.node:
        inputs = [live[name] for name in node.input if name in live]
        if node.op_type == "Conv":
            small, bias = stored[node.input[1]], stored[node.input[2]]
            convolution, norm = next(convolutions)
            wide = torch.zeros_like(convolution.weight)
            (columns, _), total = inputs[0], len(wide)
            if convolution.groups > 1:
                rows = columns
            else:
                rows = list(range(len(small)))
            assert wide.shape[2:] == small.shape[2:] and len(rows) == len(small), (node.name, wide.shape, small.shape)
            source_row = torch.arange(total) % len(small)
            shift = bias[source_row] * (0.7 + 0.6 * torch.rand(total))
            for row in range(total):
                kernel = small[source_row[row]] * (0.7 + 0.6 * torch.rand(1))
                if convolution.groups > 1:
                    wide[row] = kernel
                else:
                    wide[row] = small.std() * 0.02 * torch.randn_like(wide[row])
                    wide[row, columns] += kernel
            for index, row in enumerate(rows):
                wide[row] = 0
                wide[row, slice(None) if convolution.groups > 1 else columns] = small[index]
                shift[row] = bias[index]
            convolution.weight.data = wide
            if norm is None:
                convolution.bias.data = shift
            else:  # whatever it does, its scale is 1 and its shift is the bias
                norm.running_var.uniform_(0.5, 1.5)
                norm.running_mean.normal_(0, 0.1)
                norm.weight.data = (norm.running_var + norm.eps).sqrt()
                norm.bias.data = shift + norm.running_mean
            live[node.output[0]] = (rows, total)
        elif node.op_type == "Concat":
            channels, total = [], 0
            for one, count in inputs:
                channels += [total + channel for channel in one]
                total += count
            live[node.output[0]] = (channels, total)
        elif inputs:
            assert all(one == inputs[0] for one in inputs), node.name
            live[node.output[0]] = inputs[0]
    assert next(convolutions, None) is None
    return network


def main(viseme: str, pack: Path, source: Path) -> None:
    torch.manual_seed(3)
    manifest = json.loads((source / "avatar.json").read_text())
    model = next(model for model in manifest["models"] if model["role"] == "generator")
    network = widen(source / model["file"])
    shutil.rmtree(pack, ignore_errors=True)
    shutil.copytree(source, pack)
    checkpoint = pack.with_suffix(".pth")
    torch.save(network.state_dict(), checkpoint)
    command = [viseme, "convert", str(checkpoint), str(pack / model["file"]), "--force", "--json"]
    model["sha256"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["resultSHA256"]
    manifest["name"] = pack.stem
    # Rounded in another order, a few pixels differ by 0.01: the golden answer stays with the narrow network.
    manifest["golden"] = [golden for golden in manifest["golden"] if golden["role"] != "generator"]
    (pack / "avatar.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else ROOT / "Tests/Packs/synctalk2d.avatar")
