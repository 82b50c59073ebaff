"""Makes the golden files and the tiny models of the tests. `make golden` runs it; it is seeded and offline.

    python Tests/Fixtures/make_golden.py

It writes Tests/VisemeTests/Golden (front end, resampling, compositing, digests), Tests/VisemeONNXTests/Models (tiny
real models and broken ones) and Tests/VisemeCLITests/Golden (a tiny avatar pack). Nothing in it is anyone's voice or
face: sounds are sums of harmonics and noise, pictures are gradients, noise and ellipses.
"""

import hashlib
import json
import shutil
import sys
import wave
from pathlib import Path

import cv2
import librosa
import numpy as np
import onnx
import scipy
from onnx import TensorProto, helper, numpy_helper

from viseme_train import reference
from viseme_train.compact import front_end

SEED = 20250727
TESTS = Path(__file__).resolve().parent.parent
CORE = TESTS / "VisemeTests" / "Golden"
MODELS = TESTS / "VisemeONNXTests" / "Models"
PACKS = TESTS / "VisemeCLITests" / "Golden"


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# --- sounds -----------------------------------------------------------------------------------------------------------


def voice(seconds: float, seed: int) -> np.ndarray:
    """Something voiced: gliding harmonics under moving formants, a few bursts of noise, pauses of digital silence."""
    rng = np.random.default_rng(seed)
    count = int(seconds * reference.SAMPLE_RATE)
    time = np.arange(count) / reference.SAMPLE_RATE
    pitch = 120 * 2 ** (0.3 * np.sin(2 * np.pi * 0.7 * time + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / reference.SAMPLE_RATE
    first = 500 + 250 * np.sin(2 * np.pi * 3.1 * time)
    second = 1500 + 600 * np.sin(2 * np.pi * 2.3 * time + 1)
    sound = np.zeros(count)
    for harmonic in range(1, 30):
        frequency = harmonic * pitch
        gain = 1 / (1 + ((frequency - first) / 120) ** 2) + 0.5 / (1 + ((frequency - second) / 200) ** 2)
        sound += gain * np.sin(harmonic * phase)
    sound *= np.clip(np.sin(2 * np.pi * 1.9 * time), 0, 1)
    noise = rng.standard_normal(count) * np.clip(np.sin(2 * np.pi * 1.3 * time + 2), 0, 1) ** 4
    sound = 0.25 * sound + 0.05 * noise
    sound[int(0.45 * count) : int(0.55 * count)] = 0
    return np.clip(np.round(sound / np.abs(sound).max() * 0.7 * 32768), -32768, 32767).astype("<i2")


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def make_front_end():
    cases = []
    for name, samples in [
        ("voice-a", voice(2.5, SEED)),
        ("voice-b", voice(2.013, SEED + 1)),
        ("short", voice(0.1, SEED + 2)),
        ("odd", voice(0.7716875, SEED + 3)),
    ]:
        write_wav(CORE / f"{name}.wav", samples)
        mel = reference.mel(samples / 32768)
        mel.tofile(CORE / f"{name}.mel.f32")
        cases.append(
            {
                "name": name,
                "samples": len(samples),
                "columns": mel.shape[1],
                "windows": reference.window_count(mel.shape[1]),
                "frames": reference.frame_count(len(samples)),
            }
        )
    make_compact_front_end()
    # What two well-known mistakes make of voice-a: the distances prove that the golden tells them apart.
    samples = voice(2.5, SEED) / 32768
    right = reference.mel(samples)
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    htk = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600, htk=True)
    spectrum = np.abs(librosa.stft(emphasised, n_fft=800, hop_length=200, pad_mode="constant"))
    wrong_scale = np.clip(8 * ((20 * np.log10(np.maximum(1e-5, htk @ spectrum)) - 20 + 100) / 100) - 4, -4, 4)
    (CORE / "front-end.json").write_text(
        json.dumps({"cases": cases, "htkMaxDifference": float(np.abs(right - wrong_scale).max())}, indent=1) + "\n"
    )
    make_mel_checks()
    rows = np.random.default_rng(SEED).random((20, 512), np.float32)
    audio = reference.audio_rows(rows)
    facts = [[i, float(reference.feature_window(audio, i).astype(np.float64).sum())] for i in (0, 1, 7, 8, 13, 14, 20, 21, 29, 30)]
    rows.tofile(CORE / "rows.f32")
    (CORE / "rows.json").write_text(json.dumps({"rows": 20, "windowSums": facts}, indent=1) + "\n")


def make_compact_front_end():
    """The compact family's mel of two of the sounds."""
    for name, samples in (("short", voice(0.1, SEED + 2)), ("odd", voice(0.7716875, SEED + 3))):
        front_end.mel(samples / 32768).astype("<f4").tofile(CORE / f"compact-{name}.mel.f32")


def make_mel_checks():
    """librosa's filter bank, two signals whose mel a reader can predict, and what two well-known ports compute instead."""
    basis = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)  # Float32, mostly zeros
    first = [int(np.flatnonzero(band)[0]) for band in basis]
    counts = [int(np.count_nonzero(band)) for band in basis]
    np.concatenate([band[f : f + c] for band, f, c in zip(basis, first, counts)]).astype("<f4").tofile(CORE / "basis.f32")
    sine = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    impulses = np.zeros(4000, np.float32)
    impulses[[0, 2000]] = 1, -0.5
    reference.mel(sine).astype("<f4").tofile(CORE / "sine.mel.f32")
    reference.mel(impulses).astype("<f4").tofile(CORE / "impulses.mel.f32")

    samples = voice(0.7716875, SEED + 3) / 32768  # "odd"
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, 800)[::200]  # not centred
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)  # symmetric
    # "go": HTK's scale on 800 points. "short-fft": the right scale, but an FFT of 512 points on a frame of 800 samples.
    mistakes = {}
    for name, points, htk in (("go", 800, True), ("short-fft", 512, False)):
        spectrum = np.abs(np.fft.rfft((frames * hann)[:, :points], points)).T
        wrong_basis = librosa.filters.mel(sr=16000, n_fft=points, n_mels=80, fmin=55, fmax=7600, htk=htk)
        level = 20 * np.log10(np.maximum(1e-5, wrong_basis @ spectrum)) - 20
        wrong = np.clip(8 * ((level + 100) / 100) - 4, -4, 4).astype("<f4")
        wrong.tofile(CORE / f"wrong-{name}.mel.f32")
        distance = np.abs(wrong - reference.mel(samples)[:, : wrong.shape[1]])
        mistakes[name] = {"columns": wrong.shape[1], "largest": float(distance.max()), "mean": float(distance.mean(dtype=np.float64))}
    (CORE / "mel-checks.json").write_text(json.dumps({"first": first, "counts": counts, "mistakes": mistakes}) + "\n")


# --- images -----------------------------------------------------------------------------------------------------------


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """The picture that `TestPicture.swift` makes too: wrapped gradients with noise from a linear congruential generator."""
    values = np.empty(width * height * 3, np.uint8)
    modulus = (1 << 32) - 1
    current = seed
    for i in range(values.size):
        current = (current * 1664525 + 1013904223) & modulus
        c, x, y = i % 3, i // 3 % width, i // 3 // width
        values[i] = ((x * 3 + y * 5 + c * 40) // 2 + ((current >> 24) & 63)) & 255
    return values.reshape(height, width, 3)


def stripes(rows: int) -> list[int]:
    """The rows of a golden that are kept: all of a small one, else the first, the middle and the last dozen."""
    if rows <= 100:
        return list(range(rows))
    return [*range(12), *range(rows // 2 - 6, rows // 2 + 6), *range(rows - 12, rows)]


def make_images():
    cases = []
    data = bytearray()
    for number, (source, target) in enumerate(
        [(182, 328), (331, 328), (328, 331), (328, 182), (64, 200), (200, 64), (97, 328), (328, 8), (8, 40), (120, 120)]
    ):
        resized = cv2.resize(picture(source, source, number + 1), (target, target), interpolation=cv2.INTER_CUBIC)
        kept = resized[stripes(target)]
        cases.append({"source": source, "target": target, "seed": number + 1, "rows": stripes(target), "offset": len(data)})
        data += kept.tobytes()
    (CORE / "resize.bgr").write_bytes(data)
    (CORE / "resize.json").write_text(json.dumps(cases) + "\n")

    frame, square = picture(200, 160, 77), (40, 20, 160, 140)
    crop = reference.crop328(frame, square)
    mouth_bytes = picture(320, 320, 78)
    mouth = ((mouth_bytes.astype(np.float32) + 0.5) / 255).transpose(2, 0, 1)
    assert (reference.to_bytes(mouth) == mouth_bytes).all()
    pasted = reference.paste(frame, square, crop, reference.to_bytes(mouth))
    tensor = reference.generator_input(reference.roi(crop))
    pasted[20:140, 40:160].tofile(CORE / "paste.bgr")
    crop[stripes(328)].tofile(CORE / "crop.bgr")
    facts = {
        "square": square,
        "rows": stripes(328),
        "maskedZeroPixels": int((reference.masked(reference.roi(crop) | 1) == 0).all(axis=2).sum()),
        "planeMeans": [float(plane.astype(np.float64).mean()) for plane in tensor],
        "pingPong": {str(n): [reference.template_index(i, n) for i in range(12)] for n in (1, 2, 3, 5)},
    }
    (CORE / "compositor.json").write_text(json.dumps(facts) + "\n")


def make_digests():
    lengths = [0, 1, 2, 3, 31, 54, 55, 56, 57, 62, 63, 64, 65, 111, 119, 120, 127, 128, 129, 1000, 4096, 65537, 100001]
    digests = {n: hashlib.sha256(bytes((i * 7 + n) & 255 for i in range(n))).hexdigest() for n in lengths}
    (CORE / "sha256.json").write_text(json.dumps(digests, indent=0) + "\n")


# --- models -----------------------------------------------------------------------------------------------------------


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(nodes, inputs, outputs, initializers=(), domains=()):
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", 13), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="viseme-fixtures")


def encoder(batch="B", mel="mel", out="emb", seed=SEED, bands=80, columns=16, kind=TensorProto.FLOAT, shape=None, nan=False):
    """[B,1,80,16] -> ReLU(low-rank(mean over columns)) [B,512]: a few KB, and every band counts."""
    rng = np.random.default_rng(seed)
    real = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    nodes = [
        helper.make_node("ReduceMean", [mel], ["mean"], axes=[3], keepdims=0),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "down"], ["low"]),
        helper.make_node("MatMul", ["low", "up"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["biased"]),
        helper.make_node("Sqrt" if nan else "Relu", ["biased"], [out]),
    ]
    weights = [
        constant("down", (rng.standard_normal((bands, 4)) / 90).astype(real)),
        constant("up", rng.standard_normal((4, 512)).astype(real)),
        constant("bias", (rng.standard_normal(512) * 0.1 - (100 if nan else 0)).astype(real)),
    ]
    return model(
        nodes, [value(mel, shape or [batch, 1, bands, columns], kind)], [value(out, [batch, 512], kind)], weights)


def generator(batch="B", image="input", audio="audio", out="output", mouth=True, side=320, nan=False, audio_shape=None):
    """[B,6,S,S], [B,32,16,16] -> the roi; with `mouth`, a box at the mouth is lit by the mean of the feature window."""
    box = [side * 19 // 32, side * 10 // 32, side * 6 // 32, side * 12 // 32]  # y, x, height, width
    nodes = [
        helper.make_node("Slice", [image, "first", "third", "channels"], ["roi"]),
        helper.make_node("ReduceMean", [audio], ["loudness"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["loudness", "gain"], ["light"]),
    ]
    initializers = [
        constant("first", np.array([0], np.int64)),
        constant("third", np.array([3], np.int64)),
        constant("channels", np.array([1], np.int64)),
        constant("gain", np.float32(0.7 if mouth else 0)),
    ]
    if mouth:
        # Ten rows tall, then tiled: an Expand of the batch would need a shape at run time.
        nodes += [
            helper.make_node("Tile", ["light", "repeats"], ["patch"]),
            helper.make_node("Pad", ["patch", "pads"], ["overlay"]),
            helper.make_node("Add", ["roi", "overlay"], ["sum"]),
        ]
        initializers += [
            constant("repeats", np.array([1, 3, box[2], box[3]], np.int64)),
            constant("pads", np.array([0, 0, box[0], box[1], 0, 0, side - box[0] - box[2], side - box[1] - box[3]], np.int64)),
        ]
    else:
        nodes.append(helper.make_node("Add", ["roi", "light"], ["sum"]))
    if nan:
        nodes += [
            helper.make_node("Sub", ["sum", "hundred"], ["negative"]),
            helper.make_node("Sqrt", ["negative"], [out]),
        ]
        initializers.append(constant("hundred", np.float32(100)))
    else:
        nodes.append(helper.make_node("Clip", ["sum", "zero", "one"], [out]))
        initializers += [constant("zero", np.float32(0)), constant("one", np.float32(1))]
    inputs = [value(image, [batch, 6, side, side]), value(audio, audio_shape or [batch, 32, 16, 16])]
    return model(nodes, inputs, [value(out, [batch, 3, side, side])], initializers)


def int8_generator(side=16):
    """A generator in int8 of three convolutions, as `viseme convert --precision int8` writes them: grids, points, steps."""
    rng = np.random.default_rng(SEED + 20)
    nodes, weights = [], []

    def snap(name, step, zero):
        weights.extend([constant(f"{name}.step", np.float32(step)), constant(f"{name}.zero", np.uint8(zero))])
        grid = [f"{name}.step", f"{name}.zero"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *grid], [f"{name}.points"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.points", *grid], [f"{name}.grid"]))
        return f"{name}.grid"

    def convolution(name, source, step, channels, filters):
        points = rng.integers(-127, 128, (filters, channels, 3, 3)).astype(np.int8)
        steps = np.full(filters, 0.01, np.float32)
        bias = rng.integers(-999, 1000, filters).astype(np.int32)
        weights.extend([
            constant(f"{name}.weight", points), constant(f"{name}.weight.step", steps),
            constant(f"{name}.weight.zero", np.zeros(filters, np.int8)), constant(f"{name}.bias", bias),
            constant(f"{name}.bias.step", steps * np.float32(step)), constant(f"{name}.bias.zero", np.zeros(filters, np.int32))])
        for kind in ("weight", "bias"):
            whole = f"{name}.{kind}"
            nodes.append(helper.make_node("DequantizeLinear", [whole, f"{whole}.step", f"{whole}.zero"], [f"{whole}.grid"], axis=0))
        nodes.append(helper.make_node("Conv", [source, f"{name}.weight.grid", f"{name}.bias.grid"], [name], pads=[1, 1, 1, 1]))
        return name

    seen = convolution("seen", snap("image", 1 / 255, 0), 1 / 255, 6, 16)
    nodes.append(helper.make_node("Relu", [seen], ["relu"]))
    heard = convolution("heard", snap("audio", 0.05, 0), 0.05, 32, 16)
    nodes.append(helper.make_node("Concat", [snap("relu", 0.1, 0), snap(heard, 0.2, 128)], ["joined"], axis=1))
    convolution("drawn", snap("joined", 0.2, 128), 0.2, 32, 3)
    nodes.append(helper.make_node("Sigmoid", ["drawn"], ["mouth"]))
    inputs = [value("image", ["B", 6, side, side]), value("audio", ["B", 32, 16, 16])]
    return model(nodes, inputs, [value("mouth", ["B", 3, side, side])], weights)


def make_models():
    def write(name, proto, check=True):
        if check:
            onnx.checker.check_model(proto)
        (MODELS / name).write_bytes(proto.SerializeToString())

    write("encoder.onnx", encoder())
    write("encoder-static.onnx", encoder(batch=1, mel="mel_input", out="features"))
    write("generator.onnx", generator())
    write("generator-static.onnx", generator(batch=1, image="image"))
    write("identity.onnx", generator(mouth=False))
    write("generator-160.onnx", generator(side=160))
    write("generator-int8.onnx", int8_generator())
    # Broken ones.
    whole = encoder().SerializeToString()
    (MODELS / "broken-truncated.onnx").write_bytes(whole[: len(whole) * 6 // 10])
    (MODELS / "broken-garbage.onnx").write_bytes(np.random.default_rng(SEED).bytes(2000))
    (MODELS / "broken-empty.onnx").write_bytes(b"")
    write("broken-encoder-rank.onnx", model(
        [helper.make_node("Flatten", ["mel"], ["flat"]), helper.make_node("Slice", ["flat", "from", "to", "axis"], ["emb"])],
        [value("mel", ["B", 80, 16])], [value("emb", ["B", 512])],
        [constant("from", np.array([0], np.int64)), constant("to", np.array([512], np.int64)),
         constant("axis", np.array([1], np.int64))]))
    write("broken-encoder-shape.onnx", encoder(columns=20))
    write("broken-encoder-half.onnx", encoder(kind=TensorProto.FLOAT16))
    write("broken-encoder-nan.onnx", encoder(nan=True))
    write("broken-encoder-operator.onnx", model(
        [helper.make_node("Frobnicate", ["mel"], ["emb"], domain="org.example.unknown")],
        [value("mel", ["B", 1, 80, 16])], [value("emb", ["B", 512])], domains=["org.example.unknown"]), check=False)
    write("broken-generator-nan.onnx", generator(nan=True))
    write("broken-generator-audio.onnx", generator(audio_shape=["B", 32, 32, 32]))

    # What Python's ONNX Runtime answers.
    import onnxruntime

    mel = np.random.default_rng(SEED + 9).uniform(-4, 4, (3, 1, 80, 16)).astype(np.float32)
    rows = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"]).run(None, {"mel": mel})[0]
    mel.tofile(MODELS / "encoder.input.f32")
    rows.tofile(MODELS / "encoder.output.f32")


# --- the tiny pack ----------------------------------------------------------------------------------------------------


def presenter(index: int) -> np.ndarray:
    """160x120, BGR: a head that nods, in front of a gradient, with a blue patch inside the crop square."""
    y, x = np.mgrid[0:120, 0:160].astype(np.float32)
    frame = np.stack([90 + 0.4 * x, 110 + 0.3 * y, 120 + 0.2 * (x + y) / 2], axis=2)
    frame = frame.clip(0, 255).astype(np.uint8)
    shift = (0, 1, 2, 2, 1, 0)[index]
    cv2.ellipse(frame, (80, 62 + shift), (34, 46), 0, 0, 360, (150, 180, 220), -1, cv2.LINE_AA)
    for eye in (66, 94):
        cv2.ellipse(frame, (eye, 52 + shift), (6, 3), 0, 0, 360, (70, 60, 50), -1, cv2.LINE_AA)
    cv2.ellipse(frame, (80, 84 + shift), (13, 3), 0, 0, 360, (90, 80, 190), -1, cv2.LINE_AA)
    cv2.rectangle(frame, (56, 64 + shift), (67, 75 + shift), (200, 40, 30), -1)  # blue: B is large
    return cv2.GaussianBlur(frame, (0, 0), 1.0)


def make_pack():
    pack = PACKS / "tiny.avatar"
    (pack / "frames").mkdir(parents=True)
    squares = []
    for index in range(6):
        cv2.imwrite(str(pack / "frames" / f"{index:06d}.jpg"), presenter(index), [cv2.IMWRITE_JPEG_QUALITY, 93])
        shift = (0, 1, 2, 2, 1, 0)[index]
        size = 64 + index % 2
        squares.append([48, 44 + shift, 48 + size, 44 + shift + size])
    (pack / "crops.json").write_text(json.dumps({"squares": squares}) + "\n")
    (pack / "audio_encoder.onnx").write_bytes(encoder().SerializeToString())
    (pack / "generator.onnx").write_bytes(generator().SerializeToString())
    shutil.copy(MODELS / "identity.onnx", PACKS / "identity.onnx")
    for name in ("broken-generator-nan.onnx", "broken-encoder-nan.onnx", "broken-encoder-shape.onnx"):
        shutil.copy(MODELS / name, PACKS / name)

    def describe(role, file, inputs, outputs):
        digest = hashlib.sha256((pack / file).read_bytes()).hexdigest()
        tensors = [[{"name": name, "shape": ["B", *shape]} for name, *shape in side] for side in (inputs, outputs)]
        return {"role": role, "file": file, "sha256": digest, "inputs": tensors[0], "outputs": tensors[1]}

    manifest = {
        "format": 1,
        "name": "tiny",
        "fps": 25,
        "width": 160,
        "height": 120,
        "frames": 6,
        "template": "frames/%06d.jpg",
        "crops": "crops.json",
        "templateOrder": "ping-pong",
        "featureWindow": "rows16",
        "geometry": {"crop": 328, "roi": 320, "border": 4, "mask": list(reference.MASK)},
        "colourOrder": "BGR",
        "valueRange": [0, 1],
        "idle": [0, 6],
        "licence": "CC0-1.0",
        "consent": "Nobody is shown: the person is an ellipse.",
        "synthetic": True,
        "models": [
            describe("audio-encoder", "audio_encoder.onnx", [("mel", 1, 80, 16)], [("emb", 512)]),
            describe("generator", "generator.onnx", [("input", 6, 320, 320), ("audio", 32, 16, 16)], [("output", 3, 320, 320)]),
        ],
        "provenance": {"converter": "Tests/Fixtures/make_golden.py", "trainingData": "none: random weights of a fixed seed"},
    }
    (pack / "avatar.json").write_text(json.dumps(manifest, indent=2) + "\n")


def main():
    fresh(CORE)
    fresh(MODELS)
    for path in ("tiny.avatar", "identity.onnx"):  # other golden files beside them belong to parity.py
        target = PACKS / path
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    PACKS.mkdir(parents=True, exist_ok=True)
    make_front_end()
    make_images()
    make_digests()
    make_models()
    make_pack()
    versions = {
        "Python": sys.version.split()[0],
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "librosa": librosa.__version__,
        "OpenCV": cv2.__version__,
        "onnx": onnx.__version__,
    }
    text = "\n".join(f"| {name} | {version} |" for name, version in versions.items())
    (CORE / "README.md").write_text(
        "# Golden files\n\nMade by `Tests/Fixtures/make_golden.py` (seed "
        f"{SEED}; `make golden`), which also makes the tiny models of\n`VisemeONNXTests/Models` and the tiny pack of "
        "`VisemeCLITests/Golden`. Everything is synthetic and CC0.\n\n"
        "`*.wav` 16 kHz PCM16 · `*.mel.f32` (80, T), `compact-*` those of the compact family · `wrong-*` what two ports compute · `basis.f32` 739 weights · `rows.f32` (20, 512) · `*.bgr` rows of B G R bytes, listed in the "
        "`.json` beside them.\nAll numbers are little-endian, row-major.\n\n| made with | version |\n|---|---|\n" + text + "\n"
    )


if __name__ == "__main__":
    main()
