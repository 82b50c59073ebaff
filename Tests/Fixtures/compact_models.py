"""Makes model files of the compact family for the tests: two tiny networks with every operation of its layout, as ONNX and Core ML.

    python Tests/Fixtures/compact_models.py       needs Tests/Fixtures/requirements.txt and viseme_train

It writes compact-* into Tests/VisemeModelsTests/Golden: what torch.onnx and coremltools make of the networks, and what PyTorch answers. The
weights are seeded noise. The articulator does what the code of a person's pack does, too: bounds, quotients, stored vectors.
"""
from __future__ import annotations

import json
import warnings

import numpy as np
import torch
from model_files import GOLDEN, OPSET, write_package
from torch import nn
from torch.nn import functional as F

SEED = 20261201
WIDTH, HEIGHT = 192, 128


class Articulator(nn.Module):
    """(B, 32, 96) → (B, 42): dilated convolutions, mouth parameters within their ranges, probabilities."""

    LAYERS = ((3, 1), (3, 4))

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(96, 8, 1)
        self.convs = nn.ModuleList([nn.Conv1d(8, 8, k, dilation=d, bias=False) for k, d in self.LAYERS])
        self.norms = nn.ModuleList([nn.BatchNorm1d(8) for _ in self.LAYERS])
        self.last = nn.Conv1d(8, 8, 22)
        self.mouth, self.follow, self.phones = nn.Linear(8, 7), nn.Linear(9, 6), nn.Linear(14, 35)
        for name, value in (("lowest", -0.4), ("highest", 0.5), ("closed", 0.1)):
            self.register_buffer(name, torch.full((6,), value))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = self.first(rows.transpose(1, 2))
        for conv, norm, (k, d) in zip(self.convs, self.norms, self.LAYERS, strict=True):
            x = F.relu(norm(conv(x))) + x[..., (k - 1) * d:]
        heard = self.last(x)[..., 0]
        m = self.mouth(F.relu(heard))
        m = torch.cat([m[:, :1].clamp(0, 1), m[:, 1:2].clamp(-1, 1), m[:, 2:].clamp(0, 1)], 1)
        jaw, width, rounding, close, tuck, teeth, tongue = m.unbind(1)
        gap = jaw * (1 - close) * (1 - 0.75 * tuck)
        numbers = torch.stack([jaw * 3, width * 2.5, rounding * 3, close * 3, tuck * 3, teeth * 2.5, tongue * 2.5, gap * 6, (1 - gap * 6).clamp(min=0) * 1.5], 1)
        followed = torch.minimum(torch.maximum(self.follow(numbers), self.lowest), self.highest)
        touch = (1 - gap / 0.4).clamp(0, 1)[:, None]
        followed = followed + (self.closed - followed) * touch
        return torch.cat([m, F.softmax(self.phones(torch.cat([followed, heard], 1)), 1)], 1)


class Generator(nn.Module):
    """image (B, 6, H, W), audio (B, 32, 96) → (B, 3, H, W): what the sound changes before the template."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = Articulator()
        self.stem = nn.Sequential(nn.Conv2d(6, 4, 4, 4, bias=False), nn.BatchNorm2d(4))
        self.wide = nn.Sequential(nn.Conv2d(4, 4, 5, 1, 2, groups=4, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        self.down = nn.Conv2d(4, 8, 2, 2)
        self.film = nn.Linear(42, 16)
        self.place = nn.Parameter(torch.zeros(1, 8, HEIGHT // 8, WIDTH // 8))
        self.up = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.PixelShuffle(2))
        self.merge = nn.Conv2d(8, 4, 1)
        self.out = nn.Conv2d(4, 64, 3, 1, 1)
        self.register_buffer("planes", torch.eye(3, 6)[..., None, None])

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        template = F.conv2d(image, self.planes)
        skip = self.stem(image)
        skip = skip + self.wide(skip)
        gain, bias = self.film(self.listener(audio))[..., None, None].chunk(2, 1)
        x = (self.down(skip) + self.place) * (1 + gain) + bias
        x = self.merge(torch.cat([self.up(x), skip], 1))
        drawn = torch.sigmoid(F.pixel_shuffle(self.out(x), 4))
        return template + (drawn[:, :3] - template) * drawn[:, 3:]


def noise(module: nn.Module, rng: np.random.Generator) -> None:
    """Normal numbers of unit gain: no layer has PyTorch's first values."""
    for layer in module.modules():
        for name, p in layer.named_parameters(recurse=False):
            fan_in = p[0].numel() if name == "weight" and p.ndim > 1 else 16
            values = rng.standard_normal(tuple(p.shape)) / fan_in**0.5
            p.data = torch.tensor(1 + 0.2 * values if p.ndim == 1 and name == "weight" else values, dtype=torch.float32)


def formula(*shape: int, step: float) -> torch.Tensor:
    """sin(step · i), which a test makes anew."""
    return torch.from_numpy(np.sin(step * np.arange(np.prod(shape), dtype=np.float64)).astype(np.float32).reshape(shape))


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    articulator, generator = Articulator().eval(), Generator().eval()
    noise(articulator, rng)
    noise(generator, rng)
    audio, image = formula(1, 32, 96, step=0.37), 0.5 + 0.5 * formula(1, 6, HEIGHT, WIDTH, step=0.01)
    report = {"script": "Tests/Fixtures/compact_models.py", "seed": SEED}
    for name, network, inputs, names, output in (
        ("articulator", articulator, (audio,), ["audio"], "articulation"),
        ("generator", generator, (image, audio), ["image", "audio"], "output"),
    ):
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = network(*inputs).numpy().ravel()
            torch.onnx.export(network, inputs, str(GOLDEN / f"compact-{name}.onnx"), input_names=names, output_names=[output], opset_version=OPSET,
                              dynamo=False, dynamic_axes={n: {0: "B"} for n in [*names, output]})
            for half in (False, True):
                write_package(network, inputs, names, output, half, GOLDEN / f"compact-{name}-fp{16 if half else 32}.mlpackage")
        at = np.arange(0, answer.size, max(1, answer.size // 199))
        report[name] = {"index": at.tolist(), "value": [float(v) for v in answer[at]]}
        print(f"{name}: {answer.min():.3f} … {answer.max():.3f}, deviation {answer.std():.3f}")
    (GOLDEN / "compact.json").write_text(json.dumps(report, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
