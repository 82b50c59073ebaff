"""A person who is nobody: robin's drawing with another face, hair, glasses and a beard, who reads aloud and then listens. A free clip for `viseme-train`.

    python recipes/robin/stand_in.py stand-in.mp4 --seconds 120 --listening 15

Mouth and voice are right to a frame: flite says when each phone sounds. Needs flite and ffmpeg.
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import skia
import soundfile

import presenter
import speech
from viseme_train import checkpoint, mouth
from viseme_train.phonemes import expand

RATE, PAUSE, VOICE, SEED = 16000, 0.35, "rms", 5
#: Shares of robin's face: broader and longer, the mouth lower.
BROADER, LONGER, LOWER = 1.06, 1.04, 4.0
PALETTE = {
    "SKIN": (150, 100, 74), "SKIN_LIGHT": (176, 124, 94), "SKIN_SHADE": (118, 74, 54), "SKIN_DEEP": (72, 42, 34),
    "HAIR": (52, 50, 54), "HAIR_LIGHT": (116, 112, 112), "HAIR_DARK": (24, 24, 28), "LIP_UP": (132, 66, 62), "LIP_LOW": (158, 84, 76), "LIP_LINE": (72, 32, 34),
    "KNIT": (52, 88, 120), "KNIT_LIGHT": (92, 134, 166), "KNIT_DARK": (24, 44, 66)}


def _beard(c: Any, g: dict[str, float]) -> None:
    """Chin and cheeks, short; it falls with the jaw."""
    points = presenter.face_points(g["drop"])
    right = [p for p in points[:11] if p[1] > 60]
    drop, low = g["drop"], presenter.MOUTH_Y + g["low"] + g["hl"] + 13
    inner = [(-74, presenter.MOUTH_Y - 6), (-66, low - 8 + 0.2 * drop), (0, low), (66, low - 8 + 0.2 * drop), (74, presenter.MOUTH_Y - 6)]
    beard = presenter.spline([*right, (0, 227 + drop), *((-x, y) for x, y in reversed(right)), *inner], tension=0.4)
    c.drawPath(beard, presenter.fill(presenter.HAIR, blur=3, alpha=0.8))
    c.save()
    c.clipPath(beard, doAntiAlias=True)
    r = random.Random(1)
    for _ in range(260):
        x, y = r.uniform(-150, 150), r.uniform(70, 240)
        y += drop * min(1.0, max(0.0, (y - 100) / 110))
        c.drawLine(x, y, x + 0.03 * x, y + 9, presenter.stroke(presenter.HAIR_LIGHT if r.random() < 0.3 else presenter.HAIR_DARK, 1.6, 0.5))
    c.restore()


def _glasses(c: Any, par: tuple[float, float]) -> None:
    c.save()
    c.translate(9 * par[0], 5 * par[1])
    frame = presenter.stroke((24, 22, 26), 5)
    for s in (-1, 1):
        c.drawRoundRect(skia.Rect.MakeLTRB(s * 70 - 50, -58, s * 70 + 50, 16), 22, 22, frame)
        c.drawLine(s * 120, -34, s * 166, -42, frame)
    c.drawPath(presenter.curve((-20, -30), (-8, -38), (8, -38), (20, -30)), frame)
    c.restore()


def put_on() -> None:
    """Makes robin somebody else, for this process."""
    for name, colour in PALETTE.items():
        setattr(presenter, name, colour)
    presenter.MOUTH_Y += LOWER
    plain_matrix, plain_folds, plain_hair = presenter.matrix, presenter._folds, presenter._hair_front

    def matrix(pose: presenter.Pose) -> Any:
        m = plain_matrix(pose)
        m.preScale(BROADER, LONGER)
        return m

    def folds(c: Any, g: dict[str, float], par: tuple[float, float]) -> None:
        _beard(c, g)
        plain_folds(c, g, par)

    def hair(c: Any, face: Any, par: tuple[float, float]) -> None:
        plain_hair(c, face, par)
        _glasses(c, par)

    presenter.matrix, presenter._folds, presenter._hair_front = matrix, folds, hair


def pose(t: float) -> presenter.Pose:
    """How the head moves while it talks: never the same way twice."""
    wave = lambda period, phase: math.sin(2 * math.pi * t / period + phase)
    return presenter.Pose(dx=9 * wave(5.3, 0) + 5 * wave(2.9, 1), dy=4 * wave(3.7, 2) + 3 * wave(1.9, 0.5), tilt=1.8 * wave(6.1, 1) + 0.8 * wave(2.3, 2),
                          scale=1 + 0.008 * wave(7.7, 0), yaw=0.4 * wave(4.9, 0.7) + 0.2 * wave(2.1, 2), pitch=0.35 * wave(4.3, 1.4) + 0.2 * wave(1.7, 0),
                          blink=max(0.0, 1 - abs((t + 0.9) % 3.3 - 0.9) / 0.12), gaze=0.3 * wave(6.7, 0), brow=0.4 * wave(3.1, 1), breath=wave(4.0, 0))


def read_aloud(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Speech at 16 kHz and the mouth of every frame [n, 7]."""
    lines = speech.sentences(SEED)["en"]
    random.Random(SEED).shuffle(lines)
    parts, phones, now = [np.zeros(RATE // 2, np.float32)], [], 0.5
    with tempfile.TemporaryDirectory() as folder:
        while now < seconds:
            wave, rate, spoken = speech.flite(lines.pop(), VOICE, 1.05, folder)
            wave = librosa.resample(wave, orig_sr=rate, target_sr=RATE)
            phones += [p for names, start, end in spoken for p in expand(names, start + now, end + now)]
            parts += [wave, np.zeros(round(PAUSE * RATE), np.float32)]
            now += len(wave) / RATE + PAUSE
    sound = np.concatenate(parts)
    return sound, mouth.track(phones, len(sound))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT.mp4")
    parser.add_argument("--seconds", type=float, default=120.0, help="of speech (default: %(default)s)")
    parser.add_argument("--listening", type=float, default=15.0, help="seconds of silence with a closed mouth at the end (default: %(default)s)")
    parser.add_argument("--height", type=int, default=720, help="of the frames in pixels (default: %(default)s)")
    a = parser.parse_args()
    put_on()
    sound, track = read_aloud(a.seconds)
    rest = round(a.listening * presenter.FPS)
    track = np.concatenate([track, np.zeros((rest, 7), np.float32)])
    sound = np.pad(sound, (0, rest * RATE // presenter.FPS))
    # A microphone in a room is never silent.
    sound += np.random.default_rng(SEED).normal(0, 3e-4, len(sound)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, checkpoint.replacing(a.out) as scratch:
        soundfile.write(f"{folder}/sound.wav", sound, RATE)
        command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{presenter.WIDTH}x{presenter.HEIGHT}", "-r", str(presenter.FPS),
                   "-i", "-", "-i", f"{folder}/sound.wav", "-vf", f"scale=-2:{a.height},format=yuv420p", "-c:v", "libx264", "-preset", "fast", "-crf", "16",
                   "-c:a", "aac", "-b:a", "128k", "-shortest", "-f", "mp4", str(scratch)]
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert encoder.stdin
        for k, row in enumerate(track):
            encoder.stdin.write(presenter.render(pose(k / presenter.FPS), row).tobytes())
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit("ffmpeg failed")
    print(f"{a.out}: {len(track) / presenter.FPS:.0f} s")


if __name__ == "__main__":
    main()
