"""`VisemeVideoService` in a pipeline, without a transport: what goes in, and what comes out in which order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import unittest
import wave
from typing import Any

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    MetricsFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from pipecat_viseme import VisemeVideoService
from viseme_client import Viseme, VisemeError
from viseme_client.local import find_binary

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
RATE = 16_000


def hello(seconds: float) -> bytes:
    """The beginning of the repository's sample, without its silence, as a text-to-speech gives it."""
    with wave.open(os.path.join(ROOT, "samples/hello.wav")) as file:
        assert file.getframerate() == RATE
        file.setpos(RATE // 2)
        return bytes((file.readframes(RATE) * 30)[: int(seconds * RATE) * 2])


class Sink(FrameProcessor):
    """Writes down what comes, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[float, Frame]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction == FrameDirection.DOWNSTREAM:
            self.frames.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)

    def all(self, kind: type) -> list[Any]:
        return [frame for _, frame in self.frames if isinstance(frame, kind)]

    def seconds(self, context: str) -> float:
        return float(sum(len(frame.audio) / 2 / frame.sample_rate for frame in self.all(TTSAudioRawFrame) if frame.context_id == context))


class PipelineTestCase(unittest.IsolatedAsyncioTestCase):
    async def begin(self, service: VisemeVideoService, pictures: bool = True) -> None:
        self.sink = Sink()
        self.errors: list[ErrorFrame] = []
        self.service = service

        @service.event_handler("on_error")
        async def on_error(processor: Any, error: ErrorFrame) -> None:
            self.errors.append(error)

        self.worker = PipelineWorker(Pipeline([service, self.sink]), params=PipelineParams(enable_metrics=True), idle_timeout_secs=None)
        self.runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await self.runner.add_workers(self.worker)
        self.running = asyncio.create_task(self.runner.run())
        self.addAsyncCleanup(self.finish)
        if pictures:
            await self.until(lambda: len(self.sink.all(OutputImageRawFrame)) > 3)

    async def finish(self) -> None:
        if not self.running.done():
            await self.runner.cancel()
        await asyncio.wait_for(self.running, 20)

    async def until(self, condition: Any, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within {seconds} s; errors: {self.errors}")
            await asyncio.sleep(0.005)

    async def say(self, seconds: float, context: str, *behind: Frame) -> None:
        sound = hello(seconds)
        pieces = [sound[k : k + 4800] for k in range(0, len(sound), 4800)]
        frames: list[Frame] = [TTSStartedFrame(context_id=context), *(TTSAudioRawFrame(piece, RATE, 1, context_id=context) for piece in pieces)]
        await self.worker.queue_frames([*frames, *behind, TTSStoppedFrame(context_id=context)])


class ServiceTests(PipelineTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # unittest's default costs half of the processor
        try:
            binary = find_binary()
        except VisemeError as error:
            self.skipTest(str(error))
        self.viseme = await Viseme.local(binary=binary, avatars=os.path.join(ROOT, "avatars"))
        self.addAsyncCleanup(self.viseme.close)
        await self.begin(VisemeVideoService(url=self.viseme.url, avatar="robin"))

    async def test_speech_comes_back_in_step_and_what_stands_behind_it_follows(self) -> None:
        text = TTSTextFrame("Hello.", text_type="sentence")
        began = time.monotonic()
        await self.say(1.5, "a", text, LLMFullResponseEndFrame())
        await self.until(lambda: self.sink.all(TTSStoppedFrame))
        spoken = [(at, frame) for at, frame in self.sink.frames if at >= began]
        sound = [at for at, frame in spoken if isinstance(frame, TTSAudioRawFrame)]
        # At the pace of real time, each with its picture before it.
        self.assertAlmostEqual(self.sink.seconds("a"), 1.5, delta=0.04)
        self.assertAlmostEqual(sound[-1] - sound[0], 1.5 - 0.04, delta=0.4)
        pictures = [at for at, frame in spoken if isinstance(frame, OutputImageRawFrame) and sound[0] - 0.03 < at <= sound[-1]]
        self.assertGreater(len(pictures), 30)
        kinds = (TTSStartedFrame, TTSAudioRawFrame, TTSTextFrame, LLMFullResponseEndFrame, TTSStoppedFrame)
        order = [type(frame).__name__ for _, frame in spoken if isinstance(frame, kinds)]
        self.assertEqual(order[0], "TTSStartedFrame")
        self.assertEqual(order[-3:], ["TTSTextFrame", "LLMFullResponseEndFrame", "TTSStoppedFrame"])
        self.assertEqual(set(order[1:-3]), {"TTSAudioRawFrame"})
        picture = self.sink.all(OutputImageRawFrame)[-1]
        self.assertEqual((picture.size, picture.format, len(picture.image)), ((1280, 720), "RGB", 1280 * 720 * 3))
        ttfb = [data.value for frame in self.sink.all(MetricsFrame) for data in frame.data if isinstance(data, TTFBMetricsData) and data.value > 0]
        self.assertEqual(len(ttfb), 1)
        print(f"measured: first byte of speech to the first voiced picture: {ttfb[0] * 1000:.0f} ms", flush=True)

    async def test_utterances_in_a_row_keep_their_contexts_and_their_order(self) -> None:
        for context, seconds in (("a", 0.5), ("b", 0.04), ("c", 0.3)):
            await self.say(seconds, context)
        await self.until(lambda: len(self.sink.all(TTSStoppedFrame)) == 3)
        order = [(type(frame).__name__[3:], frame.context_id) for _, frame in self.sink.frames if isinstance(frame, (TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame))]
        short = [step for step, before in zip(order, [None, *order]) if step != before]
        self.assertEqual(short, [(kind, context) for context in "abc" for kind in ("StartedFrame", "AudioRawFrame", "StoppedFrame")])

    async def test_nothing_old_follows_an_interruption_and_the_next_is_heard(self) -> None:
        for turn in range(5):
            result = FunctionCallResultFrame("f", "1", {}, {})
            await self.say(4, f"old {turn}", TTSTextFrame("Unheard.", text_type="sentence"), result)
            await self.until(lambda name=f"old {turn}": self.sink.seconds(name) > 0.3)
            began = time.monotonic()
            await self.worker.queue_frame(InterruptionFrame())
            await self.until(lambda turn=turn: len(self.sink.all(InterruptionFrame)) == turn + 1)
            passed = time.monotonic()
            self.assertLess(passed - began, 0.1)
            await asyncio.sleep(0.3)
            after = [frame for at, frame in self.sink.frames if at > passed]
            self.assertEqual([frame for frame in after if isinstance(frame, (TTSAudioRawFrame, TTSTextFrame, TTSStoppedFrame))], [])
            self.assertIn(result, self.sink.all(FunctionCallResultFrame), "what an interruption does not drop follows")
        await self.say(0.4, "new")
        await self.until(lambda: self.sink.all(TTSStoppedFrame))
        self.assertAlmostEqual(self.sink.seconds("new"), 0.4, delta=0.04)
        self.assertEqual(self.errors, [])

    async def test_other_frames_pass_at_once_while_it_speaks(self) -> None:
        await self.say(2, "a")
        await self.until(lambda: self.sink.seconds("a") > 0)
        await self.worker.queue_frame(UserStartedSpeakingFrame())
        await self.until(lambda: self.sink.all(UserStartedSpeakingFrame), 0.5)
        self.assertLess(self.sink.seconds("a"), 1)

    async def test_the_end_waits_for_the_last_word(self) -> None:
        await self.say(1, "a")
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self.running, 20)
        self.assertAlmostEqual(self.sink.seconds("a"), 1, delta=0.04)
        self.assertIsInstance(self.sink.frames[-1][1], EndFrame)

    async def test_the_voice_goes_on_without_the_engine_and_one_error_says_so(self) -> None:
        server = self.viseme._server
        assert server is not None
        assert server.pid is not None
        await self.say(3, "a")
        await self.until(lambda: self.sink.seconds("a") > 0.5)
        os.kill(server.pid, signal.SIGKILL)
        await self.until(lambda: self.sink.all(TTSStoppedFrame))
        self.assertAlmostEqual(self.sink.seconds("a"), 3, delta=0.04)
        await self.say(0.5, "b")
        await self.until(lambda: len(self.sink.all(TTSStoppedFrame)) == 2)
        self.assertAlmostEqual(self.sink.seconds("b"), 0.5, delta=0.04)
        self.assertEqual(len(self.errors), 1, [error.error for error in self.errors])
        self.assertTrue(self.service.is_usable)
        # The same address, another process: as an operator restarts it.
        port = int(self.viseme.url.rpartition(":")[2])
        second = await Viseme.local(binary=find_binary(), avatars=os.path.join(ROOT, "avatars"), options=["--port", str(port)])
        self.addAsyncCleanup(second.close)
        count = len(self.sink.all(OutputImageRawFrame))
        await self.until(lambda: len(self.sink.all(OutputImageRawFrame)) > count + 5)
        await self.say(0.6, "c")
        await self.until(lambda: len(self.sink.all(TTSStoppedFrame)) == 3)
        self.assertAlmostEqual(self.sink.seconds("c"), 0.6, delta=0.04)
        self.assertEqual(len(self.errors), 1)


class NoEngineTests(PipelineTestCase):
    """From the beginning, nobody is there."""

    async def test_it_has_a_voice(self) -> None:
        await self.begin(VisemeVideoService(url="http://127.0.0.1:9"), pictures=False)
        await self.say(1, "a")
        await self.until(lambda: self.sink.all(TTSStoppedFrame))
        self.assertAlmostEqual(self.sink.seconds("a"), 1, delta=0.04)
        self.assertEqual(len(self.errors), 1)


if __name__ == "__main__":
    unittest.main()
