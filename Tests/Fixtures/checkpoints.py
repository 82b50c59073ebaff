"""Makes the tiny checkpoints of VisemeModelsTests: PyTorch (both forms, whole networks, hostile ones), safetensors, NumPy.

    python Tests/Fixtures/checkpoints.py

It is seeded and offline and writes Tests/VisemeModelsTests/Golden/checkpoints. `expected.json` says, for each valid
file, what torch (or NumPy) reads from it: names in order, shapes, element types and the SHA-256 of the row-major
little-endian bytes. The hostile files are never loaded here. torch names storages of the old form after memory addresses:
those are replaced, so that the files stay the same. Made with torch 2.13.0, numpy 2.4.6.
"""

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED = 20250729
OUT = Path(__file__).resolve().parent.parent / "VisemeModelsTests" / "Golden" / "checkpoints"
EXPECTED: dict[str, dict] = {}

NAMES = {
    torch.float64: "float64", torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16",
    torch.int64: "int64", torch.int32: "int32", torch.int16: "int16", torch.int8: "int8", torch.uint8: "uint8",
    torch.bool: "bool",
}


def described(name: str, tensor: torch.Tensor) -> dict:
    """A tensor as the tests compare it."""
    contiguous = tensor.detach().contiguous()
    data = contiguous.reshape(-1).view(torch.uint8).numpy().tobytes() if contiguous.numel() else b""
    return {
        "name": name, "shape": list(tensor.shape), "type": NAMES[tensor.dtype],
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def expect(file: str, tensors: dict, remarks: int = 0) -> None:
    EXPECTED[file] = {"tensors": [described(k, v) for k, v in tensors.items()], "remarks": remarks}


# The old form keeps the source of every class of a whole network, and where that lay: neither belongs into a fixture.
torch.serialization.get_source_lines_and_file = lambda *_: (["# source\n"], 0, "net.py")
# It writes the storages in the order of their addresses; in the order of the pickle, two runs are equal.
torch.serialization.sorted = list


def save(file: str, value: object, tensors: dict, remarks: int = 0, legacy: bool = False, **options) -> None:
    """Saves with torch and expects what torch itself loads."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whole networks: their source is not stored, which is not the point here
        torch.save(value, buffer, _use_new_zipfile_serialization=not legacy, **options)
    data = buffer.getvalue()
    if legacy:
        data = renumbered(data)
    (OUT / file).write_bytes(data)
    torch.load(io.BytesIO(data), weights_only=False)
    expect(file, tensors, remarks)


def renumbered(data: bytes) -> bytes:
    """The old form with its storages named 90000000000001, … in order instead of after memory addresses."""
    for number, key in enumerate(dict.fromkeys(re.findall(rb"(?:X.\0\0\0|\x8c.)(\d{11,16})(?=[q\x94])", data, re.DOTALL)), 1):
        data = data.replace(key, b"9" + str(number).rjust(len(key) - 1, "0").encode())
    return data


class Block(nn.Module):
    """A residual block with a buffer that is not saved and a parameter that is absent."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.register_buffer("scratch", torch.rand(3), persistent=False)
        self.register_buffer("scale", torch.rand(1))
        self.register_parameter("bias", None)
        self.gain = nn.Parameter(torch.rand(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x)) * self.scale + self.gain[:, None, None]


class Net(nn.Module):
    """Two blocks, one of them used twice: `state_dict()` names its tensors under both names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Block(2)
        self.blocks = nn.Sequential(Block(3), nn.ReLU(), self.first)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x)


def tensors_of_every_type() -> OrderedDict:
    values = torch.randn(3, 5) * 40
    return OrderedDict((name, values.to(kind)) for kind, name in NAMES.items())


def views() -> OrderedDict:
    base = torch.randn(6, 4, 5)
    return OrderedDict(
        base=base,
        transposed=base.permute(2, 0, 1),
        strided=base[1::2, :, ::3],
        row=base[3, 2],
        column=base[:, 1, 2],
        scalar=base[5, 3, 4],
        expanded=torch.randn(1, 3).expand(4, 3),
        empty=torch.empty(0, 7),
        none=base[2:2, :, 1],
        diagonal=torch.randn(4, 4).diagonal(),
        halves=torch.randn(4, 6).half().t(),
        brain=torch.randn(4, 6).bfloat16()[:, 1:4],
        counters=torch.arange(24).view(4, 6)[:, ::2],
        bytes=torch.arange(24, dtype=torch.uint8).view(4, 6).t(),
    )


def valid() -> None:
    net = Net()
    net.first.bn.num_batches_tracked += 7
    state = net.state_dict()
    every = tensors_of_every_type()
    some_views = views()
    for form, legacy in (("zip", False), ("legacy", True)):
        save(f"state-{form}.pth", state, state, legacy=legacy)
        save(f"types-{form}.pth", every, every, legacy=legacy)
        save(f"views-{form}.pth", some_views, some_views, legacy=legacy)
        save(f"module-{form}.pth", net, state, legacy=legacy)
        prefixed = OrderedDict((f"module.{k}", v) for k, v in state.items())
        save(f"prefixed-{form}.pth", prefixed, state, remarks=1, legacy=legacy)
        wrapped = {"epoch": 3, "best": 0.5, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "state_dict": prefixed}
        save(f"wrapped-{form}.pth.tar", wrapped, state, remarks=2, legacy=legacy)
    save("protocol-4.pth", state, state, pickle_protocol=4)
    save("module-protocol-4.pth", net, state, pickle_protocol=4)
    save("protocol-5-legacy.pth", state, state, pickle_protocol=5, legacy=True)
    save("parallel.pth", {"model": nn.DataParallel(net)}, state, remarks=2)
    half = Net().half()
    save("half-net.pth", half, half.state_dict())
    bfloat = Net().bfloat16()
    save("bfloat16-net-legacy.pth", bfloat, bfloat.state_dict(), legacy=True)
    only_some = OrderedDict([("module.a", torch.rand(2)), ("b", torch.rand(2))])
    save("some-prefixed.pth", only_some, only_some)
    parameters = {"p": nn.Parameter(torch.rand(2, 2)), "frozen": nn.Parameter(torch.rand(2), requires_grad=False)}
    save("parameters.pth", parameters, parameters)
    save("tensor.pth", torch.arange(5.0), {"tensor": torch.arange(5.0)})
    lists = [torch.rand(2), torch.rand(3)]
    save("list.pth", lists, {"0": lists[0], "1": lists[1]})
    nested = {"encoder": OrderedDict(w=torch.rand(2)), "generator": OrderedDict(w=torch.rand(3)), "lr": 0.1}
    save("nested.pth", nested, {"encoder.w": nested["encoder"]["w"], "generator.w": nested["generator"]["w"]}, remarks=1)
    only = {"epoch": 2, "weights_of_net": OrderedDict(w=torch.rand(2))}
    save("only-candidate.pth", only, only["weights_of_net"], remarks=1)
    torch.serialization.set_crc32_options(False)
    save("without-sums.pth", state, state)
    torch.serialization.set_crc32_options(True)
    scripted = torch.jit.trace(Block(2).eval(), torch.rand(1, 2, 4, 4))
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    source = zipfile.ZipFile(buffer)
    with zipfile.ZipFile(OUT / "script.pt", "w") as archive:  # without the code, which says where the source lay
        for name in source.namelist():
            if "/code/" not in name and "serialization_id" not in name:
                archive.writestr(zipfile.ZipInfo(name), source.read(name))
    expect("script.pt", dict(scripted.state_dict()))
    EXPECTED["script.pt"]["anyOrder"] = True
    zip64()


def zip64() -> None:
    """The archive of tensor.pth with everything that belongs to archives above 4 GB: records, locator, extra fields."""
    source = zipfile.ZipFile(OUT / "tensor.pth")
    body, directory = b"", b""
    for info in source.infolist():
        data, name = source.read(info), info.filename.encode()
        sizes = struct.pack("<QQ", len(data), len(data))
        extra = struct.pack("<HH", 1, 16) + sizes
        head = struct.pack("<HHHHHI", 45, 0, 0, 0, 33, info.CRC)
        offset = len(body)
        body += b"PK\3\4" + head + struct.pack("<IIHH", 2**32 - 1, 2**32 - 1, len(name), len(extra)) + name + extra + data
        wide = struct.pack("<HHI", 7, 4, 0) + struct.pack("<HH", 1, 24) + sizes + struct.pack("<Q", offset)
        directory += b"PK\1\2" + struct.pack("<H", 45) + head
        directory += struct.pack("<IIHHHHHII", 2**32 - 1, 2**32 - 1, len(name), len(wide), 0, 0, 0, 0, 2**32 - 1)
        directory += name + wide
    count = len(source.infolist())
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    end += struct.pack("<IIQI", 0x07064B50, 0, len(body) + len(directory), 1)
    end += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 9) + b"a comment"
    (OUT / "zip64.pth").write_bytes(body + directory + end)
    expect("zip64.pth", {"tensor": torch.load(OUT / "zip64.pth")})


# --- refused and hostile ----------------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of a function, which loading with Python would make."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def refused() -> None:
    """Never loaded here, and nothing in them would do harm: they call `echo` and `print`."""

    def put(file: str, code: str, *words: str, data: bytes | None = None, value: object = None) -> None:
        if data is None:
            buffer = io.BytesIO()
            torch.save(value, buffer)
            data = buffer.getvalue()
        (OUT / file).write_bytes(data)
        EXPECTED[file] = {"code": code, "words": list(words)}

    system = Calls(os.system, "echo pwned")
    put("system.pth", "bad-data", "posix.system", "nothing was executed", value=system)
    put("system-in-dict.pth", "bad-data", "posix.system", value={"a": system})
    put("eval.pth", "bad-data", "eval", value=Calls(eval, "print('pwned')"))
    put("system-bare.pkl", "bad-data", "posix.system", data=pickle.dumps(system, protocol=4))
    put("system-protocol-0.pkl", "bad-data", "posix.system", data=b"cposix\nsystem\n(S'echo pwned'\ntR.")
    put("system-instance.pkl", "bad-data", "posix.system", data=b"(S'echo pwned'\niposix\nsystem\n.")
    put("complex.pth", "unsupported", "ComplexFloatStorage", "'z'", value={"z": torch.zeros(2, dtype=torch.complex64)})
    put("float8.pth", "unsupported", "float8_e4m3fn", "'f'", value={"f": torch.zeros(2).to(torch.float8_e4m3fn)})
    put("sparse.pth", "unsupported", "_rebuild_sparse_tensor", value={"s": torch.eye(3).to_sparse()})
    put("negated.pth", "unsupported", "negates", value={"n": torch.zeros(2, dtype=torch.complex64).conj().imag})
    put("bare-pickle.pkl", "unsupported", "without its elements", data=renumbered(pickle.dumps({"w": torch.rand(2)}, protocol=2)))
    put("expanded.pth", "bad-data", "unfolds", value={"e": torch.zeros(1).expand(1 << 20, 1 << 20)})
    put("numbers.pth", "bad-data", "no tensor", "'epoch'", value={"epoch": 1, "loss": 0.5})
    put("empty.pth", "bad-data", "an empty dict", value={})
    put("pointer.pth", "bad-data", "Git LFS", data=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    put("page.pth", "bad-data", "web page", data=b"\n<!DOCTYPE html><html></html>")
    buffer = io.BytesIO()
    torch.save({"w": torch.rand(3)}, buffer)
    whole = zipfile.ZipFile(buffer)

    def repacked(method: int = zipfile.ZIP_STORED, **changes: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name in whole.namelist():
                entry = zipfile.ZipInfo(name)  # a date of its own: 1980
                entry.compress_type = method
                archive.writestr(entry, changes.get(name.split("/")[-1], whole.read(name)))
        return out.getvalue()

    put("big-endian.pth", "unsupported", "byte order 'big'", data=repacked(byteorder=b"big"))
    put("compressed.pth", "unsupported", "compressed", data=repacked(zipfile.ZIP_DEFLATED))
    put("short-storage.pth", "bad-data", "'w'", "storage", data=repacked(**{"0": b"\0" * 8}))
    flipped = bytearray(buffer.getvalue())
    flipped[flipped.index(whole.read("archive/data/0")) + 5] ^= 1
    put("flipped-bit.pth", "bad-data", "check sum", "data/0", data=bytes(flipped))
    beside = {"w": torch.rand(2), "x": system}
    buffer = io.BytesIO()
    torch.save(beside, buffer)
    (OUT / "system-beside-weights.pth").write_bytes(buffer.getvalue())
    expect("system-beside-weights.pth", {"w": beside["w"]}, remarks=2)


# --- safetensors and NumPy --------------------------------------------------------------------------------------------


def safetensors() -> None:
    """Written by hand: the format is a length, JSON and bytes."""
    kinds = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
        torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    }
    tensors = tensors_of_every_type()
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.empty(0, 3)
    header: dict[str, dict] = {"__metadata__": {"licence": "CC0", "format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        header[name] = {
            "dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (OUT / "types.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    expect("types.safetensors", tensors)


def arrays() -> None:
    values = np.random.default_rng(SEED).normal(size=(3, 4, 5)) * 40
    cases = {f"{kind[1:]}.npy": values.astype(kind) for kind in ("<f4", "<f8", "<f2", "<i2", "<i4", "<i8", "|i1", "|u1", "|b1")}
    cases["fortran.npy"] = np.asfortranarray(values.astype("<f4"))
    cases["scalar.npy"] = np.array(1.5, "<f4")
    cases["vector.npy"] = np.arange(7, dtype="<f4")
    cases["empty.npy"] = np.zeros((0, 3), "<f4")
    for file, array in cases.items():
        np.save(OUT / file, array)
        expect(file, {"array": torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))})
    for version in ((2, 0), (3, 0)):
        file = f"version-{version[0]}.npy"
        with open(OUT / file, "wb") as out:
            np.lib.format.write_array(out, cases["f4.npy"], version=version)
        expect(file, {"array": torch.from_numpy(cases["f4.npy"])})
    for file, array, word in (
        ("big-endian.npy", values.astype(">f4"), ">f4"),
        ("complex.npy", values.astype("<c8"), "<c8"),
        ("objects.npy", np.array([{}, None]), "|O"),
        ("texts.npy", np.array(["ab", "c"]), "<U2"),
        ("fields.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]), "fields"),
    ):
        np.save(OUT / file, array, allow_pickle=True)
        EXPECTED[file] = {"code": "unsupported", "words": [word]}


def main() -> None:
    torch.manual_seed(SEED)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    valid()
    refused()
    safetensors()
    arrays()
    (OUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
    size = sum(file.stat().st_size for file in OUT.iterdir())
    print(f"{len(EXPECTED)} files, {size} bytes in {OUT}")


if __name__ == "__main__":
    main()
