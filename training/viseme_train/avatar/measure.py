"""Figures of a painter on the held-out end: does the drawn mouth do what the filmed one did, and does it look like it?

References come from the training's frames, never from the target's own moment. The drawn mouth is measured like the filmed one: pasted into its frame,
landmarks by the same model.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from viseme_train import metrics
from viseme_train.avatar import material, scan, shape
from viseme_train.avatar.face import VARIATIONS, Models, square_around
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.material import Material
from viseme_train.avatar.settings import FitSettings
from viseme_train.compact import export
from viseme_train.compact.train_painter import Hand

LAGS = range(-3, 4)
#: Frames at most that a measurement draws, and columns of the grid.
MOST, GRID = 150, 8


@dataclass(frozen=True)
class Figures:
    """On the held-out end. r: Pearson's; ratios: drawn against true; PSNR inside the mask in dB."""

    opening_r: float
    lag: int
    width_r: float
    wrong_sound_r: float
    opening_ratio: float
    spread_ratio: float
    texture_ratio: float
    psnr: float
    #: Of the best copy of a training frame, moved onto the target's head.
    copy_psnr: float
    #: Step at the mask's edge, drawn against true.
    edge_ratio: float
    #: Change of the mouth from frame to frame, drawn against true: above 1 it flickers.
    motion_ratio: float

    @property
    def score(self) -> float:
        """What early stopping goes by."""
        return self.opening_r + self.width_r / 2 + min(self.texture_ratio, 1 / max(self.texture_ratio, 1e-3)) / 2 + self.psnr / 40

    def line(self) -> str:
        return (f"opening r {self.opening_r:.2f}, width {self.width_r:.2f}, wrong sound {self.wrong_sound_r:.2f}, texture {self.texture_ratio:.2f}, "
                f"{self.psnr:.1f} dB (best copy {self.copy_psnr:.1f})")


def texture(picture: np.ndarray, where: np.ndarray) -> float:
    """High frequencies of a part of a picture: mean square of the Laplacian in grey."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float((cv2.Laplacian(grey, cv2.CV_32F)[where] ** 2).mean())


def edge_step(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean step between neighbours along the outer border of the mask, in grey levels."""
    inside = (mask > 0).astype(np.uint8)
    border = (cv2.dilate(inside, np.ones((3, 3), np.uint8)) - cv2.erode(inside, np.ones((3, 3), np.uint8))) > 0
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    step = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1))
    return float(step[border].mean())


class Judge:
    """Everything about the held-out frames that no painter changes."""

    def __init__(self, m: Material, train: np.ndarray, held: np.ndarray, s: FitSettings) -> None:
        self.m, self.models = m, Models()
        self.held = held[:MOST]
        # At rest, as a template is: of the frames in a like pose the one with the most closed mouth.
        self.reference = [min(material.references(m, int(k), train, s), key=lambda r: m.aperture[r]) for k in self.held]
        self.pairs = [material.pair(m, int(k), int(r)) for k, r in zip(self.held, self.reference)]
        # Speech of another moment: half of the training away from any order.
        spoken = train[m.speaking[train]]
        self.wrong = spoken[(np.arange(len(self.held)) + len(spoken) // 2) % len(spoken)]
        self.frames: list[np.ndarray] = []
        self.corner: list[tuple[int, int]] = []
        for number, folder in enumerate(m.folders):
            here = {int(f) for f in m.frame[self.held[m.clip[self.held] == number]]}
            if here:
                with np.load(folder / "frames.npz") as saved:
                    boxes = saved["boxes"]
                for k, image in scan.frames(folder, here.__contains__):
                    self.frames.append(image)
                    self.corner.append((int(boxes[k][0]), int(boxes[k][1])))
        inner = m.mask > 0
        self.inner = inner
        lips = np.median(m.points[train][:, list(material.LIPS), :2], 0)
        place = cv2.fillConvexPoly(np.zeros(m.mask.shape, np.uint8), cv2.convexHull(lips.round().astype(np.int32)), 1)
        self.mouth = cv2.dilate(place, np.ones((15, 15), np.uint8)) > 0
        self.true = self._landmarks([wanted for _, wanted in self.pairs])
        some = train[:: max(1, len(train) // 100)]
        copies = []
        for k, (_, wanted) in zip(self.held[::3], self.pairs[::3]):
            moved = (material.warped(m, int(r), material.onto(m, int(r), int(k))) for r in some)
            copies.append(min(cv2.norm(copy, wanted, cv2.NORM_L2SQR, m.mask) for copy in moved) / (3 * inner.sum()))
        self.copy = float(10 * np.log10(255 ** 2 / np.mean(copies)))

    def _landmarks(self, crops: list[np.ndarray]) -> np.ndarray:
        """Landmarks of crops in their frames: [n, 468, 3]."""
        out = []
        width, height = self.m.size
        for picture, frame, (x, y), k in zip(crops, self.frames, self.corner, self.held):
            image = frame.copy()
            image[y:y + height, x:x + width] = picture
            square = square_around(self.m.points[k] + np.array([x, y, 0]))
            out.append(np.mean([mesh.points for mesh in self.models.meshes(image, [square.varied(*v) for v in VARIATIONS])], 0))
        return np.stack(out)

    def draw(self, painter: Hand, mouth: torch.Tensor) -> list[np.ndarray]:
        """What is seen of every held-out frame with the numbers of these mouths [n, Z]."""
        device = next(painter.parameters()).device
        out = []
        for (given, _), numbers in zip(self.pairs, mouth):
            image = torch.from_numpy(export.image_input(given, self.m.mask))[None].to(device)
            with torch.inference_mode():
                drawn = painter(image, numbers[None].to(device))[0].float().cpu().numpy()
            out.append(export.blend(given, drawn, self.m.mask))
        return out

    def _motion(self, pictures: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(b.astype(np.float32) - a)[self.mouth].mean() for a, b in zip(pictures, pictures[1:])]))

    def measure(self, painter: Hand) -> tuple[Figures, np.ndarray]:
        """Figures, and a grid of pictures: truth, drawn, closed mouth, wrong sound."""
        was_training = painter.training
        painter.eval()
        m, code = self.m, painter.code
        assert isinstance(code, PersonCode)
        heard = lambda k: code.numbers(*(torch.from_numpy(x[k]).to(code.closed.device) for x in (m.mouth, m.code)))
        drawn, wrong = self.draw(painter, heard(self.held)), self.draw(painter, heard(self.wrong))
        seen, other = self._landmarks(drawn), self._landmarks(wrong)
        opened, said, misled = shape.aperture(self.true), shape.aperture(seen), shape.aperture(other)

        def at(lag: int) -> float:
            a, b = (said[:len(said) - lag], opened[lag:]) if lag >= 0 else (said[-lag:], opened[:lag])
            return metrics.correlation(a, b)
        lag = max(LAGS, key=at)
        truth = [wanted for _, wanted in self.pairs]
        error = np.mean([((d.astype(np.float32) - t)[self.inner] ** 2).mean() for d, t in zip(drawn, truth)])
        ratio = lambda f: float(np.mean([f(d) for d in drawn]) / np.mean([f(t) for t in truth]))
        figures = Figures(
            opening_r=at(0), lag=lag, width_r=metrics.correlation(shape.mouth_width(seen), shape.mouth_width(self.true)),
            wrong_sound_r=max(metrics.correlation(misled, opened), -1.0), opening_ratio=float(said.mean() / opened.mean()), spread_ratio=float(said.std() / opened.std()),
            texture_ratio=ratio(lambda p: texture(p, self.mouth)), psnr=float(10 * np.log10(255 ** 2 / error)), copy_psnr=self.copy,
            edge_ratio=ratio(lambda p: edge_step(p, m.mask)), motion_ratio=self._motion(drawn) / self._motion(truth))
        some = np.linspace(0, len(self.held) - 1, min(GRID, len(self.held))).round().astype(int)
        closed = self.draw(painter, code.closed.expand(len(self.held), -1))
        rows = [np.concatenate([pictures[i] for i in some], 1) for pictures in (truth, drawn, closed, wrong)]
        painter.train(was_training)
        return figures, np.concatenate(rows, 0)
