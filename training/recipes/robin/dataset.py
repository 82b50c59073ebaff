"""Pictures for the generator: the template loop, and drawn frames whose mouth belongs to known audio.

    python dataset.py template           avatars/robin.avatar/{template.mp4,crops.json}
    python dataset.py frames [--count N] $VISEME_TRAINING_WORK/frames/*.npy, in chunks; stopped and continued at will

The reference of a frame at inference is the decoded template picture of the same pose, with its mouth closed. So the roi of a
template frame goes through H.264 here as well, and targets are drawn on the template's own poses.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import presenter
from viseme_train import config, reference
from viseme_train.checkpoint import replacing, save_text
from viseme_train.config import Config

SETTINGS = Path(__file__).with_name("robin.toml")
CHUNK = 500


def drawn_roi(pose_index: int, mouth: Sequence[float] | np.ndarray) -> np.ndarray:
    """The roi as inference would cut it from a drawing, [320, 320, 3] uint8 BGR."""
    picture = presenter.render_square(presenter.template_pose(pose_index), mouth)
    return reference.roi(cv2.resize(picture, (reference.CROP, reference.CROP), interpolation=cv2.INTER_CUBIC))


# ---------------------------------------------------------------- the template

def make_template(settings: Config) -> None:
    path = settings.pack / "template.mp4"
    with replacing(path) as scratch:
        command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{presenter.WIDTH}x{presenter.HEIGHT}", "-r", str(presenter.FPS),
                   "-i", "-", "-an", "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
                   "-c:v", "libx264", "-preset", "slow", "-crf", "14", "-g", "12", "-keyint_min", "12", "-bf", "0", "-sc_threshold", "0",
                   "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
                   "-threads", "2", "-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact", str(scratch)]
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert encoder.stdin
        found = []
        for k in range(presenter.LOOP_FRAMES):
            pose = presenter.template_pose(k)
            found.append(list(presenter.square(pose)))
            encoder.stdin.write(presenter.render(pose).tobytes())
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit("ffmpeg failed")
    save_text(json.dumps({"squares": found}, separators=(",", ":")) + "\n", settings.pack / "crops.json")
    (settings.work / "template_crops.npy").unlink(missing_ok=True)
    print(f"{path}: {presenter.LOOP_FRAMES} frames, {path.stat().st_size / 1e6:.1f} MB")


def template_frames(settings: Config) -> np.ndarray:
    """The decoded template, [n, 720, 1280, 3] uint8 BGR."""
    command = ["ffmpeg", "-v", "error", "-i", str(settings.pack / "template.mp4"), "-vf", "scale=in_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_int",
               "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, presenter.HEIGHT, presenter.WIDTH, 3)


def squares(settings: Config) -> list[list[int]]:
    found: list[list[int]] = json.loads((settings.pack / "crops.json").read_text())["squares"]
    return found


def template_crops(settings: Config) -> np.ndarray:
    """The 328 crops of the decoded template, [n, 328, 328, 3] uint8; kept in the work folder, where training reads them."""
    path = settings.work / "template_crops.npy"
    if not path.exists():
        crops = np.stack([reference.crop328(f, s) for f, s in zip(template_frames(settings), squares(settings))])
        with replacing(path) as scratch:
            np.save(scratch, crops)
    return np.load(path)


# ---------------------------------------------------------------- drawn frames

def make_frames(settings: Config, count: int) -> None:
    """Draws `count` frames; the mouths are those of the augmented copies that the settings name."""
    sources = settings.frames.sources
    tracks = []
    for number in sources:
        with np.load(settings.work / "mels" / f"{number}.npz") as data:
            tracks.append(data["track"].astype(np.float32))
    pools = []
    for t in tracks:
        move, opening = np.abs(t).sum(1) > 0.02, t[:, 0] * (1 - t[:, 3])
        pools.append([np.flatnonzero(kind) for kind in (move, t[:, 3] > 0.5, opening > 0.55, (t[:, 4] > .5) | (t[:, 6] > .6), t[:, 2] > .6, ~move)])
    shares = [.52, .12, .12, .08, .10, .06]
    for chunk in range(-(-count // CHUNK)):
        path = settings.work / "frames" / f"{chunk:03}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([settings.frames.seed, chunk])
        images = np.empty((CHUNK, 320, 320, 3), np.uint8)
        meta = np.empty((CHUNK, 3), np.int64)           # copy, frame within the copy, pose
        mouths = np.empty((CHUNK, 7), np.float32)
        for i in range(CHUNK):
            s = int(rng.integers(len(tracks)))
            pool = pools[s][int(rng.choice(6, p=shares))]
            f = int(pool[rng.integers(len(pool))])
            p = int(rng.integers(presenter.LOOP_FRAMES))
            meta[i], mouths[i] = (sources[s], f, p), tracks[s][f]
            images[i] = drawn_roi(p, mouths[i])
        with replacing(path.with_suffix(".npy")) as scratch:
            np.save(scratch, images)
        with replacing(path) as scratch:
            np.savez(scratch, meta=meta, mouth=mouths)
        print(f"frames {path.stem}: {(chunk + 1) * CHUNK}", flush=True)


def main() -> None:
    parser = config.parser(__doc__, SETTINGS)
    parser.add_argument("what", choices=["template", "frames"])
    parser.add_argument("--count", type=int, help="instead of the settings'")
    arguments = parser.parse_args()
    settings = config.chosen(arguments)
    cv2.setNumThreads(1)
    if arguments.what == "template":
        make_template(settings)
    else:
        make_frames(settings, arguments.count or settings.frames.count)


if __name__ == "__main__":
    main()
