"""Trains robin's generator (`viseme_train.synctalk2d.train_generator`), with what only we know about robin's colours.

    python train_generator.py --phase picture|audio|joint [--minutes 30]
"""

from __future__ import annotations

import torch

import dataset
import presenter
from viseme_train.synctalk2d import train_generator
from viseme_train.synctalk2d.losses import Part

FACE = torch.from_numpy(presenter.FACE)


def profiles(y: torch.Tensor) -> torch.Tensor:
    """How much opening, lips and teeth every column and every row of the mouth has, in pixels: (B, 4 · (columns + rows)).

    `y` is cut to `presenter.BOX`. The colours are those of `presenter.measure`, with softer edges, so that a gradient remains.
    """
    b, g, r = y.unbind(1)
    soft = lambda value, width: torch.sigmoid(value * 255 / width)
    teeth = soft(g - .62 * r - .13, 8) * soft(.106 - (r - b), 7) * soft(r - .45, 14)
    masks = torch.stack([(.72 - r).clamp(min=0) * 2, soft(.282 - r, 14), soft(r - g - .318, 8), teeth], 1) * FACE.to(y.device)
    return torch.cat([masks.sum(2).flatten(1), masks.sum(3).flatten(1)], 1)


def shape_loss(y: torch.Tensor, target: torch.Tensor, box: Part) -> torch.Tensor:
    """Squared difference of the profiles. Where the sound leaves doubt, L1 of pixels would rather keep the mouth shut and its corners vague."""
    x1, y1, x2, y2 = presenter.BOX
    top, left = box[0].start, box[1].start
    if top > y1 or left > x1 or top + y.shape[2] < y2 or left + y.shape[3] < x2:
        return y.new_zeros(())                                       # this part does not show the whole mouth
    cut = lambda image: image[:, :, y1 - top:y2 - top, x1 - left:x2 - left]
    return ((profiles(cut(y)) - profiles(cut(target))) / 5).pow(2).mean()


if __name__ == "__main__":
    train_generator.main(dataset.SETTINGS, shape_loss, dataset.template_crops)
