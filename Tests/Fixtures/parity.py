"""Parity of the Swift pipeline with the Python reference on the default avatar.

    python Tests/Fixtures/parity.py --golden             write the golden rows and frames that the Swift tests compare with
    python Tests/Fixtures/parity.py --viseme BINARY      run both pipelines now and compare (`make parity`)

The reference is viseme_train/reference.py (librosa, OpenCV) with the PyTorch models of training/checkpoints/synctalk2d; a checkpoint that is
not the one that avatar.json names is an error. `--onnx` runs the pack's ONNX files with Python's ONNX Runtime instead, for
packs without a checkpoint. Bars: feature rows max|difference| <= 1e-3, PSNR inside the crop square >= 45 dB in every frame.
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import librosa
import numpy as np
import soundfile
import soxr

from viseme_train import reference

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "training" / "checkpoints" / "synctalk2d"
GOLDEN = ROOT / "Tests" / "VisemeCLITests" / "Golden" / "parity"
AUDIO = "samples/hello.wav"
FIRST, COUNT = 60, 100
CANVAS = 344  # every crop square fits; the video codec wants one size
ROWS_BAR, PSNR_BAR = 1e-3, 45.0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def speech(path: Path) -> np.ndarray:
    """Any file that libsndfile reads -> mono float at 16 kHz: channels averaged, soxr HQ."""
    wave, rate = soundfile.read(path, dtype="float64", always_2d=True)
    wave = wave.mean(axis=1)
    return wave if rate == reference.SAMPLE_RATE else soxr.resample(wave, rate, reference.SAMPLE_RATE, quality="HQ")


def torch_models(manifest):
    import torch

    from viseme_train.synctalk2d import audio_encoder, generator

    named = manifest["provenance"]["checkpoints"]
    paths = {name: CHECKPOINTS / name for name in named}
    for name, path in paths.items():
        if not path.exists() or sha256(path) != named[name]:
            raise SystemExit(f"{path} is not the checkpoint that avatar.json names: export the pack again, or use --onnx")
    encoder = audio_encoder.load(paths.pop("audio_visual_encoder.pth"))
    (path,) = paths.values()
    mouth = generator.of_state(torch.load(path, map_location="cpu", weights_only=True)).eval()

    def encode(windows):
        with torch.inference_mode():
            return encoder(torch.from_numpy(windows[:, None])).numpy()

    def generate(image, audio):
        with torch.inference_mode():
            return mouth(torch.from_numpy(image[None]), torch.from_numpy(audio[None]))[0].numpy()

    return encode, generate, f"PyTorch {torch.__version__}"


def onnx_models(pack):
    import onnxruntime

    def session(name):
        return onnxruntime.InferenceSession(str(pack / name), providers=["CPUExecutionProvider"])

    encoder, mouth = session("audio_encoder.onnx"), session("generator.onnx")
    names = {i.shape[1]: i.name for i in mouth.get_inputs()}  # by their channels: 6 of the image, 32 of the audio

    def encode(windows):
        return encoder.run(None, {encoder.get_inputs()[0].name: windows[:, None]})[0]

    def generate(image, audio):
        return mouth.run(None, {names[6]: image[None], names[32]: audio[None]})[0][0]

    return encode, generate, f"ONNX Runtime {onnxruntime.__version__}"


def template_frames(path: Path, width: int, height: int) -> np.ndarray:
    """All frames of the template as B G R bytes."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-sws_flags", "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"]
    raw = subprocess.run([*command, "-pix_fmt", "bgr24", "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def pipeline(pack: Path, audio: Path, frames: range, use_onnx: bool):
    """The reference from the audio file to the pasted frames: (audio rows, [(frame, square)], total frames, runtime)."""
    manifest = json.loads((pack / "avatar.json").read_text())
    squares = json.loads((pack / manifest["crops"]).read_text())["squares"]
    encode, generate, runtime = onnx_models(pack) if use_onnx else torch_models(manifest)
    wave = speech(audio)
    rows = reference.audio_rows(encode(reference.windows(reference.mel(wave))))
    template = template_frames(pack / manifest["template"], manifest["width"], manifest["height"])
    assert len(template) == manifest["frames"], (len(template), manifest["frames"])
    results = []
    for index in frames:
        k = reference.template_index(index, manifest["frames"])
        crop = reference.crop328(template[k], squares[k])
        image = reference.generator_input(reference.roi(crop))
        mouth = reference.to_bytes(generate(image, reference.feature_window(rows, index)))
        results.append((reference.paste(template[k], squares[k], crop, mouth), squares[k]))
    return rows, results, reference.frame_count(len(wave)), runtime


def inside(frame, square):
    x1, y1, x2, y2 = square
    return frame[y1:y2, x1:x2]


def psnr(a, b):
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def write_golden(pack: Path, use_onnx: bool):
    rows, results, total, runtime = pipeline(pack, ROOT / AUDIO, range(FIRST, FIRST + COUNT), use_onnx)
    assert total >= FIRST + COUNT, total
    GOLDEN.mkdir(parents=True, exist_ok=True)
    rows.astype("<f4").tofile(GOLDEN / "rows.f32")
    canvases = []
    for frame, square in results:
        cut = inside(frame, square)
        canvas = np.zeros((CANVAS, CANVAS, 3), np.uint8)
        canvas[: cut.shape[0], : cut.shape[1]] = cut
        canvases.append(canvas)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{CANVAS}x{CANVAS}", "-r", "25", "-i", "-"]
    video = GOLDEN / "squares.mkv"
    codec = ["-c:v", "libx264rgb", "-qp", "0", "-preset", "veryslow", "-g", "1000", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    subprocess.run([*command, *codec, str(video)], check=True, input=np.stack(canvases).tobytes())
    back = template_frames(video, CANVAS, CANVAS)
    assert (back == np.stack(canvases)).all(), "the golden video is not lossless"
    facts = {
        "audio": AUDIO,
        "audioSHA256": sha256(ROOT / AUDIO),
        "models": {name: sha256(pack / name) for name in ("audio_encoder.onnx", "generator.onnx")},
        "template": sha256(pack / "template.mp4"),
        "first": FIRST,
        "count": COUNT,
        "frames": total,
        "rows": len(rows),
        "squares": [square for _, square in results],
        "madeWith": f"{runtime}, librosa {librosa.__version__}, OpenCV {cv2.__version__}",
    }
    (GOLDEN / "parity.json").write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(path.stat().st_size for path in GOLDEN.iterdir()) / 1e6
    print(f"{GOLDEN.relative_to(ROOT)}: {len(rows)} rows, {COUNT} squares, {size:.2f} MB, {runtime}")


def compare(pack: Path, viseme: Path, audios, use_onnx: bool) -> bool:
    passed = True
    for audio in audios:
        total = reference.frame_count(len(speech(audio)))
        frames = range(min(FIRST, max(0, total - COUNT)), min(total, FIRST + COUNT))
        rows, results, _, runtime = pipeline(pack, audio, frames, use_onnx)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            subprocess.run([viseme, "features", audio, "-o", folder / "features", "--avatar", pack], check=True, capture_output=True)
            span = f"{frames.start}:{frames.stop}"
            subprocess.run(
                [viseme, "render", "--avatar", pack, "--audio", audio, "-o", folder / "images", "--range", span, "--format", "png"], check=True, capture_output=True)
            ours = np.load(folder / "features" / "features.npy")
            images = sorted((folder / "images").glob("*.png"))
            assert len(images) == len(results), (len(images), len(results))
            difference = float(np.abs(ours - rows).max()) if ours.shape == rows.shape else float("inf")
            levels = [psnr(inside(cv2.imread(str(p)), square), inside(frame, square)) for p, (frame, square) in zip(images, results)]
        good = difference <= ROWS_BAR and min(levels) >= PSNR_BAR
        passed &= good
        print(
            f"{audio.name}: rows {rows.shape} max|d| {difference:.2e} (<= {ROWS_BAR:g}); {len(levels)} frames, PSNR in the square "
            f"min {min(levels):.1f} median {np.median(levels):.1f} dB (>= {PSNR_BAR:g}); {runtime}: {'ok' if good else 'FAILED'}"
        )
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--viseme", type=Path)
    parser.add_argument("--pack", type=Path, default=ROOT / "Tests" / "Packs" / "synctalk2d.avatar")
    parser.add_argument("--onnx", action="store_true", help="the pack's ONNX files instead of the checkpoints")
    parser.add_argument("audio", nargs="*", type=Path, help="default: samples/*.wav")
    options = parser.parse_args()
    if options.golden:
        write_golden(options.pack, options.onnx)
    if options.viseme:
        audios = options.audio or sorted((ROOT / "samples").glob("*.wav"))
        if not compare(options.pack, options.viseme.resolve(), audios, options.onnx):
            raise SystemExit(1)
    if not options.golden and not options.viseme:
        parser.print_help()
        raise SystemExit(2)


if __name__ == "__main__":
    main()
