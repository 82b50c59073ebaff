"""Writes avatars/robin.avatar from the checkpoints: ONNX models with folded batch norm, goldens from PyTorch, the manifest.

    python export.py          needs avatars/robin.avatar/{template.mp4,crops.json} (dataset.py template)
                              and checkpoints/robin/{audio_visual_encoder.pth,<int>.pth}
"""
from __future__ import annotations

import copy
import hashlib
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

import audio_encoder
import dataset
import generator
import presenter
from dataset import PACK, ROOT, reference

CHECKPOINTS = ROOT / "training" / "checkpoints" / "robin"
OPSET = 17
GOLDEN_WINDOWS, GOLDEN_FRAME, GOLDEN_TEMPLATE = [0, 7, 15, 25], 14, 40


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def newest_generator() -> Path:
    paths = [p for p in CHECKPOINTS.glob("*.pth") if p.stem.isdigit()]
    if not paths:
        raise SystemExit(f"no <int>.pth in {CHECKPOINTS}: run train_generator.py first")
    return max(paths, key=lambda p: int(p.stem))


def load_generator(path: Path | None = None) -> generator.Generator:
    return generator.of_state(torch.load(path or newest_generator(), map_location="cpu", weights_only=True)).eval()


def fold(model: nn.Module) -> nn.Module:
    """A copy in which every convolution followed by a batch norm has swallowed it."""
    model = copy.deepcopy(model).eval()

    def merge(conv, bn):
        return torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)

    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i], module[i + 1] = merge(module[i], module[i + 1]), nn.Identity()
        if isinstance(module, generator.AudioBranch):
            for n in ("3", "5"):
                setattr(module, "conv" + n, merge(getattr(module, "conv" + n), getattr(module, "bn" + n)))
                setattr(module, "bn" + n, nn.Identity())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    return model


def to_onnx(model, inputs, names, output, path: Path) -> None:
    axes = {n: {0: "B"} for n in names + [output]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(fold(model), inputs, str(path), input_names=names, output_names=[output], dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = "viseme.tensors.sha256", tensor_digest(model)
    onnx.save(model, str(path))


def tensor_digest(model: onnx.ModelProto) -> str:
    """SHA-256 over the convolutions' weights, whatever their names and order: `viseme doctor` computes the same."""
    used = {name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]}
    lines = [f"{list(t.dims)} {hashlib.sha256(onnx.numpy_helper.to_array(t).astype('<f4').tobytes()).hexdigest()}\n"
             for t in model.graph.initializer if t.name in used]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def golden_audio() -> np.ndarray:
    """A second of something speech-like, from a formula."""
    t = np.arange(24000) / 16000
    voice = sum(np.sin(2 * np.pi * h * (120 + 20 * np.sin(2 * np.pi * 2 * t)) * t) / h for h in range(1, 24))
    return (voice * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * 0.08).astype(np.float32)


def main() -> None:
    torch.manual_seed(1)
    encoder_path, generator_path = CHECKPOINTS / "audio_visual_encoder.pth", newest_generator()
    encoder, model = audio_encoder.load(encoder_path), load_generator(generator_path)
    speech = golden_audio()
    windows = reference.windows(reference.mel(speech))
    mel = np.ascontiguousarray(windows[GOLDEN_WINDOWS][:, None])
    crop = dataset.template_crops()[GOLDEN_TEMPLATE]
    roi = np.ascontiguousarray(reference.roi(crop))
    with torch.inference_mode():
        rows = torch.cat([encoder(torch.from_numpy(np.ascontiguousarray(windows))[:, None])]).numpy()
        features = encoder(torch.from_numpy(mel)).numpy()
        audio = reference.feature_window(reference.audio_rows(rows), GOLDEN_FRAME)[None]
        image = reference.generator_input(roi)[None]
        output = model(torch.from_numpy(image), torch.from_numpy(audio)).numpy()
    to_onnx(encoder, (torch.from_numpy(mel),), ["mel"], "features", PACK / "audio_encoder.onnx")
    to_onnx(model, (torch.from_numpy(image), torch.from_numpy(audio)), ["image", "audio"], "output", PACK / "generator.onnx")
    for name, array, kind in (("speech.bin", speech, "<f4"), ("encoder.input.bin", mel, "<f4"), ("encoder.output.bin", features, "<f4"), ("generator.roi.u8", roi, "u1"),
                              ("generator.audio.bin", audio, "<f4"), ("generator.output.bin", output, "<f4")):
        np.ascontiguousarray(array).astype(kind).tofile(PACK / f"golden.{name}")
    # the exported models must say what PyTorch said, for one and for several
    e = onnxruntime.InferenceSession(str(PACK / "audio_encoder.onnx"), providers=["CPUExecutionProvider"])
    g = onnxruntime.InferenceSession(str(PACK / "generator.onnx"), providers=["CPUExecutionProvider"])
    de = float(np.abs(e.run(None, {"mel": mel})[0] - features).max())
    dg = float(np.abs(g.run(None, {"image": np.repeat(image, 3, 0), "audio": np.repeat(audio, 3, 0)})[0] - output).max())
    print(f"ONNX against PyTorch: encoder {de:.1e}, generator {dg:.1e}")
    if de > 1e-4 or dg > 1e-3:
        raise SystemExit("the export differs from PyTorch: not written")
    n = presenter.LOOP_FRAMES
    note = CHECKPOINTS / "training.json"
    trained = json.loads(note.read_text()) if note.exists() else {"note": "generator at random initialisation: a place-holder"}
    manifest = {
        "format": 1, "name": "robin", "fps": presenter.FPS, "width": presenter.WIDTH, "height": presenter.HEIGHT, "frames": n,
        "template": "template.mp4", "crops": "crops.json", "templateOrder": "ping-pong", "featureWindow": "rows16",
        "geometry": {"crop": reference.CROP, "roi": reference.ROI, "border": reference.BORDER, "mask": list(reference.MASK)},
        "colourOrder": "BGR", "valueRange": [0, 1], "idle": [0, n],
        "licence": "CC0-1.0", "consent": "Robin is drawn by a program and speaks with synthetic voices; no real person is depicted or was recorded.", "synthetic": True,
        "models": [
            {"role": "audio-encoder", "file": "audio_encoder.onnx", "sha256": sha256(PACK / "audio_encoder.onnx"),
             "inputs": [{"name": "mel", "shape": ["B", 1, 80, 16]}], "outputs": [{"name": "features", "shape": ["B", 512]}]},
            {"role": "generator", "file": "generator.onnx", "sha256": sha256(PACK / "generator.onnx"),
             "inputs": [{"name": "image", "shape": ["B", 6, 320, 320]}, {"name": "audio", "shape": ["B", 32, 16, 16]}], "outputs": [{"name": "output", "shape": ["B", 3, 320, 320]}]}],
        "provenance": {"checkpoints": {p.name: sha256(p) for p in (encoder_path, generator_path)},
                       "converter": f"training/export.py, torch {torch.__version__.split('+')[0]}",
                       "trainingData": "Synthetic speech (flite, festival, espeak-ng voices reading sentences written for this project) with its phone times turned into mouth "
                                       "parameters, and pictures drawn by training/presenter.py with those parameters. No recording or picture of a real person.",
                       "generatorChannels": list(model.channels), "training": trained},
        "golden": [{"role": "audio-encoder", "inputs": ["golden.encoder.input.bin"], "output": "golden.encoder.output.bin", "tolerance": 1e-4},
                   {"role": "generator", "inputs": ["golden.generator.roi.u8", "golden.generator.audio.bin"], "output": "golden.generator.output.bin", "tolerance": 1e-3}],
        "goldenSpeech": {"samples": "golden.speech.bin", "windows": "golden.encoder.input.bin", "windowIndices": GOLDEN_WINDOWS,
                         "frame": GOLDEN_FRAME, "featureWindow": "golden.generator.audio.bin", "templateFrame": GOLDEN_TEMPLATE, "roi": "golden.generator.roi.u8"},
    }
    (PACK / "avatar.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    total = sum(p.stat().st_size for p in PACK.iterdir())
    print(f"{PACK}: {total / 1e6:.1f} MB, generator {generator_path.name}, channels {model.channels}")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()
