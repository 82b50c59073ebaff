"""Scalars for TensorBoard: event files, which are TFRecords of one small protobuf message. Forty lines need no package of 20 MB."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path


def _table() -> list[int]:
    out = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        out.append(value)
    return out


_CRC = _table()


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def record(message: bytes) -> bytes:
    """A TFRecord: length, message, both with their checksums."""
    length = struct.pack("<Q", len(message))
    return length + _masked(length) + message + _masked(message)


def event(seconds: float, step: int, scalars: Mapping[str, float] | None = None) -> bytes:
    """`Event` with a `Summary` of scalars; without scalars the header that a file begins with."""
    when = b"\x09" + struct.pack("<d", seconds)
    if scalars is None:
        return when + _bytes(3, b"brain.Event:2")
    values = b"".join(_bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value)) for tag, value in scalars.items())
    return when + b"\x10" + _varint(step) + _bytes(5, values)


class Events:
    """One event file of this process in a folder. TensorBoard joins those of a training that was stopped and went on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.path = folder / f"events.out.tfevents.{now:.0f}.viseme.{os.getpid()}"
        self.path.write_bytes(record(event(now, 0)))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        with open(self.path, "ab") as file:
            file.write(record(event(time.time(), step, scalars)))
