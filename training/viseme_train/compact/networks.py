"""The networks of the compact family.

Audio encoder: mel window (B, 80, 8) → feature row (B, 96). Columns 4k … 4k+7 for frame k; each column is read twice.
Generator: image (B, 6, H, W): roi and masked roi, B G R, 0…1; audio (B, 32, 96): rows k−27 … k+4 → (B, 3, H, W), 0…1.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from viseme_train.compact.front_end import BANDS

#: Values in a feature row and in the code that the picture is drawn by.
ROW, CODE = 96, 128
#: jaw, width, round, close, tuck, teeth, tongue
ARTICULATION = 7
CLOSE = 3
Channels = tuple[int, int, int, int]
#: Left and top of a part of the crop, multiples of 32.
Corner = tuple[int, int]
#: Of the picture at a quarter, an eighth, a sixteenth and a thirty-second of its size.
CHANNELS: Channels = (32, 64, 96, 160)
DEPTH = (1, 2, 2, 2)


class AudioEncoder(nn.Module):
    """(B, 80, 8) → (B, 96)."""

    def __init__(self, width: int = 128, row: int = ROW) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, width, 3), nn.BatchNorm1d(width), nn.ReLU(),          # 6
            nn.Conv1d(width, width, 2, 2), nn.BatchNorm1d(width), nn.ReLU(),       # 3
            nn.Conv1d(width, width, 3), nn.BatchNorm1d(width), nn.ReLU(),          # 1
            nn.Conv1d(width, row, 1))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return self.layers((mel + 4) * 0.25).flatten(1)

    def sequence(self, mel: torch.Tensor) -> torch.Tensor:
        """(B, 80, 4·R + 4) → (B, R, 96): the same rows, each column read once."""
        *first, last, norm, relu, project = self.layers
        x = (mel + 4) * 0.25
        for layer in first:
            x = layer(x)
        x = F.conv1d(x, last.weight, last.bias, stride=2)
        return project(relu(norm(x))).transpose(1, 2)


class Listener(nn.Module):
    """32 feature rows → what the mouth does in the middle of them: (B, 32, 96) → (B, code).

    Dilated convolutions without padding: only what the answer needs is computed.
    """

    #: Kernel and dilation: 32 rows → 30 → 28 → 24 → 16 → 8.
    LAYERS = ((3, 1), (3, 1), (3, 2), (3, 4), (3, 4))

    def __init__(self, width: int = 128, code: int = CODE, row: int = ROW) -> None:
        super().__init__()
        self.first = nn.Conv1d(row, width, 1)
        self.convs = nn.ModuleList([nn.Conv1d(width, width, k, dilation=d, bias=False) for k, d in self.LAYERS])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in self.LAYERS])
        self.last = nn.Conv1d(width, code, 8)
        self.articulation = nn.Sequential(nn.ReLU(), nn.Conv1d(code, code, 1), nn.ReLU(), nn.Conv1d(code, ARTICULATION, 1))

    def sequence(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, N + 31, 96) → (B, code, N): frames one after the other."""
        # Without dropout it learns the closures of the people that it is shown (95 %), and finds two thirds of the next one's.
        x = self.first(F.dropout1d(F.dropout(rows, 0.2, self.training).transpose(1, 2), 0.08, self.training))
        for conv, norm, (k, d) in zip(self.convs, self.norms, self.LAYERS):
            y = F.dropout(F.relu(norm(conv(x))), 0.25, self.training)
            x = y + x[..., (k - 1) * d:]      # the newest columns: those around the frame
        return self.last(x)

    @torch.no_grad()
    def press(self, a: float, b: float) -> None:
        """Makes of `close` (close − a) · b, in the last layer."""
        last = self.articulation[-1]
        last.weight[CLOSE] *= b
        last.bias[CLOSE] = (last.bias[CLOSE] - a) * b

    def mouth(self, code: torch.Tensor) -> torch.Tensor:
        """(B, code, N) → (B, 7, N) mouth parameters."""
        return self.articulation(code)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, 32, 96) → (B, 7)."""
        return self.mouth(self.sequence(rows))[..., 0]


class Block(nn.Module):
    """Depthwise 5×5, expansion, projection; added to its input."""

    def __init__(self, channels: int, kernel: int = 5, expand: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels * expand, 1, bias=False), nn.BatchNorm2d(channels * expand), nn.ReLU(),
            nn.Conv2d(channels * expand, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class Painter(nn.Module):
    """(B, 6, H, W) and a code (B, C) → (B, 3, H, W)."""

    def __init__(self, code: int = CODE, channels: Channels = CHANNELS, depth: Channels = DEPTH, crop: tuple[int, int] | None = None) -> None:
        super().__init__()
        c = channels
        self.stem = nn.Sequential(nn.Conv2d(6, c[0], 4, 4, bias=False), nn.BatchNorm2d(c[0]))
        self.encoder = nn.ModuleList([nn.Sequential(*[Block(c[i]) for _ in range(depth[i])]) for i in range(4)])
        self.down = nn.ModuleList([nn.Sequential(nn.Conv2d(c[i], c[i + 1], 2, 2, bias=False), nn.BatchNorm2d(c[i + 1])) for i in range(3)])
        self.film = nn.ModuleList([nn.Linear(code, 2 * k) for k in reversed(c)])
        self.middle = nn.Sequential(*[Block(c[3]) for _ in range(2)])
        self.up = nn.ModuleList([nn.Sequential(nn.Conv2d(c[i + 1], 4 * c[i], 1, bias=False), nn.PixelShuffle(2)) for i in (2, 1, 0)])
        self.merge = nn.ModuleList([nn.Sequential(nn.Conv2d(2 * c[i], c[i], 1, bias=False), nn.BatchNorm2d(c[i])) for i in (2, 1, 0)])
        self.decoder = nn.ModuleList([nn.Sequential(*[Block(c[i]) for _ in range(depth[i] + (i == 0))]) for i in (2, 1, 0)])
        self.out = nn.Conv2d(c[0], 64, 3, 1, 1)
        #: What a face of its own has at each place of its crop (width, height), at all four sizes: the code says how much of it is seen.
        self.places = nn.ParameterList([nn.Parameter(torch.zeros(1, c[i], crop[1] >> i + 2, crop[0] >> i + 2)) for i in (3, 2, 1, 0)] if crop else [])
        #: While it begins to learn, so much is drawn everywhere: else the template wins before there are any colours, and no gradient reaches them any more.
        self.least_share = 0.0
        # The first three planes as a convolution: what cuts and translates generators knows those, and no slices of pictures.
        self.register_buffer("first", torch.eye(3, 6)[..., None, None], persistent=False)

    def template(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What depends on the template alone."""
        x, skips = self.stem(image), []
        for i in range(4):
            x = self.encoder[i](x)
            if i < 3:
                skips.append(x)
                x = self.down[i](x)
        return x, skips

    def draw(self, x: torch.Tensor, skips: list[torch.Tensor], code: torch.Tensor, template: torch.Tensor, corner: Corner | None = None) -> torch.Tensor:
        """The picture that the code asks for: colours, and how much of them is seen before the template."""
        def film(level: int, x: torch.Tensor) -> torch.Tensor:
            if self.places:
                place = self.places[level]
                if corner is not None:
                    top, left = corner[1] >> 5 - level, corner[0] >> 5 - level
                    place = place[..., top:top + x.shape[2], left:left + x.shape[3]]
                x = x + place
            gain, bias = self.film[level](code)[..., None, None].chunk(2, 1)
            return x * (1 + gain) + bias
        x = self.middle(film(0, x))
        for j in range(3):
            x = self.merge[j](torch.cat([self.up[j](x), skips[2 - j]], 1))
            x = self.decoder[j](film(j + 1, x))
        drawn = torch.sigmoid(F.pixel_shuffle(self.out(x), 4))
        # Where nothing changes the template is better than any drawing of it.
        colour, share = drawn[:, :3], drawn[:, 3:]
        if self.least_share > 0:
            share = self.least_share + (1 - self.least_share) * share
        return template + (colour - template) * share

    def forward(self, image: torch.Tensor, code: torch.Tensor, corner: Corner | None = None) -> torch.Tensor:
        """`corner`: where a part of the crop lies in it."""
        return self.draw(*self.template(image), code, F.conv2d(image, self.first), corner)


def limited(m: torch.Tensor) -> torch.Tensor:
    """(B, 7) mouth parameters within their ranges: width −1…1, the others 0…1."""
    return torch.cat([m[:, :1].clamp(0, 1), m[:, 1:2].clamp(-1, 1), m[:, 2:].clamp(0, 1)], 1)


def describe(m: torch.Tensor) -> torch.Tensor:
    """(B, 7) mouth parameters → (B, 9) of about unit variance: those, the opening, and the opening near closure."""
    jaw, width, rnd, close, tuck, teeth, tongue = limited(m).unbind(1)
    gap = jaw * (1 - close) * (1 - 0.75 * tuck)
    return torch.stack([jaw * 3, width * 2.5, rnd * 3, close * 3, tuck * 3, teeth * 2.5, tongue * 2.5, gap * 6, (1 - gap * 6).clamp(min=0) * 1.5], 1)


class Code(nn.Module):
    """(B, 7) → (B, 128)."""

    def __init__(self, code: int = CODE) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(9, code), nn.ReLU(), nn.Linear(code, code), nn.ReLU())

    def forward(self, mouth: torch.Tensor) -> torch.Tensor:
        return self.layers(describe(mouth))

    def hear(self, listener: Listener, audio: torch.Tensor) -> torch.Tensor:
        """32 feature rows (B, 32, 96) → (B, 128)."""
        return self(listener(audio))


class Hears(Protocol):
    """What stands between listener and painter."""

    def hear(self, listener: Listener, audio: torch.Tensor) -> torch.Tensor: ...


class Generator(nn.Module):
    """image (B, 6, H, W), audio (B, 32, 96) → (B, 3, H, W)."""

    code: Hears

    def __init__(self, listener: Listener, code: nn.Module, painter: Painter) -> None:
        super().__init__()
        self.listener, self.code, self.painter = listener, code, painter

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return self.painter(image, self.code.hear(self.listener, audio))


class Articulator(nn.Module):
    """What is heard, without a picture: (B, 32, 96) → (B, 7 + phones), the mouth parameters that the generator draws, and how likely each
    phone of `phonemes.CANONICAL` is spoken in the frame."""

    def __init__(self, listener: Listener, phones: nn.Conv1d, first: int, count: int) -> None:
        super().__init__()
        self.listener, self.phones = listener, nn.Linear(CODE, count)
        with torch.no_grad():
            self.phones.weight.copy_(phones.weight[first:first + count, :, 0])
            self.phones.bias.copy_(phones.bias[first:first + count])

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        code = self.listener.sequence(audio)
        likely = F.softmax(self.phones(F.relu(code[..., 0])), 1)
        return torch.cat([limited(self.listener.mouth(code)[..., 0]), likely], 1)
