"""A server on this machine, as a child of this process."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from .errors import VisemeError

START_SECONDS = 120.0
STOP_SECONDS = 15.0
BUILT = Path(".build/release/viseme")


def find_binary(named: str | Path | None = None) -> Path:
    """The program `viseme`.

    Raises:
        VisemeError: It is not there, with the places and how to get it.
    """
    wanted = named or os.environ.get("VISEME_BINARY")
    if wanted:
        if path := shutil.which(wanted):
            return Path(path)
        raise VisemeError(f"'{wanted}' is not a program", code="unavailable", hint="Name the program `viseme` itself")
    if path := shutil.which("viseme"):
        return Path(path)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if os.access(folder / BUILT, os.X_OK):
            return folder / BUILT
    raise VisemeError(
        f"There is no program `viseme`: not in VISEME_BINARY, not in the PATH, no {BUILT} in {here} or above it",
        code="unavailable",
        hint="Install the package that `make package` makes, or build it in a checkout of Viseme with `make build` and set VISEME_BINARY to its .build/release/viseme",
    )


class LocalServer:
    """`viseme serve` on a free port of 127.0.0.1."""

    def __init__(self, binary: str | Path | None, avatars: str | Path | None, options: Sequence[str]) -> None:
        self._binary, self._avatars, self._options = binary, avatars, options
        self._process: asyncio.subprocess.Process | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._readers: list[asyncio.Task[None]] = []

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Starts the program.

        Returns:
            Its address, when it is ready.
        """
        binary = find_binary(self._binary).resolve()
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="viseme-")
        root = next((folder.parent for folder in binary.parents if folder.name == ".build"), None)
        environment = dict(os.environ)
        # From a checkout the program is used with that checkout's library and avatars.
        if root and (library := _library(root)):
            environment.setdefault("VISEME_ONNXRUNTIME", str(library))
        avatars = self._avatars or (root / "avatars" if root and (root / "avatars").is_dir() else None)
        arguments = ["serve", "--host", "127.0.0.1", "--port", "0", "--log-level", "warning", "--data", self._folder.name]
        if avatars:
            arguments += ["--avatars", str(Path(avatars).resolve())]
        self._process = process = await asyncio.create_subprocess_exec(
            str(binary), *arguments, *self._options, env=environment,
            preexec_fn=_die_with_parent, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        atexit.register(self._kill)
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [asyncio.create_task(self._listen(process.stderr))]
        try:
            address = await asyncio.wait_for(self._address(process.stdout), START_SECONDS)
        except BaseException:
            await self.stop()
            raise
        if not address:
            await self._readers[0]
            await self.stop()
            raise VisemeError("`viseme serve` does not start: " + " ".join(self._said), code="unavailable")
        self._readers.append(asyncio.create_task(self._listen(process.stdout)))
        return address

    @staticmethod
    async def _address(stream: asyncio.StreamReader) -> str | None:
        while line := await stream.readline():
            if found := re.search(rb"http://[^\s/]+", line):
                return found.group().decode()
        return None

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        """Keeps the last lines, so that the pipe never fills up."""
        while line := await stream.readline():
            self._said.append(line.decode(errors="replace").strip())

    async def stop(self) -> None:
        """Ends the program; sessions end with complete streams."""
        process = self._process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except (TimeoutError, asyncio.TimeoutError):
                process.kill()
                await process.wait()
        atexit.unregister(self._kill)
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._readers = []
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _kill(self) -> None:
        """At the end of this process, if nobody closed the server."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)


def _die_with_parent() -> None:
    """In the child: an agent that is killed must not leave its engine behind. Linux alone can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _library(root: Path) -> Path | None:
    found = [path for path in (root / ".deps/onnxruntime/lib").glob("libonnxruntime.*") if path.suffix in (".so", ".dylib")]
    return found[0] if found else None
