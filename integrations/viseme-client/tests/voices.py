"""Speech for tests, and a server to say it: the program is searched for as `Viseme.local` does."""

from __future__ import annotations

import asyncio
import functools
import math
import unittest
import wave
from array import array
from pathlib import Path
from typing import ClassVar

from viseme_client import Viseme, VisemeError
from viseme_client.local import find_binary

ROOT = Path(__file__).resolve().parents[3]
AVATARS = ROOT / "avatars"
RATE = 24_000


def recording() -> tuple[bytes, int]:
    """The repository's sample: samples and rate, one channel."""
    with wave.open(str(ROOT / "samples/hello.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.readframes(file.getnframes()), file.getframerate()


@functools.cache
def _second(pitch: int, rate: int) -> bytes:
    samples = array("h")
    for k in range(rate):
        t = k / rate
        loud = 6000 * (0.5 - 0.5 * math.cos(2 * math.pi * 5 * t))
        samples.append(int(loud * sum(math.sin(2 * math.pi * pitch * n * t) / n for n in (1, 2, 3, 5, 7))))
    return samples.tobytes()


def babble(seconds: float, *, seed: int = 1, rate: int = RATE) -> bytes:
    """Something voiced, of an exact length: vowels that come and go five times a second."""
    return (_second(90 + seed % 8 * 11, rate) * math.ceil(seconds))[: round(seconds * rate) * 2]


class LiveTestCase(unittest.IsolatedAsyncioTestCase):
    """Every test has a session of one server; without the program the tests are skipped, and say so."""

    binary: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        try:
            cls.binary = find_binary()
        except VisemeError as error:
            raise unittest.SkipTest(str(error)) from None

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # unittest's default costs half of the processor
        self.viseme = await Viseme.local(binary=self.binary, avatars=AVATARS)
        self.addAsyncCleanup(self.viseme.close)
