"""Pictures for the generator: the template loop, and drawn frames whose mouth belongs to known audio.

    python dataset.py template           avatars/robin.avatar/{template.mp4,crops.json}
    python dataset.py frames --count N   $VISEME_TRAINING_WORK/frames/*.npy, in chunks; stopped and continued at will

The reference of a frame at inference is the decoded template picture of the same pose, with its mouth closed. So the roi of a
template frame goes through H.264 here as well, and targets are drawn on the template's own poses.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

import presenter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "Fixtures"))
import reference  # noqa: E402

PACK = ROOT / "avatars" / "robin.avatar"
CHUNK = 500
SEED = 20


def work() -> Path:
    path = Path(os.environ.get("VISEME_TRAINING_WORK", ROOT / "training" / "work"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def drawn_roi(pose_index: int, mouth) -> np.ndarray:
    """The roi as inference would cut it from a drawing, [320, 320, 3] uint8 BGR."""
    picture = presenter.render_square(presenter.template_pose(pose_index), mouth)
    return reference.roi(cv2.resize(picture, (reference.CROP, reference.CROP), interpolation=cv2.INTER_CUBIC))


# ---------------------------------------------------------------- the template

def make_template() -> None:
    PACK.mkdir(parents=True, exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{presenter.WIDTH}x{presenter.HEIGHT}", "-r", str(presenter.FPS),
               "-i", "-", "-an", "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
               "-c:v", "libx264", "-preset", "slow", "-crf", "14", "-g", "12", "-keyint_min", "12", "-bf", "0", "-sc_threshold", "0",
               "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
               "-threads", "2", "-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact", str(PACK / "template.part.mp4")]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    squares = []
    for k in range(presenter.LOOP_FRAMES):
        pose = presenter.template_pose(k)
        squares.append(list(presenter.square(pose)))
        encoder.stdin.write(presenter.render(pose).tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit("ffmpeg failed")
    os.replace(PACK / "template.part.mp4", PACK / "template.mp4")
    (PACK / "crops.json").write_text(json.dumps({"squares": squares}, separators=(",", ":")) + "\n")
    (work() / "template_crops.npy").unlink(missing_ok=True)
    print(f"{PACK / 'template.mp4'}: {presenter.LOOP_FRAMES} frames, {(PACK / 'template.mp4').stat().st_size / 1e6:.1f} MB")


def template_frames() -> np.ndarray:
    """The decoded template, [n, 720, 1280, 3] uint8 BGR."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(PACK / "template.mp4"), "-vf", "scale=in_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_int",
                          "-f", "rawvideo", "-pix_fmt", "bgr24", "-"], stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, presenter.HEIGHT, presenter.WIDTH, 3)


def squares() -> list[list[int]]:
    return json.loads((PACK / "crops.json").read_text())["squares"]


def template_crops() -> np.ndarray:
    """The 328 crops of the decoded template, [n, 328, 328, 3] uint8."""
    path = work() / "template_crops.npy"
    if not path.exists():
        crops = np.stack([reference.crop328(f, s) for f, s in zip(template_frames(), squares())])
        np.save(path, crops)
    return np.load(path)


# ---------------------------------------------------------------- drawn frames

def make_frames(count: int, sources: tuple[int, ...] = (0, 1, 3, 4)) -> None:
    """Draws `count` frames; the mouths are those of these augmented copies of the corpus."""
    folder = work() / "frames"
    folder.mkdir(exist_ok=True)
    tracks = []
    for number in sources:
        with np.load(work() / "mels" / f"{number}.npz") as data:
            tracks.append(data["track"].astype(np.float32))
    opening = [t[:, 0] * (1 - t[:, 3]) for t in tracks]
    pools = []
    for t, a in zip(tracks, opening):
        move = np.abs(t).sum(1) > 0.02
        pools.append([np.flatnonzero(move), np.flatnonzero(t[:, 3] > 0.5), np.flatnonzero(a > 0.55), np.flatnonzero((t[:, 4] > .5) | (t[:, 6] > .6)),
                      np.flatnonzero(t[:, 2] > .6), np.flatnonzero(~move)])
    shares = [.52, .12, .12, .08, .10, .06]
    for chunk in range(-(-count // CHUNK)):
        path = folder / f"{chunk:03}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([SEED, chunk])
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
        np.save(folder / f"{chunk:03}.npy", images)
        np.savez(folder / f"{chunk:03}.part.npz", meta=meta, mouth=mouths)
        os.replace(folder / f"{chunk:03}.part.npz", path)
        print(f"frames {path.stem}: {(chunk + 1) * CHUNK}", flush=True)


def frames():
    """(list of memory-mapped picture chunks, meta [N, 3], mouth [N, 7])."""
    paths = sorted((work() / "frames").glob("[0-9][0-9][0-9].npz"))
    images = [np.load(p.with_suffix(".npy"), mmap_mode="r") for p in paths]
    loaded = [np.load(p) for p in paths]
    return images, np.concatenate([d["meta"] for d in loaded]), np.concatenate([d["mouth"] for d in loaded])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["template", "frames"])
    parser.add_argument("--count", type=int, default=12000)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    make_template() if arguments.what == "template" else make_frames(arguments.count)
