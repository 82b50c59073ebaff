"""What the generator does when the runner is slow; without an engine."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import AsyncIterator
from typing import cast

import livekit.rtc as rtc
from livekit.plugins.viseme import VisemeGenerator
from viseme_client import Face, Unit


def unit(number: int) -> Unit:
    sound = bytes(3840)
    return Unit(number, 0, "speaking", "u", 1920 * (number + 1), 2, 2, bytes(6), True, 48_000, 1, sound, sound, 0)


class ScriptedFace:
    """Gives two units of an utterance at once, and then none."""

    def drop(self) -> None: ...

    async def interrupt(self) -> None: ...

    async def units(self) -> AsyncIterator[Unit]:
        yield unit(0)
        yield unit(1)
        await asyncio.sleep(3600)


class GeneratorTests(unittest.IsolatedAsyncioTestCase):
    async def test_an_interruption_waits_for_the_frame_that_the_runner_holds_and_gives_no_other_part_of_its_unit(self) -> None:
        generator = VisemeGenerator(cast(Face, ScriptedFace()))
        frames = generator.__aiter__()
        self.assertIsInstance(await frames.__anext__(), rtc.VideoFrame)
        clearing = asyncio.create_task(generator.clear_buffer())
        await asyncio.sleep(0.1)
        self.assertFalse(clearing.done(), "the runner has not pushed the picture yet")
        following = asyncio.ensure_future(frames.__anext__())
        await asyncio.wait_for(clearing, 0.1)
        # The sound of the interrupted unit does not come: what follows is the next unit's picture.
        self.assertIsInstance(await following, rtc.VideoFrame)


if __name__ == "__main__":
    unittest.main()
