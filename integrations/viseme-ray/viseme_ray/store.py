"""Where files are: folders, or any store that fsspec knows."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import fsspec


def is_address(name: str) -> bool:
    """Whether fsspec reads it: `s3://bucket/talk.wav`."""
    return "://" in name or "::" in name


def _names(files: Any, folder: str) -> set[str]:
    try:
        return {str(name).rstrip("/").rsplit("/", 1)[-1] for name in files.ls(folder, detail=False)}
    except FileNotFoundError:
        return set()


class Place:
    """One file or folder in a store."""

    def __init__(self, address: str) -> None:
        self.address = address
        filesystem, path = fsspec.core.url_to_fs(address)
        self._files: Any = filesystem
        self._path: str = path.rstrip("/")
        # What another worker wrote a moment ago must be seen.
        self._files.invalidate_cache()

    @property
    def local(self) -> Path | None:
        """Its path, if this machine's file system has it."""
        protocol = self._files.protocol
        return Path(self._path) if "file" in ([protocol] if isinstance(protocol, str) else protocol) else None

    def inside(self, name: str) -> Place:
        return Place(f"{self.address.rstrip('/')}/{name}")

    def size(self) -> int | None:
        """Bytes; None if it is not there."""
        try:
            return int(self._files.size(self._path)) if self._files.exists(self._path) else None
        except FileNotFoundError:
            return None

    def names(self) -> set[str]:
        """Of what is in this folder, none if it is not there."""
        return _names(self._files, self._path)

    def text(self) -> str | None:
        try:
            return bytes(self._files.cat_file(self._path)).decode()
        except FileNotFoundError:
            return None

    def fetch(self, target: Path) -> None:
        self._files.get_file(self._path, str(target))

    def put(self, source: Path) -> None:
        """Copies a file here: under a temporary name, which is renamed. What a dead worker left of this file is removed."""
        folder, _, name = self._path.rpartition("/")
        self._files.makedirs(folder or "/", exist_ok=True)
        beginning = f".{name}.partial-"
        for left in _names(self._files, folder or "/"):
            if left.startswith(beginning):
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(f"{folder}/{left}")
        partial = f"{folder}/{beginning}{uuid.uuid4().hex[:8]}"
        try:
            self._files.put_file(str(source), partial)
            self._files.mv(partial, self._path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(partial)
            raise
        finally:
            self._files.invalidate_cache()

    def remove(self) -> None:
        """Removes this folder."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path, recursive=True)


@functools.cache
def scratch() -> Path:
    """This process's folder for what is on its way. A worker that was killed cannot remove its own: whoever comes next does."""
    base = Path(tempfile.gettempdir()) / f"viseme-ray-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    for lock in base.glob("*.lock"):
        with contextlib.suppress(OSError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held as long as its process lives
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    folder = base / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    held = open(folder.with_suffix(".lock"), "w")
    fcntl.flock(held, fcntl.LOCK_EX)
    folder.mkdir()

    def leave() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        Path(held.name).unlink(missing_ok=True)
        held.close()

    atexit.register(leave)
    return folder


@functools.lru_cache(maxsize=1)
def _fetched(address: str, size: int) -> Path:
    folder = scratch() / "sound"
    shutil.rmtree(folder, ignore_errors=True)  # one at a time: the next job has another
    folder.mkdir()
    target = folder / (hashlib.sha256(address.encode()).hexdigest()[:8] + Path(address).suffix)
    Place(address).fetch(target)
    return target


def sound(address: str) -> Path | None:
    """A speech as a file of this machine, fetched if need be; None if it is not there."""
    place = Place(address)
    size = place.size()
    if size is None:
        return None
    return place.local or _fetched(address, size)
