"""The straightforward Python pipeline that Viseme is compared with: librosa, ONNX Runtime or PyTorch, OpenCV, ffmpeg.

The same pack, the same frames, the same encoder settings as `viseme render`; written as one would write it, following
training/viseme_train/reference.py. Usage: pipeline.py [--torch [--checkpoint FILE]] PACK AUDIO OUT.mp4 [THREADS]. Prints what it used, as JSON.
"""

import argparse
import json
import os
import resource
import subprocess
from pathlib import Path

import librosa
import numpy as np

from viseme_train import reference


def onnx_model(path: Path, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0], [tensor.name for tensor in session.get_inputs()]


def torch_model(path: Path, threads: int):
    from torch_model import TorchModel

    model = TorchModel(path, threads)
    return model, model.inputs


def checkpoint_model(path: Path, threads: int):
    """The generator as it was trained, batch normalisation and all."""
    import torch

    from viseme_train.synctalk2d import generator

    if threads:
        torch.set_num_threads(threads)
    network = generator.of_state(torch.load(path)).eval()

    @torch.inference_mode()
    def run(inputs):
        return network(*(torch.from_numpy(inputs[name]).float() for name in ("image", "audio"))).numpy()

    return run, ["image", "audio"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--torch", action="store_true", help="PyTorch runs the networks, eagerly")
    parser.add_argument("--checkpoint", type=Path, help="the generator's checkpoint, for PyTorch; else its ONNX file is run")
    parser.add_argument("--models", type=Path, help="another pack to take the networks from: what an int8 pack was made of")
    parser.add_argument("pack", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("threads", type=int, nargs="?", default=0)
    arguments = parser.parse_args()
    pack, threads = arguments.pack, arguments.threads
    load = torch_model if arguments.torch else onnx_model
    if 0 < threads < os.cpu_count():  # for everything, as viseme bench does with Viseme
        os.sched_setaffinity(0, set(range(threads)))
    manifest = json.loads((pack / "avatar.json").read_text())
    squares = json.loads((pack / manifest["crops"]).read_text())["squares"]
    width, height, count = manifest["width"], manifest["height"], manifest["frames"]
    models = arguments.models or pack
    described = json.loads((models / "avatar.json").read_text())["models"]
    files = {model["role"]: models / model["file"] for model in described}

    wave, _ = librosa.load(arguments.audio, sr=16000, mono=True)
    encoder, (mel,) = load(files["audio-encoder"], threads)
    windows = reference.windows(reference.mel(wave))[:, None]
    features = np.concatenate([encoder({mel: windows[k : k + 16]}) for k in range(0, len(windows), 16)])
    rows = reference.audio_rows(features)
    generator, _ = checkpoint_model(arguments.checkpoint, threads) if arguments.checkpoint else load(files["generator"], threads)

    decode = ["ffmpeg", "-v", "error", "-i", str(pack / manifest["template"]), "-pix_fmt", "bgr24", "-f", "rawvideo", "-"]
    raw = subprocess.run(decode, check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(count, height, width, 3)
    encode = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", "25",
         "-i", "-", "-i", str(arguments.audio), "-c:v", "libx264", "-preset", "superfast", "-x264-params",
         "mbtree=0:subme=2:b-adapt=0:b-pyramid=0:weightp=0:scenecut=0", "-crf", "18", "-pix_fmt", "yuv420p",
         "-threads", "1", "-c:a", "aac", str(arguments.output)], stdin=subprocess.PIPE)
    total = reference.frame_count(len(wave))
    for k in range(total):
        index = reference.template_index(k, count)
        frame, square = frames[index], squares[index]
        crop = reference.crop328(frame, square)
        roi = reference.roi(crop)
        inputs = {"image": reference.generator_input(roi)[None], "audio": reference.feature_window(rows, k)[None]}
        mouth = reference.to_bytes(np.clip(generator(inputs)[0], 0, 1))
        encode.stdin.write(reference.paste(frame, square, crop, mouth).tobytes())
    encode.stdin.close()
    if encode.wait() != 0:
        raise SystemExit("ffmpeg failed")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({
        "frames": total, "cpuSeconds": sum(u.ru_utime + u.ru_stime for u in used),
        "peakMemoryBytes": used[0].ru_maxrss * 1024,  # of this process; ffmpeg's is its own
    }))


if __name__ == "__main__":
    main()
