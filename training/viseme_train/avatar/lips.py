"""What a person's mouth does, in numbers of its own: read from the pictures, and guessed from what the ear hears.

The painter is trained on numbers read from each picture: shapes of lips and jaw, and how the inside of the mouth looks. They leave no doubt about the
picture, so teeth and edges of lips stay sharp; numbers that are heard leave doubt, and the mean of all pictures that may be meant is blurred. What is heard
is turned into the numbers by a linear map, for which ten seconds of speech are enough.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn

from viseme_train import metrics
from viseme_train.avatar.material import LIPS, MARGIN, Material
from viseme_train.compact.networks import CODE, Listener, describe
from viseme_train.compact.train_listener import opening

#: Numbers of lips and jaw, and of the inside of the mouth.
SHAPES, LOOKS = 6, 4
NUMBERS = SHAPES + LOOKS
INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
JAW = (152, 148, 377, 176, 400, 17, 18, 200)
#: Deviation of the pose (the nose against the temples, in face widths) from which on it is told from the mouth's own movement. A head that hardly turned in ten
#: seconds happens to do so at some words, and the next words would be read off the pose.
TURNED = 0.02
#: Half width and half height of the patch that is looked at, in face widths, and its size in pixels.
PATCH, PATCH_SIZE = (0.2, 0.13), (40, 26)
#: What the ear hears, the mouth described and its code, and how much the map leans on each; frames of speech that weigh as much as doubt.
DESCRIBED, CODED, DOUBT = 10.0, 8.0, 200
#: Of robin's opening in pixels: below 0 the lips touch, from here on nothing of the touching mouth is left. Of strangers' /p b m/ 77 % closed with 3, 80 % with 7.
TOUCHING = 7.0
#: A number that is heard worse than this (r, on frames that the map has not seen) stays at its mean; the others vary by this share of what is filmed.
LEAST_HEARD, SPREAD = 0.3, 0.9
#: Share of the frames that show the closed mouth at most, how much further than the third one they may be open, and how far beyond what was filmed a number may go.
CLOSED, AS_CLOSED, BEYOND = 1 / 16, 1.15, 1.1


def _directions(rows: np.ndarray, count: int) -> np.ndarray:
    """The first directions of the variance of centred rows, as columns that give numbers of unit variance."""
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(axes[:count].T / (values[:count] / np.sqrt(len(rows)) + 1e-9))


def _without(rows: np.ndarray, causes: np.ndarray, train: np.ndarray, doubt: float) -> np.ndarray:
    """Rows without what a linear map of the causes explains, centred; the map is that of the training's frames. Causes that vary by less than `doubt` explain little."""
    x, y = causes - causes[train].mean(0), rows - rows[train].mean(0)
    found = np.linalg.solve(x[train].T @ x[train] + len(train) * doubt ** 2 * np.eye(x.shape[1]), x[train].T @ y[train])
    return np.asarray(y - x @ found)


def filmed(m: Material, train: np.ndarray) -> np.ndarray:
    """The numbers of every frame, [n, NUMBERS], of unit variance in the training's frames."""
    flat = m.points[..., 0] + 1j * m.points[..., 1]
    own = (flat - m.place[:, None]) / m.gain[:, None]
    chosen = own[:, sorted({*LIPS, *INNER, *JAW})]
    outlines = _without(np.concatenate([chosen.real, chosen.imag], 1), m.pose, train, TURNED)
    numbers = outlines @ _directions(outlines[train], SHAPES)
    middle = own[train][:, list(LIPS)].mean()
    scale = np.array([2 * PATCH[0] / PATCH_SIZE[0], 2 * PATCH[1] / PATCH_SIZE[1]])
    patches = np.empty((len(m), PATCH_SIZE[0] * PATCH_SIZE[1]), np.float32)
    for k in range(len(m)):
        corner = m.gain[k] * (middle - complex(*PATCH)) + m.place[k] + complex(MARGIN, MARGIN)
        across, down = m.gain[k] * scale[0], m.gain[k] * 1j * scale[1]
        into = np.array([[across.real, down.real, corner.real], [across.imag, down.imag, corner.imag]])
        patch = cv2.warpAffine(cv2.GaussianBlur(m.crops[k], (0, 0), 1.5), into, PATCH_SIZE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        patches[k] = patch.mean(2).ravel()
    patches = _without(patches, np.concatenate([m.pose, TURNED * numbers], 1), train, TURNED)
    return np.concatenate([numbers, patches @ _directions(patches[train], LOOKS)], 1).astype(np.float32)


class PersonCode(nn.Module):
    """Numbers (B, NUMBERS) → (B, 128), as the painter learns it; and those numbers from what is heard."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(NUMBERS, CODE), nn.ReLU(), nn.Linear(CODE, CODE), nn.ReLU())
        # Found by `learn_to_follow`, not by training.
        self.follow = nn.Linear(9 + CODE, NUMBERS).requires_grad_(False)
        for name in ("closed", "lowest", "highest"):
            self.register_buffer(name, torch.zeros(NUMBERS))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.layers(numbers)

    def numbers(self, mouth: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """What the person's mouth does when (B, 7) and (B, 128) are heard: (B, NUMBERS)."""
        heard = torch.minimum(torch.maximum(self.follow(torch.cat([describe(mouth), code], 1)), self.lowest), self.highest)
        # A mean of what may be meant never closes a mouth. Where the ear hears lips that touch, they touch; in silence that is always.
        touch = (1 - opening(mouth) / TOUCHING).clamp(0, 1)[:, None]
        return heard + (self.closed - heard) * touch

    def hear(self, listener: Listener, audio: torch.Tensor) -> torch.Tensor:
        """32 feature rows (B, 32, 96) → (B, 128)."""
        code = listener.sequence(audio)
        return self.layers(self.numbers(listener.mouth(code)[..., 0], code[..., 0]))


def _ridge(x: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The linear map x → wanted, with doubt: weights and constants."""
    mean, target = x.mean(0), wanted.mean(0)
    weight = np.linalg.solve((x - mean).T @ (x - mean) + DOUBT * np.eye(x.shape[1]), (x - mean).T @ (wanted - target))
    return weight, target - mean @ weight


@torch.no_grad()
def learn_to_follow(code: PersonCode, m: Material, train: np.ndarray, numbers: np.ndarray, apart: int) -> np.ndarray:
    """Finds the map from what is heard; gives r of every number on frames that the map had not seen.

    A mean varies less than what it is the mean of, and a mouth that hardly moves looks asleep: each number gets its spread back.
    """
    described = describe(torch.from_numpy(m.mouth)).numpy()
    scale = np.concatenate([np.full(described.shape[1], DESCRIBED), np.full(CODE, CODED / np.sqrt(CODE) / m.code[train].std(0).mean())])
    heard = np.concatenate([described, m.code], 1) * scale
    unseen = np.empty_like(numbers[train])
    for block in np.array_split(np.arange(len(train)), 8):
        others = train[(train < train[block[0]] - apart) | (train > train[block[-1]] + apart)]
        weight, constant = _ridge(heard[others], numbers[others])
        unseen[block] = heard[train[block]] @ weight + constant
    r = np.array([metrics.correlation(unseen[:, k], numbers[train][:, k]) for k in range(NUMBERS)])
    gain = np.where(r > LEAST_HEARD, SPREAD / unseen.std(0), 0.0)
    weight, constant = _ridge(heard[train], numbers[train])
    # The numbers have no mean over the training's frames.
    code.follow.weight.copy_(torch.from_numpy((weight * scale[:, None] * gain).T))
    code.follow.bias.copy_(torch.from_numpy(constant * gain))
    order = np.argsort(m.aperture[train])[:max(3, round(CLOSED * len(train)))]
    # Somebody who only speaks closes the mouth in a few frames: the next ones are half open.
    shut = order[m.aperture[train][order] <= AS_CLOSED * m.aperture[train][order[:3]].max()]
    code.closed.copy_(torch.from_numpy(numbers[train][shut].mean(0)))
    code.lowest.copy_(torch.from_numpy(BEYOND * np.percentile(numbers[train], 1, axis=0)))
    code.highest.copy_(torch.from_numpy(BEYOND * np.percentile(numbers[train], 99, axis=0)))
    return r
