"""A call: an agent's pipeline with `VisemeVideoService` on one side, headless Chromium on the other. What both had is written down."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromium  # Tests/Page of the repository, in the PYTHONPATH
import numpy as np
from aiohttp import web
from pipecat.frames.frames import ErrorFrame, Frame, OutputImageRawFrame, TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_viseme import VisemeVideoService

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WIDTH, HEIGHT = 1280, 720


def mouth(avatar: str = "robin") -> dict[str, int]:
    """Where the mouth is in the first template frame: the lower part of the crop."""
    x1, y1, x2, y2 = json.loads((ROOT / "avatars" / f"{avatar}.avatar/crops.json").read_text())["squares"][0]
    return {"x": x1 + (x2 - x1) // 5, "y": y1 + (y2 - y1) // 4, "width": (x2 - x1) * 3 // 5, "height": (y2 - y1) // 2}


class Tap(FrameProcessor):
    """Behind the service: when each picture and each sound came, and what the mouth looked like."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[float, float]] = []
        """Wall clock and brightness of the mouth."""
        self.sounds: list[tuple[int, float, bytes, str | None]] = []
        """Pictures before it, wall clock, samples at 48 kHz, context."""
        self.stops: list[tuple[float, str | None]] = []
        area = mouth()
        self._rows = slice(area["y"], area["y"] + area["height"])
        self._columns = slice(area["x"], area["x"] + area["width"])

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame):
            picture = np.frombuffer(frame.image, np.uint8).reshape(HEIGHT, WIDTH, 3)
            self.pictures.append((time.time(), float(picture[self._rows, self._columns, 1].mean())))
        elif isinstance(frame, TTSAudioRawFrame):
            self.sounds.append((len(self.pictures), time.time(), frame.audio, frame.context_id))
        elif isinstance(frame, TTSStoppedFrame):
            self.stops.append((time.time(), frame.context_id))
        await self.push_frame(frame, direction)


@dataclass
class Seen:
    """What the browser had; times are the wall clock's, in seconds."""

    pictures: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))
    """Time, brightness, motion, number, width of the video."""
    sounds: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Time, loudness."""


class Call:
    """Begins on entering, with the video playing."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url, self._options = url, options
        self.errors: list[ErrorFrame] = []
        self.tap = Tap()

    async def __aenter__(self) -> Call:
        application = web.Application()
        application.add_routes([web.get("/", self._page), web.post("/offer", self._offer)])
        self._site = web.AppRunner(application)
        await self._site.setup()
        site = web.TCPSite(self._site, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]
        self._runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        self._running = asyncio.create_task(self._runner.run(auto_end=False))
        # No names of the local network in place of addresses: nobody would resolve them here.
        options = ["--disable-features=WebRtcHideLocalIpsWithMdns", "--autoplay-policy=no-user-gesture-required"]
        self.browser = await asyncio.to_thread(chromium.Chromium, chromium.find(), options=options)
        probe = (HERE / "probe.js").read_text()
        await self._do(self.browser.call, "Page.addScriptToEvaluateOnNewDocument", {"source": probe})
        await self._do(self.browser.call, "Page.navigate", {"url": f"http://127.0.0.1:{port}/"})
        await self._do(self.browser.wait, "document.readyState === 'complete'")
        await self._do(self.browser.evaluate, f"probe.area = {json.dumps(mouth())}")
        await self._do(self.browser.evaluate, "call()")
        await self._do(self.browser.wait, "document.getElementById('video').videoWidth > 0", 30)
        await self._do(self.browser.evaluate, "probe.listen()")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._do(self.browser.close)
        await self._runner.cancel()
        await asyncio.wait_for(self._running, 20)
        await self._site.cleanup()

    @staticmethod
    async def _do(what: Any, *arguments: Any) -> Any:
        return await asyncio.to_thread(what, *arguments)

    async def _page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE.parent / "examples/call.html")

    async def _offer(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        connection = SmallWebRTCConnection()
        await connection.initialize(sdp=wanted["sdp"], type=wanted["type"])
        transport = SmallWebRTCTransport(
            connection,
            TransportParams(
                audio_out_enabled=True, audio_out_sample_rate=48_000, audio_out_auto_silence=False, video_out_enabled=True, video_out_is_live=True,
                video_out_framerate=30, video_out_width=WIDTH, video_out_height=HEIGHT,
            ),
        )  # fmt: skip
        self.face = VisemeVideoService(url=self._url, avatar="robin", silence=True, **self._options)

        @self.face.event_handler("on_error")
        async def on_error(processor: Any, error: ErrorFrame) -> None:
            self.errors.append(error)

        self.worker = PipelineWorker(
            Pipeline([transport.input(), self.face, self.tap, transport.output()]),
            params=PipelineParams(enable_metrics=True),
            idle_timeout_secs=None,
        )
        await self._runner.add_workers(self.worker)
        return web.json_response(connection.get_answer())

    async def say(self, samples: bytes, rate: int, context: str, *, piece_seconds: float = 0.1) -> None:
        """What a text-to-speech service pushes: everything at once, in pieces."""
        step = int(rate * piece_seconds) * 2
        pieces = [samples[k : k + step] for k in range(0, len(samples), step)]
        frames: list[Frame] = [TTSStartedFrame(context_id=context)]
        frames += [TTSAudioRawFrame(piece, rate, 1, context_id=context) for piece in pieces]
        await self.worker.queue_frames([*frames, TTSStoppedFrame(context_id=context)])

    async def until_said(self, context: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not any(name == context for _, name in self.tap.stops):
            if time.monotonic() > end:
                raise TimeoutError(f"'{context}' was not spoken within {seconds} s; errors: {self.errors}")
            await asyncio.sleep(0.02)

    async def seen(self) -> Seen:
        """What the browser had since the last call."""
        told = await self._do(self.browser.evaluate, "probe.take()")
        pictures, sounds = np.array(told["pictures"] or np.zeros((0, 6))), np.array(told["sounds"] or np.zeros((0, 2)))
        pictures[:, 0] = (pictures[:, 0] + told["origin"]) / 1000
        sounds[:, 0] = (sounds[:, 0] + told["origin"]) / 1000
        return Seen(pictures[:, [0, 1, 2, 3, 5]], sounds)


def loudness(sounds: list[tuple[int, float, bytes, str | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Of the sounds that the tap had, every 2.5 ms: the wall clock, and the loudness."""
    times, values = [], []
    for _, at, samples, _ in sounds:
        sound = np.array(array("h", samples), float) / 32768
        for start in range(0, len(sound) - 119, 120):
            times.append(at + start / 48_000)
            values.append(float(np.sqrt(np.mean(sound[start : start + 120] ** 2))))
    order = np.argsort(times)
    return np.array(times)[order], np.array(values)[order]


def smooth(values: np.ndarray) -> np.ndarray:
    """Over 20 ms: the voice's pitch is not what is compared."""
    return np.convolve(values, np.ones(8) / 8, "same")


def delay(sent_at: np.ndarray, sent: np.ndarray, had_at: np.ndarray, had: np.ndarray, span: tuple[float, float]) -> tuple[float, float]:
    """By how much what was had follows what was sent: the best cross-correlation, to the millisecond, and its coefficient."""
    step = 0.001
    grid = np.arange(sent_at[0], sent_at[-1], step)

    def normal(values: np.ndarray) -> np.ndarray:
        values = values - values.mean()
        return values / (np.linalg.norm(values) or 1)

    truth = normal(np.interp(grid, sent_at, sent))
    best = max(
        ((float(truth @ normal(np.interp(grid + shift, had_at, had))), shift) for shift in np.arange(*span, step)), key=lambda pair: pair[0]
    )  # fmt: skip
    return float(best[1]), best[0]
