"""Writes the compact networks into an avatar pack: ONNX models, mask, golden tensors from PyTorch, their part of the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from viseme_train import checkpoint, onnx_file
from viseme_train.compact import front_end
from viseme_train.compact.networks import Generator
from viseme_train.compact.train_listener import Ear
from viseme_train.compact.train_painter import Hand
from viseme_train.onnx_file import ENCODER_TOLERANCE, GENERATOR_TOLERANCE

#: Mel windows, frame and template frame of the golden tensors.
WINDOWS, FRAME, TEMPLATE_FRAME = (0, 7, 15, 25), 14, 40


class Place(Protocol):
    """Where checkpoints are read from and the pack is written to."""

    @property
    def checkpoints(self) -> Path: ...
    @property
    def pack(self) -> Path: ...
    @property
    def press(self) -> tuple[float, float]: ...


def load(settings: Place, hand: Hand | None = None) -> tuple[Ear, Hand]:
    """The averaged weights of both trainings, as they are shipped; `hand` has a code of its own."""
    ear, hand = Ear(), hand or Hand()
    for model, name in ((ear, "listener"), (hand, "painter")):
        model.load_state_dict(checkpoint.load(settings.checkpoints / f"{name}.pth"), strict=True)
        model.eval()
    ear.listener.press(*settings.press)
    ear.level(onnx_file.golden_audio())
    return ear, hand


def write_mask(mask: np.ndarray, path: Path) -> None:
    """A binary PGM of 8 bits: 0 is the template, 255 what is drawn."""
    height, width = mask.shape
    path.write_bytes(f"P5\n{width} {height}\n255\n".encode() + mask.tobytes())


def image_input(roi: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The generator's image [6, H, W] of a roi [H, W, 3]: the roi, and the roi black wherever the mask is not 0; byte / 255."""
    both = np.concatenate([roi, roi * (mask == 0)[..., None]], 2)
    return np.ascontiguousarray(both.transpose(2, 0, 1)).astype(np.float32) / 255


def blend(roi: np.ndarray, drawn: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What is seen: the drawing [3, H, W], 0 … 1, over the roi [H, W, 3] by the mask."""
    share = (mask.astype(np.float32) / 255)[..., None]
    return np.round(np.clip(roi + (drawn.transpose(1, 2, 0) * 255 - roi) * share, 0, 255)).astype(np.uint8)


def write(settings: Place, template: np.ndarray, mask: np.ndarray, hand: Hand | None = None) -> dict[str, Any]:
    """Writes models, mask and golden tensors into the pack, all or nothing; gives `models`, `golden` and so on of its manifest.

    `template` are the rois of the decoded template, [poses, H, W, 3]. A model that differs from PyTorch is an error.
    """
    pack = settings.pack
    ear, hand = load(settings, hand)
    generator = Generator(ear.listener, hand.code, hand.painter).eval()
    articulator = ear.articulator()
    speech = onnx_file.golden_audio()
    windows = front_end.windows(front_end.mel(speech))
    mel = np.ascontiguousarray(windows[list(WINDOWS)])
    roi = np.ascontiguousarray(template[TEMPLATE_FRAME])
    image = image_input(roi, mask)[None]
    with torch.inference_mode():
        rows = ear.encoder(torch.from_numpy(windows)).numpy()
        features = ear.encoder(torch.from_numpy(mel)).numpy()
        audio = front_end.feature_window(rows, FRAME)[None]
        output = generator(torch.from_numpy(image), torch.from_numpy(audio)).numpy()
        articulation = articulator(torch.from_numpy(audio)).numpy()
    golden = {"speech.bin": (speech, "<f4"), "encoder.input.bin": (mel, "<f4"), "encoder.output.bin": (features, "<f4"), "generator.roi.u8": (roi, "u1"),
              "generator.audio.bin": (audio, "<f4"), "generator.output.bin": (output, "<f4"),
              "articulator.output.bin": (articulation, "<f4")}
    with onnx_file.files_of(pack) as scratch:
        onnx_file.write(ear.encoder, (torch.from_numpy(mel),), ["mel"], ["features"], scratch / "audio_encoder.onnx")
        onnx_file.write(generator, (torch.from_numpy(image), torch.from_numpy(audio)), ["image", "audio"], ["output"], scratch / "generator.onnx")
        onnx_file.write(articulator, (torch.from_numpy(audio),), ["audio"], ["articulation"], scratch / "articulator.onnx")
        onnx_file.check(scratch / "articulator.onnx", {"audio": audio}, articulation, ENCODER_TOLERANCE)
        onnx_file.check(scratch / "audio_encoder.onnx", {"mel": mel}, features, ENCODER_TOLERANCE)
        onnx_file.check(scratch / "generator.onnx", {"image": image, "audio": audio}, output, GENERATOR_TOLERANCE)
        write_mask(mask, scratch / "mask.pgm")
        for name, (array, kind) in golden.items():
            np.ascontiguousarray(array).astype(kind).tofile(scratch / f"golden.{name}")
    height, width = mask.shape
    return {
        "family": "compact",
        "featureWindow": "rows32",
        "mask": {"file": "mask.pgm", "sha256": checkpoint.sha256(pack / "mask.pgm")},
        "models": [
            {"role": "audio-encoder", "file": "audio_encoder.onnx", "sha256": checkpoint.sha256(pack / "audio_encoder.onnx"),
             "inputs": [{"name": "mel", "shape": ["B", front_end.BANDS, front_end.COLUMNS]}],
             "outputs": [{"name": "features", "shape": ["B", rows.shape[1]]}]},
            {"role": "generator", "file": "generator.onnx", "sha256": checkpoint.sha256(pack / "generator.onnx"),
             "inputs": [{"name": "image", "shape": ["B", 6, height, width]}, {"name": "audio", "shape": ["B", front_end.ROWS, rows.shape[1]]}],
             "outputs": [{"name": "output", "shape": ["B", 3, height, width]}]},
            {"role": "articulator", "file": "articulator.onnx", "sha256": checkpoint.sha256(pack / "articulator.onnx"),
             "inputs": [{"name": "audio", "shape": ["B", front_end.ROWS, rows.shape[1]]}],
             "outputs": [{"name": "articulation", "shape": ["B", articulation.shape[1]]}]}],
        "provenance": {"checkpoints": {f"{n}.pth": checkpoint.sha256(settings.checkpoints / f"{n}.pth") for n in ("listener", "painter")},
                       "converter": f"viseme_train, torch {torch.__version__.split('+')[0]}"},
        "golden": [{"role": "audio-encoder", "inputs": ["golden.encoder.input.bin"], "output": "golden.encoder.output.bin", "tolerance": ENCODER_TOLERANCE},
                   {"role": "generator", "inputs": ["golden.generator.roi.u8", "golden.generator.audio.bin"], "output": "golden.generator.output.bin",
                    "tolerance": GENERATOR_TOLERANCE},
                   {"role": "articulator", "inputs": ["golden.generator.audio.bin"], "output": "golden.articulator.output.bin",
                    "tolerance": ENCODER_TOLERANCE}],
        "goldenSpeech": {"samples": "golden.speech.bin", "windows": "golden.encoder.input.bin", "windowIndices": list(WINDOWS), "frame": FRAME,
                         "featureWindow": "golden.generator.audio.bin", "templateFrame": TEMPLATE_FRAME, "roi": "golden.generator.roi.u8"},
    }
