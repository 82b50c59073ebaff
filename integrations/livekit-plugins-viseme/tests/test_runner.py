"""Ends of playback, through LiveKit's own `AvatarRunner`: exactly one a segment, at the right position.

VISEME_SEGMENTS says how many segments; `make integrations-slow` takes 1,000.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import unittest
from typing import Any
from unittest import mock

import livekit.rtc as rtc
import numpy as np
from livekit.agents.voice.avatar import AvatarOptions, AvatarRunner, QueueAudioOutput
from livekit.agents.voice.io import PlaybackFinishedEvent
from livekit.plugins.viseme import VisemeGenerator
from livekit.plugins.viseme.avatar import SAMPLE_RATE
from viseme_client import Face, Viseme, VisemeError
from viseme_client.local import find_binary

from .standin import StandInRoom

SEGMENTS = int(os.environ.get("VISEME_SEGMENTS", "24"))
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


def babble(seconds: float, seed: int) -> np.ndarray:
    """Something voiced."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = random.Random(seed).uniform(90, 180)
    tone = sum(np.sin(2 * np.pi * pitch * n * times) / n for n in (1, 2, 3, 5))
    return (5000 * (0.5 - 0.5 * np.cos(2 * np.pi * 5 * times)) * tone).astype(np.int16)


class RunnerTests(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # unittest's default costs half of the processor
        try:
            binary = find_binary()
        except VisemeError as error:
            self.skipTest(str(error))
        self.viseme = await Viseme.local(binary=binary, avatars=os.path.join(ROOT, "avatars"))
        self.addAsyncCleanup(self.viseme.close)
        self.errors: list[VisemeError] = []
        self.face = Face(self.viseme, "robin", on_error=self.errors.append)
        await self.face.start()
        self.addAsyncCleanup(self.face.close)
        self.given = 0.0
        self.pictures: list[float] = []
        self._watch_sources()
        self.sink = QueueAudioOutput(sample_rate=SAMPLE_RATE, wait_playback_start=True)
        self.ends: list[PlaybackFinishedEvent] = []
        self.starts: list[Any] = []
        self.sink.on("playback_finished", self.ends.append)
        self.sink.on("playback_started", self.starts.append)
        self.room = StandInRoom()
        options = AvatarOptions(video_width=1280, video_height=720, video_fps=25, audio_sample_rate=SAMPLE_RATE, audio_channels=1)
        self.runner = AvatarRunner(self.room, audio_recv=self.sink, video_gen=VisemeGenerator(self.face), options=options)
        await self.runner.start()
        self.addAsyncCleanup(self.runner.aclose)

    def _watch_sources(self) -> None:
        """Counts what reaches libwebrtc."""
        take_sound, take_picture = rtc.AudioSource.capture_frame, rtc.VideoSource.capture_frame

        async def sound(source: rtc.AudioSource, frame: rtc.AudioFrame) -> None:
            await take_sound(source, frame)
            self.given += frame.duration

        def picture(source: rtc.VideoSource, frame: rtc.VideoFrame, **options: Any) -> None:
            self.pictures.append(time.monotonic())
            take_picture(source, frame, **options)

        for patch in (mock.patch.object(rtc.AudioSource, "capture_frame", sound), mock.patch.object(rtc.VideoSource, "capture_frame", picture)):
            patch.start()
            self.addCleanup(patch.stop)

    async def push(self, samples: np.ndarray, chance: random.Random) -> None:
        """As a text-to-speech service does: in pieces of any size, faster than real time."""
        start = 0
        while start < len(samples):
            piece = samples[start : start + chance.randint(240, 9600)]
            await self.sink.capture_frame(rtc.AudioFrame(piece.tobytes(), SAMPLE_RATE, 1, len(piece)))
            start += len(piece)
            if chance.random() < 0.2:
                await asyncio.sleep(chance.uniform(0, 0.02))
        self.sink.flush()

    async def test_every_segment_ends_once_where_it_was_heard(self) -> None:
        chance = random.Random(20261130)
        worst, asked, interrupted, began = 0.0, 0, 0, time.monotonic()
        for number in range(SEGMENTS):
            seconds = chance.choice([chance.uniform(0.02, 0.3), chance.uniform(0.3, 1.6)])
            stop_after = None if chance.random() < 0.4 else chance.uniform(0, seconds + 0.4)
            before, ends, starts = self.given, len(self.ends), len(self.starts)
            await self.push(babble(seconds, number), chance)
            if stop_after is not None:
                asked += 1
                await asyncio.sleep(stop_after + 0.001)
                self.sink.clear_buffer()
            event = await asyncio.wait_for(self.sink.wait_for_playout(), 20)
            with self.subTest(number=number, seconds=seconds, stop_after=stop_after):
                self.assertEqual(len(self.ends), ends + 1)
                if not event.interrupted:
                    self.assertAlmostEqual(event.playback_position, seconds, delta=0.002)  # the bar is 0.04
                else:
                    interrupted += 1
                    self.assertIsNotNone(stop_after)
                heard = self.given - before
                worst = max(worst, abs(event.playback_position - heard))
                self.assertAlmostEqual(event.playback_position, heard, delta=0.04)
                self.assertLessEqual(heard, seconds + 0.001)
                self.assertEqual(len(self.starts) - starts, int(event.playback_position > 0), "what is heard has begun, once")
        await asyncio.sleep(0.5)
        self.assertEqual(len(self.ends), SEGMENTS, "no end comes late")
        self.assertEqual(self.errors, [])
        print(
            f"measured: {SEGMENTS} segments, {asked} interruptions, {interrupted} of them before the end, {len(self.ends)} ends, largest error of the position "
            f"{worst * 1000:.1f} ms, {time.monotonic() - began:.0f} s", flush=True,
        )  # fmt: skip

    async def test_pictures_come_25_times_a_second_and_only_two_tracks_are_published(self) -> None:
        await asyncio.sleep(1)
        self.pictures.clear()
        await self.push(babble(1.5, 7), random.Random(7))
        await asyncio.wait_for(self.sink.wait_for_playout(), 20)
        await asyncio.sleep(1)
        rate = (len(self.pictures) - 1) / (self.pictures[-1] - self.pictures[0])
        print(f"measured: {rate:.1f} pictures a second", flush=True)
        self.assertLess(abs(rate - 25), 3)
        self.assertEqual(len(self.room.local_participant.tracks), 2)
        self.assertEqual(len(self.starts), 1)

    async def test_the_agent_keeps_its_voice_when_the_engine_is_killed(self) -> None:
        server = self.viseme._server
        assert server is not None
        assert server.pid is not None
        await asyncio.sleep(0.5)
        before = self.given
        await self.push(babble(3, 1), random.Random(1))
        while self.given - before < 0.6:
            await asyncio.sleep(0.01)
        os.kill(server.pid, signal.SIGKILL)
        event = await asyncio.wait_for(self.sink.wait_for_playout(), 30)
        self.assertFalse(event.interrupted)
        self.assertAlmostEqual(event.playback_position, 3, delta=0.04)
        self.assertEqual(len(self.errors), 1)
        while not self.face.is_well:
            await asyncio.sleep(0.05)
        self.pictures.clear()
        await self.push(babble(1, 2), random.Random(2))
        event = await asyncio.wait_for(self.sink.wait_for_playout(), 30)
        self.assertAlmostEqual(event.playback_position, 1, delta=0.04)
        self.assertGreater(len(self.pictures), 15)
        self.assertEqual(len(self.errors), 1)
        self.assertEqual(len(self.ends), 2)


if __name__ == "__main__":
    unittest.main()
