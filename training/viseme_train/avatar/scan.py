"""The long pass over a clip: every frame at its prepared size, its landmarks, and what tells good frames from bad ones.

A clip is scanned in pieces of a few seconds. A piece is a video `NNN.mp4` and `NNN.npz`, the second one written last: what is there is
whole, and a run that was stopped goes on behind it. A piece begins with the tracker's square at the end of the piece before, so results do not depend on where a run was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from viseme_train import checkpoint
from viseme_train.avatar import shape, video
from viseme_train.avatar.face import POINTS, Models, Square, Tracker
from viseme_train.avatar.settings import PrepareSettings

#: Edges of the small pictures that are kept: the whole frame (width, height), and the lower face.
THUMB, PATCH = (64, 36), 48
#: The lower face's picture is this many face widths wide, and its middle lies so far below the eyes.
PATCH_WIDTH, PATCH_BELOW = 0.9, 0.62
#: Sharpness is measured on the upper face at this width, so that a large face counts like a small one.
SHARP_WIDTH = 160

#: Of every frame: landmarks, how sure, the source's time, other faces' size against the person's (−1: not looked for), sharpness, colour of the upper
#: face in Lab, the whole frame in grey, the lower face.
Scan = dict[str, np.ndarray]


class Piece:
    """The frames of one piece while they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, np.ndarray | float]] = []

    def add(self, picture: video.Picture, tracker: Tracker, settings: PrepareSettings) -> None:
        image = picture.image
        row: dict[str, np.ndarray | float] = {
            "points": np.full((POINTS, 3), np.nan, np.float32), "presence": 0.0, "time": picture.time, "other": -1.0, "sharp": 0.0,
            "colour": np.zeros(3, np.float32), "patch": np.zeros((PATCH, PATCH, 3), np.uint8),
            "thumb": cv2.cvtColor(cv2.resize(image, THUMB, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)}
        mesh = tracker(image)
        if mesh is not None:
            row |= {"points": mesh.points, "presence": mesh.presence} | look(image, mesh.points)
        if picture.number % settings.search_every == 0:
            row["other"] = second_face(tracker, image)
        self.rows.append(row)

    def scan(self) -> Scan:
        return {key: np.stack([np.asarray(r[key]) for r in self.rows]) for key in self.rows[0]}


def second_face(tracker: Tracker, image: np.ndarray) -> float:
    """The size of the largest other face against the tracked one, 0 without one."""
    own = tracker.square
    if own is None:
        return 0.0
    others = [s.edge / own.edge for s in tracker.models.faces(image) if np.hypot(s.x - own.x, s.y - own.y) > 0.5 * own.edge]
    return max(others, default=0.0)


def look(image: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray | float]:
    """Sharpness and colour of the upper face, and the lower face upright and of one size."""
    stable = points[list(shape.STABLE), :2]
    low = np.clip(np.floor(stable.min(0)), 0, None).astype(int)
    high = np.clip(np.ceil(stable.max(0)), 0, image.shape[1::-1]).astype(int)
    found: dict[str, np.ndarray | float] = {}
    upper = image[low[1]:high[1], low[0]:high[0]]
    if min(upper.shape[:2]) >= 8:
        found["colour"] = cv2.cvtColor(upper.mean((0, 1))[None, None].astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[0, 0]
        grey = cv2.cvtColor(upper, cv2.COLOR_BGR2GRAY)
        if grey.shape[1] > SHARP_WIDTH:
            grey = cv2.resize(grey, (SHARP_WIDTH, round(grey.shape[0] * SHARP_WIDTH / grey.shape[1])), interpolation=cv2.INTER_AREA)
        contrast = max(4.0, float(grey.std()))
        found["sharp"] = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / contrast
    eyes = points[263, :2] - points[33, :2]
    angle = np.arctan2(eyes[1], eyes[0])
    edge = PATCH_WIDTH * float(np.linalg.norm(points[shape.RIGHT_TEMPLE] - points[shape.LEFT_TEMPLE]))
    down = np.array([-np.sin(angle), np.cos(angle)]) * edge / PATCH_WIDTH * PATCH_BELOW
    middle = (points[263, :2] + points[33, :2]) / 2 + down
    gain = PATCH / edge
    into = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]]) * gain
    into[:, 2] = PATCH / 2 - into[:, :2] @ middle
    shrink = max(1, int(edge / PATCH / 1.5))
    if shrink > 1:
        corner = np.clip(middle - edge, 0, None).astype(int)
        part = image[corner[1]:int(middle[1] + edge), corner[0]:int(middle[0] + edge)]
        if min(part.shape[:2]) >= shrink:
            image = cv2.resize(part, (part.shape[1] // shrink, part.shape[0] // shrink), interpolation=cv2.INTER_AREA)
            into[:, 2] += into[:, :2] @ corner
            into[:, :2] *= shrink
    found["patch"] = cv2.warpAffine(image, into, (PATCH, PATCH), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def pieces(folder: Path) -> list[Path]:
    """The finished pieces of a clip, in order, up to the first one that is missing."""
    found: list[Path] = []
    while (path := folder / f"{len(found):03d}.npz").exists():
        found.append(path)
    return found


def load(folder: Path) -> Scan:
    """What the pieces so far tell, in one."""
    parts = []
    for path in pieces(folder):
        with np.load(path) as data:
            parts.append({key: data[key] for key in data.files if key != "square"})
    return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]} if parts else {}


def frames(folder: Path, wanted: Callable[[int], bool] = lambda k: True) -> Iterator[tuple[int, np.ndarray]]:
    """The prepared frames of a clip that are wanted, with their numbers. Pieces without such a frame are not opened."""
    first = 0
    for path in pieces(folder):
        with np.load(path) as data:
            count = len(data["presence"])
        if any(wanted(first + i) for i in range(count)):
            for i, image in enumerate(video.read(path.with_suffix(".mp4"))):
                if wanted(first + i):
                    yield first + i, image
        first += count


def scan(clip: video.Clip, folder: Path, size: tuple[int, int], models: Models, settings: PrepareSettings, limit: int,
         tick: Callable[[int], None], early: Callable[[Path], None]) -> None:
    """Scans what is missing of a clip, `limit` frames at most. `tick` hears of frames, `early` of every piece."""
    finished = pieces(folder)
    first, square = 0, None
    for path in finished:
        with np.load(path) as data:
            first += len(data["presence"])
            square = Square(*data["square"].tolist()) if np.isfinite(data["square"]).all() else None
    if (folder / "scanned").exists():
        return
    length = round(settings.piece * video.FPS)
    tracker = Tracker(models, square)
    number = len(finished)
    source = clip.frames(*size, first=first)
    while first < limit:
        piece = Piece()

        def coming(piece: Piece = piece, count: int = min(length, limit - first)) -> Iterator[np.ndarray]:
            while len(piece.rows) < count and (picture := next(source, None)) is not None:
                piece.add(picture, tracker, settings)
                tick(1)
                yield picture.image

        with checkpoint.replacing(folder / f"{number:03d}.mp4") as scratch:
            video.write(coming(), scratch)
            if not piece.rows:
                scratch.write_bytes(b"")
        if not piece.rows:
            (folder / f"{number:03d}.mp4").unlink()
            break
        with checkpoint.replacing(folder / f"{number:03d}.npz") as scratch:
            np.savez(scratch, square=np.array(tracker.square or [np.nan] * 4), **piece.scan())
        first += len(piece.rows)
        number += 1
        early(folder)
        if len(piece.rows) < min(length, limit - first + len(piece.rows)):
            break
    checkpoint.save_text("", folder / "scanned")
