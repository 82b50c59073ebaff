"""Clips for the tests of `viseme-train`: robin, speaking, and what people record by mistake."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import librosa
import numpy as np
import torch

from viseme_train import checkpoint
from viseme_train.avatar import hearing, video
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.compact.train_painter import Hand
from viseme_train.reference import template_index

ROOT = Path(__file__).resolve().parents[2]
PACK, PAINTER, SPEECH = ROOT / "avatars" / "robin.avatar", ROOT / "training" / "checkpoints" / "robin" / "painter.pth", ROOT / "samples" / "hello.wav"

SIZE = (640, 360)
Speech = tuple[np.ndarray, np.ndarray]
SHORT = PrepareSettings(least_speech=6)
#: Frames of the spoiled clip with a hand, and without a face.
HAND, EMPTY = slice(40, 60), slice(150, 160)


def robin(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Robin says hello: frames [n, H, W, 3] of her template with painted mouths, and the speech at 16 kHz."""
    wave = librosa.load(SPEECH, sr=video.SAMPLE_RATE)[0]
    mouths = torch.from_numpy(hearing.hear(hearing.load(), wave).mouth)
    squares = json.loads((PACK / "crops.json").read_text(encoding="utf-8"))["squares"]
    mask = torch.from_numpy(cv2.imread(str(PACK / "mask.pgm"), cv2.IMREAD_GRAYSCALE)).float() / 255
    hand = Hand()
    hand.load_state_dict(checkpoint.load(PAINTER), strict=True)
    hand.eval()
    template: dict[int, np.ndarray] = {}
    indices = [template_index(k, len(squares)) for k in range(len(mouths))]
    for k, image in enumerate(video.read(PACK / "template.mp4")):
        if k > max(indices):
            break
        template[k] = image
    frames = np.empty((len(mouths), size[1], size[0], 3), np.uint8)
    for k, index in enumerate(indices):
        image = template[index].copy()
        x1, y1, x2, y2 = squares[index]
        roi = torch.from_numpy(image[y1:y2, x1:x2].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            drawn = hand(torch.cat([roi, roi * (mask == 0)], 1), mouths[k:k + 1])
        image[y1:y2, x1:x2] = ((roi + (drawn - roi) * mask)[0].permute(1, 2, 0) * 255).round().byte().numpy()
        frames[k] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return frames, wave


def write(path: Path, frames: Iterable[np.ndarray], wave: np.ndarray | None, rate: int = 25, late: float = 0.0, times: list[float] | None = None,
          rotation: int = 0) -> Path:
    """A clip with H.264 and AAC. `late` delays the sound within the file, `times` says when each picture is shown, `rotation` how players turn it."""
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "16"})
        picture.pix_fmt, picture.codec_context.time_base = "yuv420p", Fraction(1, 12800)
        track: Any = None
        if wave is not None:
            track = container.add_stream("aac", rate=video.SAMPLE_RATE, layout="mono")
        for k, image in enumerate(frames):
            if k == 0:
                picture.height, picture.width = image.shape[:2]
                picture.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = round((times[k] if times else k / rate) * 12800), Fraction(1, 12800)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if wave is not None:
            for first in range(0, len(wave), 1024):
                sound = av.AudioFrame.from_ndarray(wave[None, first:first + 1024].astype(np.float32), format="fltp", layout="mono")
                sound.sample_rate, sound.time_base = video.SAMPLE_RATE, Fraction(1, video.SAMPLE_RATE)
                sound.pts = round(late * video.SAMPLE_RATE) + first
                container.mux(track.encode(sound))
            container.mux(track.encode(None))
    return path

