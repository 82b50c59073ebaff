"""Makes the model files of the tests: one narrow generator as PyTorch, ONNX and Core ML, and what it must compute.

    python Tests/Fixtures/model_files.py       needs Tests/Fixtures/requirements.txt and viseme_train

It writes Tests/VisemeModelsTests/Golden. The network has the real names, ranks, layers and input sizes, with channels
(2, 4, 8, 16, 32) instead of (32, 64, 128, 256, 512). Everything is seeded; running it again gives the same files.
"""
from __future__ import annotations

import copy
import json
import logging
import shutil
import uuid
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from viseme_train.synctalk2d import generator

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "VisemeModelsTests" / "Golden"
SEED = 20260316
CHANNELS = (2, 4, 8, 16, 32)
REINITIALISED = "audio_model.conv5"
OPSET = 17
IMAGE, AUDIO = (1, 6, 320, 320), (1, 32, 16, 16)
CONV_THEN_NORM = [("0", "1"), ("3", "4"), ("6", "7")]


def formula(shape) -> torch.Tensor:
    """x[i] = 0.5 + 0.5 sin(0.001 i²) over the flattened tensor, computed in Float64, rounded to Float32."""
    i = np.arange(np.prod(shape), dtype=np.float64)
    return torch.from_numpy((0.5 + 0.5 * np.sin(0.001 * i * i)).astype(np.float32).reshape(shape))


# --- networks ---------------------------------------------------------------------------------------------------------


def fresh() -> generator.Generator:
    """As torch initialises it, untouched."""
    torch.manual_seed(SEED)
    return generator.Generator(CHANNELS).eval()


def trained_like() -> generator.Generator:
    """Weights that are no longer uniform, and batch norms that have seen data: what a checkpoint looks like."""
    torch.manual_seed(SEED + 1)
    model = generator.Generator(CHANNELS)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.6, 1.4)
                module.bias.normal_(0, 0.2)
        model.outc.conv.weight.mul_(0.3)
        model.train()
        for _ in range(30):  # pictures with something in them: the norms of the deep layers must not see noise alone
            smooth = [nn.functional.interpolate(torch.rand(3, shape[1], 7, 7), shape[2:], mode="bilinear") for shape in (IMAGE, AUDIO)]
            image, audio = (torch.cat([0.6 * s + 0.4 * torch.rand_like(s), formula(shape)]) for s, shape in zip(smooth, (IMAGE, AUDIO), strict=True))
            model(image, audio)
    return model.eval()


def fold_pair(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias with the batch norm in them: every step rounded to Float32, in this order."""
    f = lambda t: t.detach().numpy().astype(np.float32)
    scale = f(norm.weight) / np.sqrt(f(norm.running_var) + np.float32(norm.eps))
    bias = f(conv.bias) if conv.bias is not None else np.zeros(conv.out_channels, np.float32)
    return f(conv.weight) * scale[:, None, None, None], scale * (bias - f(norm.running_mean)) + f(norm.bias)


def pairs(model: nn.Module):
    """Name of the convolution, convolution, and its batch norm or none, in the order of the modules."""
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d):
            head, _, last = name.rpartition(".")
            norm = head + "." + dict(CONV_THEN_NORM).get(last, "bn" + last[-1])
            yield name, module, modules.get(norm)


def folded(model: nn.Module) -> dict[str, np.ndarray]:
    """`<convolution>.weight` and `.bias` of the folded network."""
    weights = {}
    for name, conv, norm in pairs(model):
        weight, bias = fold_pair(conv, norm) if norm is not None else (conv.weight.detach().numpy(), conv.bias.detach().numpy())
        weights[name + ".weight"], weights[name + ".bias"] = weight, bias
    assert len(weights) == 2 * 93, len(weights)
    return weights


def with_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> nn.Module:
    """The network in which each convolution has these weights, and the batch norms are gone."""
    model = copy.deepcopy(model)
    for name, conv, norm in list(pairs(model)):
        conv.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weights[name + ".weight"], dtype=np.float32)))
        conv.bias = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weights[name + ".bias"], dtype=np.float32)))
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model.eval()


# --- ONNX -------------------------------------------------------------------------------------------------------------


class Graph:
    """Writes the folded generator node by node."""

    def __init__(self, weights):
        self.nodes, self.initializers, self.weights = [], [], weights

    def node(self, op, inputs, name, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, name, module: nn.Conv2d) -> str:
        names = [name + ".weight", name + ".bias"]
        self.initializers += [numpy_helper.from_array(np.ascontiguousarray(self.weights[n]), n) for n in names]
        return self.node("Conv", [x, *names], name + ".out", kernel_shape=list(module.kernel_size), strides=list(module.stride),
                         pads=list(module.padding) * 2, dilations=[1, 1], group=module.groups)

    def relu(self, x) -> str:
        return self.node("Relu", [x], x + ".relu")

    def residual_block(self, x, name, block: generator.InvertedResidual) -> str:
        y = self.relu(self.conv(x, name + ".conv.0", block.conv[0]))
        y = self.relu(self.conv(y, name + ".conv.3", block.conv[3]))
        y = self.conv(y, name + ".conv.6", block.conv[6])
        return self.node("Add", [x, y], name + ".add") if block.residual else y

    def double(self, x, name, block: generator.DoubleConv) -> str:
        for i in (0, 1):
            x = self.residual_block(x, f"{name}.double_conv.{i}", block.double_conv[i])
        return x


def write_onnx(model: generator.Generator, weights, path: Path) -> None:
    g = Graph(weights)
    a = model.audio_model
    code = g.residual_block(g.residual_block("audio", "audio_model.conv1", a.conv1), "audio_model.conv2", a.conv2)
    code = g.residual_block(g.relu(g.conv(code, "audio_model.conv3", a.conv3)), "audio_model.conv4", a.conv4)
    code = g.relu(g.conv(code, "audio_model.conv5", a.conv5))
    for n in ("conv6", "conv7"):
        code = g.residual_block(code, "audio_model." + n, getattr(a, n))
    xs = [g.residual_block("image", "inc.inconv.0", model.inc.inconv[0])]
    for i in range(1, 6):
        xs.append(g.double(xs[-1], f"down{i}.maxpool_conv.0", getattr(model, f"down{i}").maxpool_conv[0]))
    x = g.node("Concat", [xs[5], code], "fuse", axis=1)
    for i in (0, 1):
        x = g.double(x, f"fuse_conv.{i}", model.fuse_conv[i])
    g.initializers.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    for i in range(1, 6):
        x = g.node("Resize", [x, "", "scales"], f"up{i}.up", mode="linear", coordinate_transformation_mode="align_corners")
        x = g.node("Concat", [x, xs[5 - i]], f"up{i}.concat", axis=1)
        x = g.double(x, f"up{i}.conv", getattr(model, f"up{i}").conv)
    g.node("Sigmoid", [g.conv(x, "outc.conv", model.outc.conv)], "output")
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape[1:]])
    graph = helper.make_graph(g.nodes, "generator", [value("image", IMAGE), value("audio", AUDIO)], [value("output", (1, 3, 320, 320))], g.initializers)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="Tests/Fixtures/model_files.py")
    proto.ir_version = 8
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def export_onnx(model, inputs, path: Path) -> None:
    """As users have it: torch's own exporter, which folds the batch norms in its own way."""
    names = ["input", "audio"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, str(path), input_names=names, output_names=["output"], opset_version=OPSET,
                          dynamic_axes={n: {0: "batch"} for n in [*names, "output"]}, dynamo=False)


# --- Core ML ----------------------------------------------------------------------------------------------------------


def write_package(model, inputs, names: list[str], output: str, half: bool, path: Path) -> None:
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    import coremltools as ct

    traced = torch.jit.trace(model, inputs)
    precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
    package = ct.convert(traced, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS15, compute_precision=precision, skip_model_load=True,
                         inputs=[ct.TensorType(name, tuple(x.shape), np.float32) for name, x in zip(names, inputs, strict=True)],
                         outputs=[ct.TensorType(output, dtype=np.float32)])
    shutil.rmtree(path, ignore_errors=True)
    package.save(str(path))
    # What differs from run to run: the identifiers of the items, the date, the order of maps.
    manifest = json.loads((path / "Manifest.json").read_text())
    new = {old: str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"])).upper() for old, item in manifest["itemInfoEntries"].items()}
    manifest["itemInfoEntries"] = {new[old]: item for old, item in sorted(manifest["itemInfoEntries"].items(), key=lambda e: e[1]["path"])}
    manifest["rootModelIdentifier"] = new[manifest["rootModelIdentifier"]]
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4) + "\n")
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    model = ct.utils.load_spec(str(file))
    model.description.metadata.userDefined["com.github.apple.coremltools.conversion_date"] = "2026-01-01"
    file.write_bytes(model.SerializeToString(deterministic=True))
    for item in [path, *path.rglob("*")]:
        item.chmod(0o755 if item.is_dir() else 0o644)


def package_weights(path: Path) -> list[dict[str, np.ndarray]]:
    """Weight and bias of every `conv` of a package, in the order of its operations, read by Apple's own reader."""
    import coremltools as ct
    from coremltools.libmilstoragepython import _BlobStorageReader as Reader
    from coremltools.proto import MIL_pb2

    reader = Reader(str(path / "Data/com.apple.CoreML/weights/weight.bin"))
    function = ct.utils.load_spec(str(path)).mlProgram.functions["main"]
    constants = {}

    def array(value):
        tensor = value.type.tensorType
        half = tensor.dataType == MIL_pb2.FLOAT16
        if value.HasField("blobFileValue"):
            offset = value.blobFileValue.offset
            data = np.array(reader.read_fp16_data(offset), np.uint16).view(np.float16) if half else np.array(reader.read_float_data(offset), np.float32)
        elif half:
            data = np.frombuffer(value.immediateValue.tensor.bytes.values, np.float16)
        else:
            data = np.array(value.immediateValue.tensor.floats.values, np.float32)
        return data.reshape([d.constant.size for d in tensor.dimensions]).astype(np.float32)

    found = []
    for operation in function.block_specializations[function.opset].operations:
        if operation.type == "const":
            constants[operation.outputs[0].name] = operation.attributes["val"]
        if operation.type == "conv":
            names = {k: operation.inputs[k].arguments[0].name for k in ("weight", "bias")}
            found.append({k: array(constants[n]) for k, n in names.items()})
    return found


def in_execution_order(model, inputs) -> list[str]:
    names, hooks = [], []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda *_, name=name: names.append(name)))
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return names


# --- all of it --------------------------------------------------------------------------------------------------------


def probes(output: torch.Tensor) -> dict:
    flat = output.detach().numpy().reshape(-1)
    at = (np.arange(48, dtype=np.int64) * 6397 + 101) % flat.size
    return {"index": at.tolist(), "value": [float(v) for v in flat[at]],
            "minimum": float(flat.min()), "maximum": float(flat.max()), "mean": float(flat.mean(dtype=np.float64))}


def main() -> None:
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # plain kernels: the same values whatever the processor
    GOLDEN.mkdir(parents=True, exist_ok=True)
    inputs = (formula(IMAGE), formula(AUDIO))
    model = trained_like()
    partly = copy.deepcopy(model)
    torch.manual_seed(SEED + 2)
    partly.get_submodule(REINITIALISED).reset_parameters()
    for name, network in (("narrow", model), ("narrow-fresh", fresh()), ("narrow-partly", partly)):
        torch.save(network.state_dict(), GOLDEN / f"{name}.pth")

    weights = folded(model)
    write_onnx(model, weights, GOLDEN / "narrow.onnx")
    with torch.no_grad():
        export_onnx(model, inputs, GOLDEN / "narrow-torch.onnx")
        report = {"script": "Tests/Fixtures/model_files.py", "seed": SEED, "channels": list(CHANNELS), "reinitialised": REINITIALISED,
                  "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__, "onnx": onnx.__version__, "coremltools": "9.0"},
                  "input": "x[i] = 0.5 + 0.5 sin(0.001 i²) over the flattened tensor, Float64, rounded to Float32; both inputs, batch 1"}
        truth = model(*inputs)
        plain = with_weights(model, weights)
        report["fp32"] = probes(plain(*inputs))
        print(f"folded against unfolded: {(plain(*inputs) - truth).abs().max():.1e}; output {truth.min():.3f} … {truth.max():.3f}, std {truth.std():.3f}; "
              f"silence changes it by {(model(inputs[0], 0 * inputs[1]) - truth).abs().max():.3f}")
        order = in_execution_order(model, inputs)
        for half in (False, True):
            path = GOLDEN / f"narrow-fp{16 if half else 32}.mlpackage"
            write_package(model, inputs, ["image", "audio"], "output", half, path)
            found = package_weights(path)
            assert len(found) == len(order) == 93, (len(found), len(order))
            own = {f"{name}.{k}": v for name, pair in zip(order, found, strict=True) for k, v in pair.items()}
            expected = {k: v.astype(np.float16).astype(np.float32) if half else v for k, v in weights.items()}
            differing = [k for k in expected if not np.array_equal(own[k], expected[k])]
            worst = max((float(np.abs(own[k] - expected[k]).max()) for k in differing), default=0)
            print(f"{path.name}: {186 - len(differing)} of 186 tensors bit-equal to the folded weights; worst difference {worst:.1e} {differing[:5]}")
            if half:
                report["fp16"] = probes(with_weights(model, own)(*inputs))
                gap = (with_weights(model, own)(*inputs) - truth).abs().max()
                print(f"fp16 weights change the output by {gap:.1e}")
            elif differing:
                raise SystemExit("the Core ML package does not hold the folded weights")
    for name, first in (("narrow.onnx", "image"), ("narrow-torch.onnx", "input")):
        session = onnxruntime.InferenceSession(str(GOLDEN / name), providers=["CPUExecutionProvider"])
        out = session.run(None, {first: np.repeat(inputs[0].numpy(), 2, 0), "audio": np.repeat(inputs[1].numpy(), 2, 0)})[0]
        error = float(np.abs(out - truth.numpy()).max())
        print(f"{name}: {error:.1e} from PyTorch")
        assert error < 1e-3
    (GOLDEN / "narrow.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"{sum(p.stat().st_size for p in GOLDEN.rglob('*') if p.is_file()) / 1e6:.2f} MB in {GOLDEN.relative_to(TESTS.parent)}")


if __name__ == "__main__":
    main()
