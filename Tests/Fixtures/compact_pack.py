"""Makes the tiny pack of the compact family: networks of its layout with a few channels, six small pictures, a mask.

    python Tests/Fixtures/compact_pack.py

It writes Tests/VisemeCLITests/Golden/compact.avatar, and beside it the same networks with PyTorch's first values. Seeded and offline; the weights are noise whose size keeps signals alive,
none are PyTorch's first values. Nobody is shown. Needs torch, onnx, NumPy and OpenCV.
"""

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED = 20261125
PACK = Path(__file__).resolve().parent.parent / "VisemeCLITests" / "Golden" / "compact.avatar"
WIDTH, HEIGHT = 192, 128  # of the crops
CHANNELS, CODE, LISTENER = (4, 4, 8, 8), 8, 8


class AudioEncoder(nn.Module):
    """(B, 80, 8) -> (B, 96)."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(80, width, 3), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 2, 2), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 3), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, 96, 1),
        )

    def forward(self, mel):
        return self.layers((mel + 4) * 0.25).flatten(1)


class Listener(nn.Module):
    """(B, 32, 96) -> (B, code): dilated convolutions without padding."""

    LAYERS = [(3, 1), (3, 1), (3, 2), (3, 4), (3, 4)]

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(96, LISTENER, 1)
        self.convs = nn.ModuleList([nn.Conv1d(LISTENER, LISTENER, k, dilation=d) for k, d in self.LAYERS])
        self.last = nn.Conv1d(LISTENER, CODE, 8)
        self.code = nn.Sequential(nn.Linear(CODE, CODE), nn.ReLU())

    def forward(self, rows):
        x = self.first(rows.transpose(1, 2))
        for conv, (k, d) in zip(self.convs, self.LAYERS):
            x = F.relu(conv(x)) + x[..., (k - 1) * d :]
        return self.code(self.last(x)[..., 0].clamp(-2, 2))


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 5, 1, 2, groups=channels, bias=False), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.BatchNorm2d(2 * channels), nn.ReLU(),
            nn.Conv2d(2 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class Generator(nn.Module):
    """image (B, 6, H, W), audio (B, 32, 96) -> (B, 3, H, W)."""

    def __init__(self):
        super().__init__()
        c = CHANNELS
        self.listener = Listener()
        self.stem = nn.Sequential(nn.Conv2d(6, c[0], 4, 4, bias=False), nn.BatchNorm2d(c[0]))
        self.encoder = nn.ModuleList([Block(k) for k in c])
        self.down = nn.ModuleList([nn.Conv2d(c[i], c[i + 1], 2, 2) for i in range(3)])
        self.film = nn.ModuleList([nn.Linear(CODE, 2 * k) for k in reversed(c)])
        self.up = nn.ModuleList([nn.Sequential(nn.Conv2d(c[i + 1], 4 * c[i], 1), nn.PixelShuffle(2)) for i in (2, 1, 0)])
        self.merge = nn.ModuleList([nn.Conv2d(2 * c[i], c[i], 1) for i in (2, 1, 0)])
        self.decoder = nn.ModuleList([Block(c[i]) for i in (2, 1, 0)])
        self.out = nn.Conv2d(c[0], 48, 3, 1, 1)

    def forward(self, image, audio):
        code = self.listener(audio)
        x, skips = self.stem(image), []
        for i in range(4):
            x = self.encoder[i](x)
            if i < 3:
                skips.append(x)
                x = self.down[i](x)

        def film(level, x):
            gain, bias = self.film[level](code)[..., None, None].chunk(2, 1)
            return x * (1 + gain) + bias

        x = film(0, x)
        for j in range(3):
            x = self.merge[j](torch.cat([self.up[j](x), skips[2 - j]], 1))
            x = self.decoder[j](film(j + 1, x))
        return torch.sigmoid(F.pixel_shuffle(self.out(x), 4))


def weights(module: nn.Module, rng: np.random.Generator):
    """Normal numbers of unit gain: no layer has PyTorch's first values."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            fan_in = layer.weight[0].numel()
            layer.weight.data = torch.tensor(rng.standard_normal(tuple(layer.weight.shape)) / fan_in**0.5, dtype=torch.float32)
            if layer.bias is not None:
                layer.bias.data = torch.tensor(0.1 * rng.standard_normal(tuple(layer.bias.shape)), dtype=torch.float32)
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            shape = tuple(layer.weight.shape)
            layer.weight.data = torch.tensor(1 + 0.2 * rng.random(shape), dtype=torch.float32)
            layer.bias.data = torch.tensor(0.1 * rng.standard_normal(shape), dtype=torch.float32)
            layer.running_var.data = torch.tensor(0.8 + 0.4 * rng.random(shape), dtype=torch.float32)


def export(name: str, network: nn.Module, inputs: tuple, names: list, outputs: list) -> Path:
    path = PACK.parent / f"{name}.onnx"
    batched = {n: {0: "batch"} for n in names + outputs} if len(inputs) == 1 else None
    torch.onnx.export(network, inputs, str(path), input_names=names, output_names=outputs, opset_version=17, dynamo=False, dynamic_axes=batched)
    return path


def presenter(index: int) -> tuple[np.ndarray, list[int]]:
    """A head that nods in front of a gradient, 224x160, and its crop."""
    y, x = np.mgrid[0:160, 0:224].astype(np.float32)
    frame = np.stack([90 + 0.3 * x, 110 + 0.2 * y, 120 + 0.1 * (x + y)], axis=2).clip(0, 255).astype(np.uint8)
    shift = (0, 1, 2, 2, 1, 0)[index]
    cv2.ellipse(frame, (112, 76 + shift), (50, 66), 0, 0, 360, (150, 180, 220), -1, cv2.LINE_AA)
    cv2.ellipse(frame, (112, 108 + shift), (20, 4), 0, 0, 360, (90, 80, 190), -1, cv2.LINE_AA)
    left, top = 15 + index % 2, 25 + shift
    return cv2.GaussianBlur(frame, (0, 0), 1.0), [left, top, left + WIDTH, top + HEIGHT]


def mask() -> np.ndarray:
    """An ellipse around the mouth with a feather of about eight pixels."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    distance = (1 - np.hypot((x - 96) / 40, (y - 84) / 26)) * 26
    return np.clip(np.round(distance / 8 * 255), 0, 255).astype(np.uint8)


def ramp(count: int, step: float) -> np.ndarray:
    """Numbers that a test makes anew: sin(step * i)."""
    return np.sin(step * np.arange(count, dtype=np.float64)).astype("<f4")


def main():
    shutil.rmtree(PACK, ignore_errors=True)
    (PACK / "frames").mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    encoder, generator = AudioEncoder().eval(), Generator().eval()
    weights(encoder, rng)
    weights(generator, rng)
    generator.out.weight.data *= 0.3  # the middle of the sigmoid
    networks = [
        ("audio-encoder", "audio_encoder", encoder, (torch.zeros(1, 80, 8),), ["mel"], ["features"]),
        ("generator", "generator", generator, (torch.zeros(1, 6, HEIGHT, WIDTH), torch.zeros(1, 32, 96)), ["image", "audio"], ["output"]),
    ]
    torch.manual_seed(SEED)
    export("fresh-compact-encoder", AudioEncoder().eval(), *networks[0][3:])
    export("fresh-compact-generator", Generator().eval(), *networks[1][3:])
    models = []
    for role, name, network, inputs, names, outputs in networks:
        path = export(f"compact.avatar/{name}", network, inputs, names, outputs)
        first = "B" if role == "audio-encoder" else 1
        with torch.no_grad():
            shapes = [(n, list(t.shape[1:])) for n, t in zip(names + outputs, (*inputs, network(*inputs)))]
        tensors = [{"name": n, "shape": [first, *shape]} for n, shape in shapes]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        models.append({"role": role, "file": path.name, "sha256": digest, "inputs": tensors[: len(names)], "outputs": tensors[len(names) :]})
    # What PyTorch answers to numbers that a test makes anew; of the picture every 61st value.
    with torch.no_grad():
        rows = encoder(torch.tensor(3 * ramp(3 * 640, 0.37).reshape(3, 80, 8)))
        rows.numpy().astype("<f4").tofile(PACK / "rows.f32")
        image = torch.tensor((0.5 + 0.5 * ramp(6 * HEIGHT * WIDTH, 0.01)).reshape(1, 6, HEIGHT, WIDTH))
        mouth = generator(image, torch.tensor(ramp(32 * 96, 0.37).reshape(1, 32, 96)))
        mouth.numpy().ravel()[::61].astype("<f4").tofile(PACK / "mouth.f32")
        print("rows", rows.std().item(), rows.max().item(), "mouth", mouth.std().item(), (mouth - generator(image, torch.zeros(1, 32, 96))).abs().max().item())
    crops = []
    for index in range(6):
        frame, crop = presenter(index)
        cv2.imwrite(str(PACK / "frames" / f"{index:06d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 90])
        crops.append(crop)
    (PACK / "crops.json").write_text(json.dumps({"squares": crops}) + "\n")
    pgm = b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT) + mask().tobytes()
    (PACK / "mask.pgm").write_bytes(pgm)
    manifest = {
        "format": 1, "family": "compact", "name": "compact", "fps": 25, "width": 224, "height": 160, "frames": 6,
        "template": "frames/%06d.jpg", "crops": "crops.json", "templateOrder": "ping-pong", "featureWindow": "rows32",
        "geometry": {"crop": [WIDTH, HEIGHT], "roi": [WIDTH, HEIGHT], "border": 0},
        "mask": {"file": "mask.pgm", "sha256": hashlib.sha256(pgm).hexdigest()},
        "colourOrder": "BGR", "valueRange": [0, 1], "idle": [0, 6], "licence": "CC0-1.0",
        "consent": "Nobody is shown: the person is an ellipse.", "synthetic": True, "models": models,
        "provenance": {"converter": "Tests/Fixtures/compact_pack.py", "trainingData": "none: random weights of a fixed seed"},
    }
    (PACK / "avatar.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
