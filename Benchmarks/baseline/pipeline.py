"""The straightforward Python pipeline that Viseme is compared with: librosa, ONNX Runtime, OpenCV, ffmpeg.

The same pack, the same frames, the same encoder settings as `viseme render`; written as one would write it, following
Tests/Fixtures/reference.py. Usage: pipeline.py PACK AUDIO OUT.mp4 [THREADS]
"""

import json
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests" / "Fixtures"))
import reference  # noqa: E402


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main(pack: Path, audio: Path, output: Path, threads: int) -> None:
    manifest = json.loads((pack / "avatar.json").read_text())
    squares = json.loads((pack / manifest["crops"]).read_text())["squares"]
    width, height, count = manifest["width"], manifest["height"], manifest["frames"]

    wave, _ = librosa.load(audio, sr=16000, mono=True)
    encoder = session(pack / "audio_encoder.onnx", threads)
    windows = reference.windows(reference.mel(wave))[:, None]
    features = np.concatenate([
        encoder.run(None, {encoder.get_inputs()[0].name: windows[k : k + 16]})[0] for k in range(0, len(windows), 16)
    ])
    rows = reference.audio_rows(features)
    generator = session(pack / "generator.onnx", threads)

    decode = ["ffmpeg", "-v", "error", "-i", str(pack / manifest["template"]), "-pix_fmt", "bgr24", "-f", "rawvideo", "-"]
    raw = subprocess.run(decode, check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(count, height, width, 3)
    encode = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", "25",
         "-i", "-", "-i", str(audio), "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p",
         "-threads", "1", "-c:a", "aac", str(output)], stdin=subprocess.PIPE)
    for k in range(reference.frame_count(len(wave))):
        index = reference.template_index(k, count)
        frame, square = frames[index], squares[index]
        crop = reference.crop328(frame, square)
        roi = reference.roi(crop)
        inputs = {"image": reference.generator_input(roi)[None], "audio": reference.feature_window(rows, k)[None]}
        mouth = reference.to_bytes(np.clip(generator.run(None, inputs)[0][0], 0, 1))
        encode.stdin.write(reference.paste(frame, square, crop, mouth).tobytes())
    encode.stdin.close()
    if encode.wait() != 0:
        raise SystemExit("ffmpeg failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
