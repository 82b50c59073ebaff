"""Robin's pictures: the template loop, its rois, the mask, and drawn rois with their mouth parameters.

    python recipes/robin/pictures.py template          <pack>/template.mp4
    python recipes/robin/pictures.py --count 20000     <work>/pictures, in chunks; stopped and continued at will

The generator's picture at inference is the decoded template, so the template's rois go through H.264 here as well.

The roi is a part of the frame of one constant size that follows the face by whole pixels: crop and paste are copies.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import skia

import presenter
from viseme_train import checkpoint, config
from viseme_train.compact.settings import CompactConfig

SETTINGS = Path(__file__).with_name("robin.toml")
WIDTH, HEIGHT = 320, 224
#: Rows of the roi above the middle of the face's square: it begins under the nose and ends under the chin's shadow.
ABOVE = 98
CHUNK = 500
SEED = 9
#: Poses of a chunk: few, so that what lies behind the face is drawn once.
POSES = 40


def box(index: int) -> tuple[int, int, int, int]:
    """The roi of a template frame: x1, y1, x2, y2, ends exclusive."""
    points = presenter.landmarks(presenter.template_pose(index))
    left, top, right = float(points[1, 0]), float(points[52, 1]), float(points[31, 0])
    x = round((left + right) / 2 - WIDTH / 2)
    y = round(top + (right - left) / 2 - ABOVE)
    return x, y, x + WIDTH, y + HEIGHT


@lru_cache(2 * POSES)
def _behind(index: int) -> skia.Image:
    x, y, _, _ = box(index)
    surface = skia.Surface(WIDTH, HEIGHT)
    canvas = surface.getCanvas()
    canvas.translate(-x, -y)
    presenter.draw_behind(canvas, presenter.template_pose(index))
    return surface.makeImageSnapshot()


def draw(index: int, mouth: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """The roi of a template frame with another mouth, [H, W, 3] BGR."""
    x, y, _, _ = box(index)
    surface = skia.Surface(WIDTH, HEIGHT)
    canvas = surface.getCanvas()
    canvas.drawImage(_behind(index), 0, 0)
    canvas.translate(-x, -y)
    presenter.draw(canvas, presenter.template_pose(index), mouth, head_only=True)
    return np.ascontiguousarray(presenter.pixels(surface))


def _smooth(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def mask() -> np.ndarray:
    """Where the mouth ever changes a pixel, with a feathered edge that ends inside the roi: [H, W], 0 … 255."""
    change = np.zeros((HEIGHT, WIDTH), int)
    for index in range(0, presenter.LOOP_FRAMES, 9):
        rest = draw(index, presenter.REST).astype(int)
        for mouth in presenter.VISEMES.values():
            change = np.maximum(change, np.abs(draw(index, mouth).astype(int) - rest).max(2))
    disc = lambda size: cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    hard = cv2.morphologyEx(cv2.dilate((change > 3).astype(np.uint8), disc(9)), cv2.MORPH_CLOSE, disc(31))
    soft = _smooth(1 - cv2.distanceTransform(1 - hard, cv2.DIST_L2, 5) / 12)
    across = _smooth((WIDTH / 2 - np.abs(np.arange(WIDTH) + 0.5 - WIDTH / 2)) / 14)
    row = np.arange(HEIGHT) + 0.5
    down = _smooth((row - 1) / 14) * _smooth((HEIGHT - 1 - row) / 14)
    return np.round(soft * 255 * down[:, None] * across[None]).astype(np.uint8)


def film(settings: CompactConfig) -> None:
    """Draws the silent loop into the pack.

    Every render decodes it: without CABAC and deblocking that takes half the time, with one reference frame 5 MB less.
    """
    path = settings.pack / "template.mp4"
    with checkpoint.replacing(path) as scratch:
        command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{presenter.WIDTH}x{presenter.HEIGHT}", "-r", str(presenter.FPS),
                   "-i", "-", "-an", "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
                   "-c:v", "libx264", "-preset", "slow", "-tune", "fastdecode", "-refs", "1", "-crf", "14", "-g", "12", "-keyint_min", "12", "-bf", "0", "-sc_threshold", "0",
                   "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
                   "-threads", "2", "-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "mp4", str(scratch)]
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert encoder.stdin
        for k in range(presenter.LOOP_FRAMES):
            encoder.stdin.write(presenter.render(presenter.template_pose(k)).tobytes())
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit("ffmpeg failed")
    print(f"{path}: {presenter.LOOP_FRAMES} frames, {path.stat().st_size / 1e6:.1f} MB")


def template(pack: Path) -> np.ndarray:
    """The rois of the decoded template, [frames, H, W, 3] BGR."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(pack / "template.mp4"), "-vf",
                          "scale=in_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"],
                         stdout=subprocess.PIPE, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, presenter.HEIGHT, presenter.WIDTH, 3)
    boxes = [box(k) for k in range(len(frames))]
    return np.stack([frame[y1:y2, x1:x2] for frame, (x1, y1, x2, y2) in zip(frames, boxes)])


def make(settings: CompactConfig, count: int) -> None:
    """Writes what is missing of `<work>/pictures`."""
    folder = settings.work / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (("template", lambda: template(settings.pack)), ("mask", mask)):
        if not (folder / f"{name}.npy").exists():
            with checkpoint.replacing(folder / f"{name}.npy") as scratch:
                np.save(scratch, value())
    tracks = []
    for name in ("human-0", "synthetic-0", "human-1"):
        with np.load(settings.work / "shards" / f"{name}.npz") as data:
            tracks.append(data["track"].astype(np.float32))
    track = np.concatenate(tracks)
    opening = track[:, 0] * (1 - track[:, 3])
    moves = np.abs(track).sum(1) > 0.02
    pools = [np.flatnonzero(x) for x in (moves, track[:, 3] > 0.5, opening > 0.55, (track[:, 4] > 0.5) | (track[:, 6] > 0.6), track[:, 2] > 0.6, ~moves)]
    for chunk in range(-(-count // CHUNK)):
        path = folder / f"{chunk:03}.npz"
        if path.exists():
            continue
        r = np.random.default_rng([SEED, chunk])
        poses = r.choice(presenter.LOOP_FRAMES, POSES, replace=False)
        pose = r.choice(poses, CHUNK)
        mouth = np.stack([track[r.choice(pools[int(r.choice(6, p=[0.5, 0.12, 0.13, 0.08, 0.12, 0.05]))])] for _ in range(CHUNK)])
        other = (r.random(CHUNK) < 0.15) & (np.abs(mouth).sum(1) > 0.02)      # combinations that no phone asks for
        mouth[other] = np.clip(mouth[other] + r.normal(0, 0.08, (other.sum(), 7)), [0, -1, 0, 0, 0, 0, 0], 1)
        np.save(folder / f"{chunk:03}.npy", np.stack([draw(int(p), m) for p, m in zip(pose, mouth)]))
        with checkpoint.replacing(path) as scratch:
            np.savez(scratch, pose=pose, mouth=mouth)
        print(f"{(chunk + 1) * CHUNK} pictures", flush=True)


def main() -> None:
    parser = config.parser(__doc__, SETTINGS)
    parser.add_argument("what", nargs="?", choices=["template", "rois"], default="rois")
    parser.add_argument("--count", type=int, default=20_000, help="rois that are drawn")
    a = parser.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    cv2.setNumThreads(1)
    if a.what == "template":
        film(settings)
    else:
        make(settings, a.count)


if __name__ == "__main__":
    main()
