"""Finds faces and their 468 landmarks: BlazeFace and the face mesh of MediaPipe, as ONNX files of this package.

Pictures are [H, W, 3] uint8, BGR. Landmarks are pixels (x, y) and a depth in pixels of the same scale that falls towards the camera.
`NOTICE` names the models, `convert_models` made the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime

MODELS = Path(__file__).with_name("models")
DETECTOR, LANDMARKS = "face_detection.onnx", "face_landmarks.onnx"
#: Edges of the models' pictures.
DETECTOR_SIZE, LANDMARK_SIZE = 128, 192
POINTS = 468
#: A detection or a mesh below this is none.
LEAST_SCORE = 0.5
#: Edge of the parts that a large picture is searched in when no face is found in the whole: the detector sees faces from a 17th of its picture on.
TILE = 480
#: Slightly moved copies of the square around a face: their mean jitters a third as much. Shift and size in shares of the edge, radians.
VARIATIONS = ((0.04, 0.04, 1.06, -0.06), (0.04, -0.04, 0.94, 0.06), (-0.04, 0.04, 0.94, -0.06), (-0.04, -0.04, 1.06, 0.06))
#: The edge of that square, in shares of the larger side of the landmarks' box.
MARGIN = 1.5
#: A face that moved by this share of its square since the last frame is looked at again, in the right place.
JUMP = 0.1
# Landmarks with a name: the outer corners of the eyes, as the picture shows them from the left.
LEFT_EYE, RIGHT_EYE = 33, 263


class Square(NamedTuple):
    """A turned square around a face: middle and edge in pixels, angle in radians."""

    x: float
    y: float
    edge: float
    angle: float

    def varied(self, right: float, down: float, size: float, angle: float) -> Square:
        return Square(self.x + right * self.edge, self.y + down * self.edge, self.edge * size, self.angle + angle)


class Mesh(NamedTuple):
    """A face: landmarks [468, 3], and how sure the model is that there is one, 0 … 1."""

    points: np.ndarray
    presence: float


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def _anchors() -> np.ndarray:
    """Middles of the detector's 896 anchors, 0 … 1."""
    parts = []
    for cells, count in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        parts.append(np.repeat(np.stack([(x + 0.5) / cells, (y + 0.5) / cells], -1).reshape(-1, 2), count, 0))
    return np.concatenate(parts).astype(np.float32)


def square_around(points: np.ndarray) -> Square:
    """The upright square of a face, for the next frame."""
    across = points[RIGHT_EYE, :2] - points[LEFT_EYE, :2]
    angle = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = points[:, :2] @ turn.T
    low, high = turned.min(0), turned.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return Square(float(x), float(y), MARGIN * float((high - low).max()), angle)


class Models:
    """Both networks, each on one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = lambda name: onnxruntime.InferenceSession(str(MODELS / name), options, providers=["CPUExecutionProvider"])
        self.detector, self.mesh, self.anchors = session(DETECTOR), session(LANDMARKS), _anchors()

    def faces(self, image: np.ndarray) -> list[Square]:
        """The squares of all faces, the largest first. Small ones are searched for in parts of the picture when the whole shows none."""
        found = self._detect(image)
        height, width = image.shape[:2]
        if not found and max(height, width) > TILE:
            for top in _starts(height):
                for left in _starts(width):
                    found += [s._replace(x=s.x + left, y=s.y + top) for s in self._detect(image[top:top + TILE, left:left + TILE])]
        found.sort(key=lambda s: -s.edge)
        apart: list[Square] = []
        for s in found:  # tiles overlap
            if all(np.hypot(s.x - o.x, s.y - o.y) > 0.4 * o.edge for o in apart):
                apart.append(s)
        return apart

    def _detect(self, image: np.ndarray) -> list[Square]:
        height, width = image.shape[:2]
        scale = DETECTOR_SIZE / max(height, width)
        small = cv2.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
        top, left = (DETECTOR_SIZE - small.shape[0]) // 2, (DETECTOR_SIZE - small.shape[1]) // 2
        picture = np.zeros((DETECTOR_SIZE, DETECTOR_SIZE, 3), np.uint8)
        picture[top:top + small.shape[0], left:left + small.shape[1]] = small
        planes = np.ascontiguousarray(picture[None, ..., ::-1].transpose(0, 3, 1, 2), np.float32) / 127.5 - 1
        boxes, scores = self.detector.run(["boxes", "scores"], {"picture": planes})
        sure = _sigmoid(scores.reshape(-1))
        keep = np.flatnonzero(sure > LEAST_SCORE)
        # Middle, size, and six points of each face; all but the size are relative to the anchor.
        values = boxes.reshape(-1, 8, 2)[keep] / DETECTOR_SIZE
        values[:, 0] += self.anchors[keep]
        values[:, 2:] += self.anchors[keep][:, None]
        found: list[Square] = []
        order = np.argsort(-sure[keep])
        while len(order):
            same = _overlap(values[order[0]], values[order]) > 0.3
            weight = sure[keep][order[same]][:, None, None]
            middle, size, *points = (values[order[same]] * weight).sum(0) / weight.sum() * DETECTOR_SIZE
            nose = (points[2] - (left, top)) / scale
            eyes = points[1] - points[0]
            found.append(Square(float(nose[0]), float(nose[1]), MARGIN * float(size.max()) / scale, float(np.arctan2(eyes[1], eyes[0]))))
            order = order[~same]
        return found

    def meshes(self, image: np.ndarray, squares: list[Square]) -> list[Mesh]:
        """The landmarks of the face in each square."""
        # A square much larger than the network's picture is shrunk by means first: bilinear samples of it would flicker.
        shrink = max(1, int(min(s.edge for s in squares) / LANDMARK_SIZE / 1.25))
        if shrink > 1:
            image = cv2.resize(image, (image.shape[1] // shrink, image.shape[0] // shrink), interpolation=cv2.INTER_AREA)
        planes = np.empty((len(squares), 3, LANDMARK_SIZE, LANDMARK_SIZE), np.float32)
        back = []
        for plane, s in zip(planes, squares):
            c, k = np.cos(s.angle) * LANDMARK_SIZE / s.edge * shrink, np.sin(s.angle) * LANDMARK_SIZE / s.edge * shrink
            into = np.array([[c, k, 0], [-k, c, 0]])
            # Pixel middles: the shrunken picture's are at (x + 0.5) / shrink − 0.5.
            into[:, 2] = LANDMARK_SIZE / 2 - into[:, :2] @ [(s.x + 0.5) / shrink - 0.5, (s.y + 0.5) / shrink - 0.5]
            plane[:] = cv2.warpAffine(image, into, (LANDMARK_SIZE, LANDMARK_SIZE), flags=cv2.INTER_LINEAR)[..., ::-1].transpose(2, 0, 1)
            back.append(cv2.invertAffineTransform(into))
        landmarks, presence = self.mesh.run(["landmarks", "presence"], {"picture": planes / 255})
        out = []
        for points, sure, s, inverse in zip(landmarks.reshape(-1, POINTS, 3), _sigmoid(presence.reshape(-1)), squares, back):
            flat = (points[:, :2] @ inverse[:, :2].T + inverse[:, 2] + 0.5) * shrink - 0.5
            out.append(Mesh(np.concatenate([flat, points[:, 2:] * s.edge / LANDMARK_SIZE], 1).astype(np.float32), float(sure)))
        return out


def _starts(length: int) -> list[int]:
    """Where the parts of a side begin: they overlap by a quarter or more."""
    count = max(1, -(-(length - TILE) // (TILE * 3 // 4)) + 1)
    return [0] if count == 1 else [round(i * (length - TILE) / (count - 1)) for i in range(count)]


def _overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [n, 8, 2] that begin with middle and size."""
    low, high = others[:, 0] - others[:, 1] / 2, others[:, 0] + others[:, 1] / 2
    both = np.clip(np.minimum(high, one[0] + one[1] / 2) - np.maximum(low, one[0] - one[1] / 2), 0, None).prod(1)
    union: np.ndarray = others[:, 1].prod(1) + one[1].prod() - both
    return np.asarray(both / np.maximum(union, 1e-9))


class Tracker:
    """Follows the largest face from frame to frame; where it is lost it is searched for anew.

    `square` is all that it remembers: a tracker that begins with the square of the frame before goes on exactly like this one.
    """

    def __init__(self, models: Models, square: Square | None = None) -> None:
        self.models, self.square = models, square

    def __call__(self, image: np.ndarray) -> Mesh | None:
        square = self.square
        self.square = None
        for searched in (False, True):
            if square is None:
                if not (found := self.models.faces(image)):
                    return None
                square, searched = found[0], True
            mesh = self._mean(image, square)
            around = square_around(mesh.points)
            if searched or np.hypot(around.x - square.x, around.y - square.y) > JUMP * square.edge:
                mesh = self._mean(image, around)
                around = square_around(mesh.points)
            if mesh.presence >= LEAST_SCORE:
                self.square = around
                return mesh
            if searched:
                return None
            square = None
        return None

    def _mean(self, image: np.ndarray, square: Square) -> Mesh:
        meshes = self.models.meshes(image, [square.varied(*v) for v in VARIATIONS])
        return Mesh(np.mean([m.points for m in meshes], 0), float(np.mean([m.presence for m in meshes])))
