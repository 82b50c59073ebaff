"""Trains the painter: from a template picture and the mouth's parameters to the picture of that mouth.

    python -m viseme_train.compact.train_painter --config recipes/robin/robin.toml

It knows nothing of sound: the listener says the parameters, so pictures can be drawn without end and every one of them has its truth.
Data of `<work>/pictures`: `template.npy` [poses, H, W, 3] as decoded, `mask.npy` [H, W], and chunks `NNN.npy` [n, H, W, 3] with
`NNN.npz` (`pose`, `mouth`). Resumes from `<work>/painter.ckpt`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from viseme_train.compact.networks import Code, Corner, Painter
from viseme_train.compact.run import Run, command
from viseme_train.compact.settings import CompactConfig


class Hand(nn.Module):
    """Code and painter: (B, 6, H, W) and (B, 7), or what another code takes, → (B, 3, H, W)."""

    def __init__(self, code: nn.Module | None = None, crop: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.code, self.painter = code or Code(), Painter(crop=crop)

    def forward(self, image: torch.Tensor, mouth: torch.Tensor, corner: Corner | None = None) -> torch.Tensor:
        return self.painter(image, self.code(mouth), corner)


class Pictures:
    """Drawn pictures with the template's of the same pose."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder, self.rng = folder, rng
        self.template = np.load(folder / "template.npy")
        self.mask = np.load(folder / "mask.npy")
        self.images: dict[str, np.ndarray] = {}
        self.items: list[tuple[str, int, int, np.ndarray]] = []
        self.scan()

    def scan(self) -> None:
        """Takes in chunks that were finished since."""
        for path in sorted(self.folder.glob("[0-9]*.npz")):
            if path.stem in self.images:
                continue
            self.images[path.stem] = np.load(path.with_suffix(".npy"), mmap_mode="r")
            with np.load(path) as data:
                self.items += [(path.stem, i, int(p), m) for i, (p, m) in enumerate(zip(data["pose"], data["mouth"]))]

    def batch(self, size: int, rows: slice, columns: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image (B, 6, h, w), target (B, 3, h, w), mouth (B, 7) and mask (h, w) of a part of the roi."""
        mask = self.mask[rows, columns]
        image = np.empty((size, *mask.shape, 6), np.uint8)
        target = np.empty((size, *mask.shape, 3), np.uint8)
        mouth = np.empty((size, 7), np.float32)
        for b in range(size):
            chunk, i, pose, mouth[b] = self.items[int(self.rng.integers(len(self.items)))]
            template = self.template[pose][rows, columns]
            image[b, ..., :3], image[b, ..., 3:] = template, template * (mask == 0)[..., None]
            target[b] = self.images[chunk][i][rows, columns]

        def planes(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(x).permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)

        return planes(image), planes(target), torch.from_numpy(mouth), torch.from_numpy(mask.astype(np.float32) / 255)


def edges(error: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring errors, across and down."""
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return (across.abs() * weight[..., 1:]).mean() + (down.abs() * weight[..., 1:, :]).mean()


def coarse(error: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of means of 8×8 pixels."""
    return F.avg_pool2d(error * weight.sqrt(), 8).abs().mean()


def loss(drawn: torch.Tensor, target: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is seen, against what should be: absolute and squared errors, edges, and means of 8×8 pixels; up to nine times heavier where
    either differs from the template.

    → (loss, mean squared error)
    """
    template = image[:, :3]
    seen, wanted = template + (drawn - template) * mask, template + (target - template) * mask
    change = torch.maximum((wanted - template).abs(), (seen.detach() - template).abs()).amax(1, keepdim=True)
    near = F.avg_pool2d(F.max_pool2d((change * 16 - 0.3).clamp(0, 1), 9, 1, 4), 7, 1, 3)
    weight = (mask > 0) * (1 + 8 * near)
    error = seen - wanted
    flat = (error.abs() * weight).mean() + 4 * (error.pow(2) * weight).mean()
    return flat + 1.6 * edges(error, weight) + 2 * coarse(error, weight), error.detach().pow(2).mean()


def train(settings: CompactConfig, minutes: float, begin: Path | None = None) -> None:
    s = settings.painter
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(s.seed)
    run = Run(settings, "painter", s, minutes, Hand().to(memory_format=torch.channels_last), begin, betas=(0.9, 0.99), fused=True)
    rng = np.random.default_rng([s.seed, run.step])
    data = Pictures(settings.work / "pictures", rng)
    height, width = data.mask.shape
    x1, y1, x2, y2 = s.part
    seen: list[tuple[float, float]] = []
    while not run.over:
        run.tick()
        frozen = run.progress > s.freeze
        run.model.train(not frozen)
        whole = rng.random() < s.whole[frozen]
        rows, columns = (slice(0, height), slice(0, width)) if whole else (slice(y1, y2), slice(x1, x2))
        image, target, mouth, mask = (t.to(run.device) for t in data.batch(s.batch if whole else 2 * s.batch, rows, columns))
        if rng.random() < 0.5:
            mouth = mouth + s.noise * torch.randn_like(mouth)
        with torch.autocast(run.device.type, torch.bfloat16):
            drawn = run.model(image, mouth)
        value, error = loss(drawn.float(), target, image, mask)
        run.learn(value)
        if whole:
            seen.append((float(value.detach()), float(error)))
        if seen and run.is_print_due():
            mean, squared = np.mean(seen, 0)
            run.print(f"loss {mean:.5f} PSNR {-10 * np.log10(squared):.2f} of {len(data.items)} pictures")
            seen = []
            data.scan()
        run.save_if_due()


if __name__ == "__main__":
    command(__doc__, train, lambda settings: settings.painter)
