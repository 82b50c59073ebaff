"""The losses of both trainings, and the code of a mouth."""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: A part of a picture: its rows and its columns.
Part = tuple[slice, slice]


def decorrelation(rows: torch.Tensor) -> torch.Tensor:
    """Mean squared correlation between features: what makes the rank low."""
    z = rows - rows.mean(0)
    z = z / (z.std(0) + 0.05)
    c = (z.T @ z) / len(z)
    return (c.pow(2).sum() - c.diagonal().pow(2).sum()) / (c.shape[0] * (c.shape[0] - 1))


def describe(m: torch.Tensor) -> torch.Tensor:
    """(B, 7) mouth parameters → (B, 9): those, the opening, and the opening near closure; unit-ish variance."""
    jaw, width, rnd, close, tuck, teeth, tongue = m.unbind(1)
    gap = jaw * (1 - close) * (1 - .75 * tuck)
    return torch.stack([jaw * 3, width * 2.5, rnd * 3, close * 3, tuck * 3, teeth * 2.5, tongue * 2.5, gap * 6, (1 - gap * 6).clamp(min=0) * 1.5], 1)


def code(m: torch.Tensor, channels: int) -> torch.Tensor:
    """A fixed random projection of `describe`, the same at every place: (B, 7) → (B, c4, 10, 10)."""
    projection = (torch.randn(9, channels, generator=torch.Generator().manual_seed(5)) / 3).to(m.device)
    return (describe(m) @ projection)[:, :, None, None].expand(-1, -1, 10, 10)


def picture_loss(y: torch.Tensor, target: torch.Tensor, closed: torch.Tensor, focus: torch.Tensor) -> torch.Tensor:
    """L1 with squares, and L1 of gradients; up to ten times heavier where the target or the output differs from the closed mouth.

    `focus` is 1 where errors weigh more in any case, else 0.
    """
    change = torch.maximum((target - closed).abs(), (y.detach() - closed).abs()).amax(1, keepdim=True)   # a mouth wrongly open counts, too
    weight = F.avg_pool2d(F.max_pool2d((change * 16 - .3).clamp(0, 1), 9, 1, 4), 7, 1, 3)
    weight = 1 + 1.5 * focus + 8 * weight
    error = y - target
    flat = (error.abs() * weight).mean() + 4 * (error.pow(2) * weight).mean()
    dx, dy = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return flat + .7 * ((dx.abs() * weight[..., 1:]).mean() + (dy.abs() * weight[..., 1:, :]).mean())
