"""The generator of the contract: a U-Net of inverted residuals with an audio branch at its bottleneck.

Names of modules and tensors are those of the trained models of this family, so that the reference's Python loads our
checkpoints strictly. `channels` is (c0 … c4); the full model is (32, 64, 128, 256, 512), "mobile" (16, 32, 64, 128, 256).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

FULL, MOBILE, HALF = (32, 64, 128, 256, 512), (16, 32, 64, 128, 256), (8, 16, 32, 64, 128)
AUDIO_CHANNELS = 32


class InvertedResidual(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        mid = 2 * cin
        self.conv = nn.Sequential(
            nn.Conv2d(cin, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU(),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False), nn.BatchNorm2d(mid), nn.ReLU(),
            nn.Conv2d(mid, cout, 1, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return x + y if self.residual else y


class DoubleConv(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(InvertedResidual(cin, cout, stride, False), InvertedResidual(cout, cout, 1, True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.double_conv(x)


class InConv(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.inconv = nn.Sequential(InvertedResidual(cin, cout, 1, False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inconv(x)


class Down(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(DoubleConv(cin, cout, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = DoubleConv(cin, cout, 1)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.cat([self.up(x), skip], 1))


class OutConv(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class AudioBranch(nn.Module):
    """(B, 32, 16, 16) → (B, c4, 10, 10)."""

    def __init__(self, ch: Sequence[int]) -> None:
        super().__init__()
        c0, c1, c2, c3, c4 = ch
        self.conv1 = InvertedResidual(AUDIO_CHANNELS, c1, 1, False)
        self.conv2 = InvertedResidual(c1, c2, 1, False)
        self.conv3 = nn.Conv2d(c2, c3, 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(c3)
        self.conv4 = InvertedResidual(c3, c3, 1, True)
        self.conv5 = nn.Conv2d(c3, c4, 3, 2, 3)
        self.bn5 = nn.BatchNorm2d(c4)
        self.conv6 = InvertedResidual(c4, c4, 1, True)
        self.conv7 = InvertedResidual(c4, c4, 1, True)

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        a = self.conv2(self.conv1(a))
        a = self.conv4(torch.relu(self.bn3(self.conv3(a))))
        a = torch.relu(self.bn5(self.conv5(a)))
        return self.conv7(self.conv6(a))


class Generator(nn.Module):
    """image (B, 6, 320, 320), audio (B, 32, 16, 16) → (B, 3, 320, 320) in 0 … 1."""

    def __init__(self, channels: Sequence[int] = MOBILE) -> None:
        super().__init__()
        self.channels = tuple(channels)
        c0, c1, c2, c3, c4 = self.channels
        self.audio_model = AudioBranch(self.channels)
        self.fuse_conv = nn.Sequential(DoubleConv(2 * c4, c4, 1), DoubleConv(c4, c3, 1))
        self.inc = InConv(6, c0)
        self.down1, self.down2, self.down3, self.down4, self.down5 = Down(c0, c0), Down(c0, c1), Down(c1, c2), Down(c2, c3), Down(c3, c4)
        self.up1, self.up2, self.up3 = Up(2 * c3, c3 // 2), Up(c3 // 2 + c2, c2 // 2), Up(c2 // 2 + c1, c1 // 2)
        self.up4, self.up5 = Up(c1 // 2 + c0, c0), Up(2 * c0, c0 // 2)
        self.outc = OutConv(c0 // 2, 3)
        assert len(self.state_dict()) == 556, len(self.state_dict())
        expected = 12_186_935 if self.channels == FULL else 3_095_471 if self.channels == MOBILE else None
        count = sum(p.numel() for p in self.parameters())
        assert expected is None or count == expected, count

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return self.image(image, self.audio_model(audio))

    def image(self, image: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """The image path, given the audio branch's (B, c4, 10, 10)."""
        x1 = self.inc(image)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x5 = self.down4(x4)
        x6 = self.down5(x5)
        x = self.fuse_conv(torch.cat([x6, code], 1))
        x = self.up4(self.up3(self.up2(self.up1(x, x5), x4), x3), x2)
        return torch.sigmoid(self.outc(self.up5(x, x1)))


def of_state(state: Mapping[str, torch.Tensor]) -> Generator:
    """The generator that a state dict belongs to; its widths are read from the tensors, loading is strict."""
    c0 = state["inc.inconv.0.conv.6.weight"].shape[0]
    widths = [c0] + [state[f"down{i}.maxpool_conv.0.double_conv.0.conv.6.weight"].shape[0] for i in (2, 3, 4, 5)]
    model = Generator(tuple(widths))
    model.load_state_dict(state, strict=True)
    return model
