"""The audio encoder of the contract: a mel window [B, 1, 80, 16] → a feature row [B, 512], all ≥ 0.

The state dict has 91 tensors `{0..12}.conv_block.{0,1}.*`, the reference's own names (a module that holds it adds the prefix
`audio_encoder.`), so the reference's Python loads our checkpoint strictly.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

#: in, out, kernel, stride (mel, time), padding, residual
LAYERS = [
    (1, 32, 3, (1, 1), 1, False), (32, 32, 3, (1, 1), 1, True), (32, 32, 3, (1, 1), 1, True),
    (32, 64, 3, (3, 1), 1, False), (64, 64, 3, (1, 1), 1, True), (64, 64, 3, (1, 1), 1, True),
    (64, 128, 3, (3, 3), 1, False), (128, 128, 3, (1, 1), 1, True), (128, 128, 3, (1, 1), 1, True),
    (128, 256, 3, (3, 2), 1, False), (256, 256, 3, (1, 1), 1, True),
    (256, 512, 3, (1, 1), 0, False), (512, 512, 1, (1, 1), 0, False),
]


class Conv(nn.Module):
    """Convolution with bias, batch norm, an optional residual added before the ReLU."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: tuple[int, int], padding: int, residual: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, padding), nn.BatchNorm2d(cout))
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


class AudioEncoder(nn.Sequential):
    """Thirteen layers; named by their number."""

    def __init__(self) -> None:
        super().__init__(*[Conv(*layer) for layer in LAYERS])
        assert len(self.state_dict()) == 91
        assert sum(p.numel() for p in self.parameters()) == 2_812_672

    def forward(self, mel: torch.Tensor) -> torch.Tensor:  # (B, 1, 80, 16) → (B, 512)
        return super().forward(mel).flatten(1)


def load(path: str | Path) -> AudioEncoder:
    """A trained encoder in evaluation mode; both spellings of the names load, anything else is an error."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = {k.removeprefix("audio_encoder."): v for k, v in state.items()}
    encoder = AudioEncoder()
    encoder.load_state_dict(state, strict=True)
    return encoder.eval()
