"""What `prepare` found, as the painter's training needs it: crops with a margin, poses, mouths, the mask, pairs of target and reference.

A reference is a picture of another moment, moved onto the target's head and cut in along the mask: what rendering gives with the template's own frame, where
around the mask everything fits and in the mask there is some other mouth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from viseme_train.avatar import scan, shape
from viseme_train.avatar.settings import FitSettings
from viseme_train.avatar.video import FPS, ClipError

#: Pixels around a crop that are kept for shifts and turns.
MARGIN = 24
#: The jaw below the mouth's corners, cheeks and the point under the nose: the mask covers what lies between.
OUTLINE = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 2, 205, 425)
LIPS = (61, 291, 0, 17, 37, 267, 39, 269, 40, 270, 185, 409, 84, 314, 181, 405, 91, 321, 146, 375)
#: Feathered edge, and how far the mask reaches beyond the outline, in shares of the crop's width.
FEATHER, GROWTH = 0.05, 0.03
#: Pixels of the painter's coarsest grid.
GRID = 32
#: Columns and rows of a crop.
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Material:
    """All good frames of all used clips, in order."""

    size: tuple[int, int]
    #: [n, H + 2·MARGIN, W + 2·MARGIN, 3]
    crops: np.ndarray
    #: Number of the clip and of the frame within it.
    clip: np.ndarray
    frame: np.ndarray
    #: What the ear hears, [n, 7] and [n, 128]; landmarks [n, 468, 3] in the crop's pixels.
    mouth: np.ndarray
    code: np.ndarray
    points: np.ndarray
    aperture: np.ndarray
    speaking: np.ndarray
    #: The head's similarity (complex): gain and place in the crop's pixels; yaw and pitch.
    gain: np.ndarray
    place: np.ndarray
    pose: np.ndarray
    #: [H, W], 0 … 255.
    mask: np.ndarray
    folders: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.crops)


def prepared(data: Path) -> tuple[dict[str, Any], list[Path]]:
    """What `prepare` says of its data, and the folders of the clips that are used."""
    note = data / "data.json"
    if not note.exists():
        raise ClipError(f"{data} has no data.json: no such prepared data. Run `viseme-train prepare VIDEO {data}` first.")
    said = json.loads(note.read_text(encoding="utf-8"))
    return said, [data / clip["folder"] for clip in said["clips"] if not clip["refused"]]


def load(data: Path) -> Material:
    """Reads a prepared folder; about 0.4 MB a frame."""
    said, folders = prepared(data)
    width, height = said["crop"]
    parts: list[dict[str, np.ndarray]] = []
    for number, folder in enumerate(folders):
        with np.load(folder / "frames.npz") as saved:
            good = np.flatnonzero(saved["marks"] == 0)
            part = {key: saved[key][good] for key in ("boxes", "mouth", "code", "points", "aperture", "speaking")}
        part |= {"clip": np.full(len(good), number), "frame": good}
        part["points"] = part["points"] - np.concatenate([part["boxes"], np.zeros((len(good), 1))], 1)[:, None]
        parts.append(part)
    whole = {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
    # All at once: pictures kept one by one between those that come and go leave holes that two minutes of video fill the memory with.
    crops = np.empty((len(whole["frame"]), height + 2 * MARGIN, width + 2 * MARGIN, 3), np.uint8)
    for number, folder in enumerate(folders):
        places = {int(whole["frame"][n]): n for n in np.flatnonzero(whole["clip"] == number)}
        for k, image in scan.frames(folder, places.__contains__):
            x, y = (int(v) for v in whole["boxes"][places[k]])
            rows, columns = np.arange(y - MARGIN, y + height + MARGIN), np.arange(x - MARGIN, x + width + MARGIN)
            crops[places[k]] = image[np.clip(rows, 0, image.shape[0] - 1)[:, None], np.clip(columns, 0, image.shape[1] - 1)]
    points = whole["points"].astype(np.float32)
    heads = shape.heads(points)
    nose = (points[:, 4] - (points[:, shape.LEFT_TEMPLE] + points[:, shape.RIGHT_TEMPLE]) / 2) / shape.width(points)[:, None]
    return Material(size=(width, height), crops=crops, clip=whole["clip"], frame=whole["frame"], mouth=whole["mouth"].astype(np.float32),
                    code=whole["code"].astype(np.float32), points=points,
                    aperture=whole["aperture"], speaking=whole["speaking"], gain=heads.gain, place=heads.place, pose=nose[:, :2],
                    mask=make_mask(points, (width, height)), folders=tuple(folders))


def make_mask(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The lower face as it lies in most frames, with a feathered edge that ends inside the crop."""
    width, height = size
    often = np.zeros((height, width), np.float32)
    some = points[:: max(1, len(points) // 200), list(OUTLINE), :2]
    for p in some:
        often += cv2.fillConvexPoly(np.zeros((height, width), np.uint8), cv2.convexHull(p.round().astype(np.int32)), 1)
    # A jaw that falls a few times is covered as well.
    hard = (often > 0.05 * len(some)).astype(np.uint8)
    grown, feather = round(GROWTH * width), FEATHER * width
    hard = cv2.dilate(hard, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1)))
    # Not above the point under the nose: the philtrum stays original where it hardly moves.
    smooth = lambda x: np.clip(x, 0, 1) ** 2 * (3 - 2 * np.clip(x, 0, 1))
    soft = smooth(cv2.distanceTransform(hard, cv2.DIST_L2, 5) / feather)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside = smooth((np.minimum(x, width - x)[None] - 1) / feather) * smooth((np.minimum(y, height - y)[:, None] - 1) / feather)
    return np.asarray(np.round(soft * inside * 255).astype(np.uint8))


def held_out(speaking: np.ndarray, s: FitSettings) -> np.ndarray:
    """Numbers of the frames that training never sees, of all good ones: the end of the speech. Rest says little about a mouth."""
    least, most = (round(x * FPS) for x in s.held_out_seconds)
    count = min(most, max(least, round(s.held_out * len(speaking))))
    return np.flatnonzero(speaking)[-count:]


def split(m: Material, s: FitSettings) -> tuple[np.ndarray, np.ndarray]:
    """Frames to train on, and the held-out end. Between both are frames that nobody uses."""
    held = held_out(m.speaking, s)
    n = np.arange(len(m))
    return n[n < held[0] - s.apart], held


def references(m: Material, target: int, candidates: np.ndarray, s: FitSettings) -> np.ndarray:
    """Frames of another moment in poses like the target's, the most alike first."""
    same = m.clip[candidates] == m.clip[target]
    other = candidates[~same | (np.abs(m.frame[candidates] - m.frame[target]) >= s.apart)]
    # Another clip may have other light, which rendering never mixes.
    here = other[m.clip[other] == m.clip[target]]
    other = here if len(here) >= s.alike else other
    size = np.abs(np.log(np.abs(m.gain[other] / m.gain[target])))
    return other[np.argsort(np.linalg.norm(m.pose[other] - m.pose[target], axis=1) + size)][:s.alike]


def onto(m: Material, source: int, target: int) -> np.ndarray:
    """The similarity [2, 3] that moves the head of one frame onto that of another, in the crop's pixels."""
    a = m.gain[target] / m.gain[source]
    b = m.place[target] - a * m.place[source]
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def whole(m: Material) -> Window:
    return slice(0, m.size[0]), slice(0, m.size[1])


def warped(m: Material, index: int, move: np.ndarray, window: Window | None = None) -> np.ndarray:
    """A crop, or a part of it, moved: [h, w, 3]. Bilinear leaves .44 of the Laplacian's energy of teeth that are moved by half a pixel, this .89."""
    columns, rows = window or whole(m)
    into = move.copy()
    into[:, 2] -= move[:, :2] @ [MARGIN, MARGIN] + [columns.start, rows.start]  # the kept picture begins a margin further out
    size = columns.stop - columns.start, rows.stop - rows.start
    picture: np.ndarray = cv2.warpAffine(m.crops[index], into, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return picture


def pair(m: Material, target: int, reference: int, move: np.ndarray | None = None, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Reference and target as the painter gets them: around the mask both are the target. `move` varies both alike."""
    columns, rows = window or whole(m)
    if move is None:
        wanted = m.crops[target][MARGIN:, MARGIN:][rows, columns]
        given = warped(m, reference, onto(m, reference, target), window)
    else:
        full = np.vstack([onto(m, reference, target), [0, 0, 1]])
        wanted, given = warped(m, target, move, window), warped(m, reference, move @ full, window)
    share = m.mask[rows, columns, None].astype(np.float32) / 255
    return np.round(wanted + (given.astype(np.float32) - wanted) * share).astype(np.uint8), wanted


def variation(rng: np.random.Generator, size: tuple[int, int], s: FitSettings) -> np.ndarray:
    """A small move about the crop's middle. Not mirrored: no face is its own mirror image, and a painter of one face need not know the other."""
    turn, gain = rng.normal(0, s.turn / 2), np.exp(rng.normal(0, s.scale / 2))
    c, k = gain * np.cos(turn), gain * np.sin(turn)
    turned = np.array([[c, -k], [k, c]])
    middle = np.array(size) / 2 - 0.5
    return np.concatenate([turned, (middle - turned @ middle + rng.uniform(-s.shift, s.shift, 2))[:, None]], 1)


def mouth_window(m: Material) -> Window:
    """Columns and rows of the crop around the lips, in steps of the painter's coarsest grid: most steps of the training look at these only."""
    lips = m.points[:, list(LIPS), :2]
    low, high = np.percentile(lips.min(1), 5, axis=0), np.percentile(lips.max(1), 95, axis=0)
    reach = [(max(0, int(a // GRID) * GRID), min(size, int(-(-b // GRID)) * GRID)) for a, b, size in zip(low - 4, high + 4, m.size)]
    return slice(*reach[0]), slice(*reach[1])


def batch(m: Material, frames: np.ndarray, numbers: np.ndarray, s: FitSettings, rng: np.random.Generator, window: Window) -> tuple[torch.Tensor, ...]:
    """Image (B, 6, h, w), target (B, 3, h, w), numbers of the target's mouth (B, Z), how near its lips are (B, 1, h, w; 0 … 1); of a part of the crops."""
    columns, rows = window
    width, height = columns.stop - columns.start, rows.stop - rows.start
    image = np.empty((s.batch, height, width, 6), np.float32)
    target = np.empty((s.batch, height, width, 3), np.float32)
    lips = np.zeros((s.batch, height, width), np.float32)
    said = np.empty((s.batch, numbers.shape[1]), np.float32)
    hidden = (m.mask[rows, columns] == 0)[..., None]
    for b in range(s.batch):
        t = int(rng.choice(frames))
        move = variation(rng, m.size, s)
        given, wanted = pair(m, t, int(rng.choice(references(m, t, frames, s))), move, window)
        gain, offset = 1 + rng.normal(0, s.colour, 3), rng.normal(0, 255 * s.colour / 2, 1)
        light = lambda x, gain=gain, offset=offset: np.clip(x.astype(np.float32) * gain + offset, 0, 255) / 255
        image[b, ..., :3] = light(given)
        image[b, ..., 3:] = image[b, ..., :3] * hidden
        target[b] = light(wanted)
        outline = cv2.convexHull((m.points[t, list(LIPS), :2] @ move[:, :2].T + move[:, 2] - (columns.start, rows.start)).round().astype(np.int32))
        cv2.fillConvexPoly(lips[b], outline, 1.0)
        lips[b] = cv2.blur(cv2.dilate(lips[b], np.ones((13, 13), np.uint8)), (9, 9))
        said[b] = numbers[t] + rng.normal(0, s.noise, numbers.shape[1])
    planes = lambda x: torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return planes(image), planes(target), torch.from_numpy(said), torch.from_numpy(lips)[:, None]
