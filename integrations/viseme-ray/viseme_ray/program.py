"""The program `viseme`, as the workers call it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# One frame at the end of all numbers: the program refuses it and says how many frames the sound has.
BEYOND = "1099511627774:1099511627775"


class JobFailed(Exception):
    """This job cannot be done, here or elsewhere: trying again gives the same answer."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(status, message, hint)
        self.status, self.message, self.hint = status, message, hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Accident(Exception):
    """Something happened to a worker or its machine: worth another try."""


class Viseme:
    """The program on this machine.

    Args:
        named: Its path, or its name in the PATH.

    Raises:
        JobFailed: It is not there.
    """

    def __init__(self, named: str) -> None:
        found = shutil.which(named)
        if not found:
            raise JobFailed(69, f"There is no program '{named}' on the worker {os.uname().nodename}", "install Viseme on every node, or name its path with --viseme")
        self.path = Path(found).absolute()
        self.checkout = next((folder.parent for folder in self.path.parents if folder.name == ".build"), None)
        self._environment = dict(os.environ)
        # From a checkout the program is used with that checkout's library.
        if self.checkout and (libraries := sorted((self.checkout / ".deps/onnxruntime/lib").glob("libonnxruntime.*"))):
            self._environment.setdefault("VISEME_ONNXRUNTIME", str(libraries[0]))

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end. It is killed with this worker: else it would go on beside the worker that takes its place.

        Raises:
            JobFailed: With the program's own words and status, 64 … 74.
            Accident: It was killed, or failed inside.
        """
        # `setpriv` and no `preexec_fn`: Python code between fork and exec can hang in a process with Ray's threads.
        keeper = shutil.which("setpriv")
        command = [*([keeper, "--pdeathsig", "KILL"] if keeper else []), str(self.path), *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=self._environment)
        if check and done.returncode:
            raise failure(done)
        return done

    @functools.cached_property
    def version(self) -> str:
        return self.run("--version").stdout.strip()

    def pack(self, avatar: str) -> Path:
        """The folder of a pack, found as the program finds it: a path, or a name in the folders of VISEME_AVATARS or beside the program."""
        folders = [Path(folder) for folder in os.environ.get("VISEME_AVATARS", "").split(":") if folder]
        folders += [self.path.resolve().parent / "avatars", *([self.checkout / "avatars"] if self.checkout else [])]
        named = [] if "/" in avatar else [folder / name for folder in folders for name in (f"{avatar}.avatar", avatar)]
        candidates = [Path(avatar), *named]
        for candidate in candidates:
            if (candidate / "avatar.json").is_file():
                return candidate.absolute()
        raise JobFailed(66, f"No avatar '{avatar}' on the worker {os.uname().nodename}. Tried: {', '.join(map(str, candidates))}", "put the pack at the same place on every node")

    def frames(self, sound: Path, pack: Path, scratch: Path) -> int:
        """How many frames a speech has, to the frame: the program decodes it, since headers lie about lengths."""
        done = self.run("render", "--avatar", str(pack), "--audio", str(sound), "--range", BEYOND, "-o", str(scratch / "beyond.mp4"), check=False)
        found = re.search(r"audio, which has (\d+) frames", done.stderr)
        if done.returncode == 64 and found and int(found[1]) > 0:
            return int(found[1])
        if done.returncode == 64 and found:
            raise JobFailed(65, f"The speech '{sound}' has no frames")
        if done.returncode == 0 or done.returncode == 64:
            raise JobFailed(69, f"viseme {self.version} does not say how many frames '{sound}' has: {done.stderr.strip()[-300:]}", "this package needs viseme 0.2.0 or later")
        raise failure(done)

    def draw(self, sound: Path, pack: Path, crf: int, frames: range, threads: int, target: Path) -> None:
        """Renders a segment; the program renames it to its name when it is whole."""
        span = f"{frames.start}:{frames.stop}"
        self.run(
            "render", "--avatar", str(pack), "--audio", str(sound), "--range", span, "--crf", str(crf), "--threads", str(threads), "-o", str(target), "--force"
        )  # fmt: skip

    def join(self, parts: Sequence[Path], sound: Path, target: Path) -> None:
        """Joins all segments of a render; anything missing, there twice, or of another render is an error."""
        self.run("join", *map(str, parts), "--audio", str(sound), "-o", str(target), "--force")


def failure(done: subprocess.CompletedProcess[str]) -> Exception:
    """What an exit status means. 70 is a failure inside, which another machine may not have."""
    words = {name: text for name, text in re.findall(r"(error|hint): (.*)", done.stderr, flags=re.IGNORECASE)}
    message = words.get("error") or words.get("Error") or f"viseme ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    if 64 <= done.returncode <= 74 and done.returncode != 70:
        return JobFailed(done.returncode, message, words.get("hint", ""))
    return Accident(message)


def content_key(viseme: Viseme, sound: Path, pack: Path, crf: int) -> str:
    """The name of what a render depends on: the program's version, the pack's files, the sound's bytes, the options."""
    files = sorted(path for path in pack.rglob("*") if path.is_file())
    contents = [[str(path.relative_to(pack)), digest(path)] for path in files]
    text = json.dumps([viseme.version, contents, digest(sound), crf])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest(path: Path) -> str:
    """SHA-256 of a file, computed once as long as it does not change."""
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, modified: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
