#!/usr/bin/env python3
"""An agent with a face, in the browser: Pipecat, SmallWebRTCTransport (aiortc) and Viseme. Nothing leaves this machine.

    python agent.py [--avatar robin] [--url http://127.0.0.1:8080]      then open http://127.0.0.1:7860

You type, and it answers aloud. Its voice is espeak-ng or flite. **Its mind is a script**: a stub in the place of an LLM, so that the
example runs without a key. Exchange `ScriptedMind` for any LLM service and `ProgramVoice` for any text-to-speech service.
Without --url it starts a `viseme serve` of its own.
"""

import argparse
import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from aiohttp import web
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputTransportMessageFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_viseme import VisemeVideoService

REPLIES = [
    "Hello! I am Robin. My voice and my face are made on your own machine.",
    "You said: {text}. I would think about it, but my mind is only a script.",
    "That is a good point. Interrupt me whenever you like, I stop at once and go on listening.",
    "I need no graphics card, no key, and nobody counts my minutes.",
]


class ScriptedMind(FrameProcessor):
    """In the place of an LLM: one line of the script after the other. Typing while it speaks is a barge-in."""

    def __init__(self) -> None:
        super().__init__()
        self._line = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputTransportMessageFrame):
            message = frame.message
            if message.get("type") in ("text", "interrupt"):
                await self.broadcast_interruption()
            if text := message.get("text"):
                reply = REPLIES[self._line % len(REPLIES)].format(text=text)
                self._line += 1
                await self.push_frame(LLMFullResponseStartFrame())
                for word in reply.split(" "):
                    await self.push_frame(LLMTextFrame(word + " "))
                await self.push_frame(LLMFullResponseEndFrame())


class ProgramVoice(TTSService):
    """Text-to-speech by a program that writes WAV to its standard output."""

    def __init__(self) -> None:
        if program := shutil.which("espeak-ng"):
            self._command = [program, "--stdout"]
        elif program := shutil.which("flite"):
            self._command = [program, "-o", "/dev/stdout", "-t"]
        else:
            raise SystemExit("No voice: install espeak-ng or flite")
        super().__init__(push_start_frame=True, push_stop_frames=True, stop_frame_timeout_s=0.5,
                         settings=TTSSettings(model=None, voice=None, language=None))  # fmt: skip

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        process = await asyncio.create_subprocess_exec(*self._command, text, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None

        async def pieces(output: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
            while piece := await output.read(4096):
                yield piece

        async for frame in self._stream_audio_frames_from_iterator(pieces(process.stdout), strip_wav_header=True, context_id=context_id):
            yield frame
        await process.wait()


def pipeline(connection: SmallWebRTCConnection, face: VisemeVideoService, *, width: int, height: int) -> PipelineWorker:
    """The agent of one call."""
    transport = SmallWebRTCTransport(
        connection,
        TransportParams(
            audio_out_enabled=True, audio_out_sample_rate=48_000, audio_out_auto_silence=False,
            video_out_enabled=True, video_out_is_live=True, video_out_framerate=30, video_out_width=width, video_out_height=height,
        ),
    )  # fmt: skip
    worker = PipelineWorker(
        Pipeline([transport.input(), ScriptedMind(), ProgramVoice(), face, transport.output()]),
        params=PipelineParams(enable_metrics=True),
        idle_timeout_secs=None,
        enable_rtvi=False,  # the page's messages are its own
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: Any, client: Any) -> None:
        await worker.queue_frame(EndFrame())

    return worker


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--avatar")
    parser.add_argument("--url")
    parser.add_argument("--width", type=int, default=1280, help="the avatar's")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--port", type=int, default=7860)
    options = parser.parse_args()
    runner = WorkerRunner(handle_sigint=False)

    async def offer(request: web.Request) -> web.Response:
        wanted = await request.json()
        connection = SmallWebRTCConnection()
        await connection.initialize(sdp=wanted["sdp"], type=wanted["type"])
        source = {"url": options.url} if options.url else {"local": True}
        face = VisemeVideoService(avatar=options.avatar, silence=True, **source)
        await runner.add_workers(pipeline(connection, face, width=options.width, height=options.height))
        return web.json_response(connection.get_answer())

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(Path(__file__).with_name("call.html"))

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/offer", offer)])
    site = web.AppRunner(application)
    await site.setup()
    await web.TCPSite(site, "127.0.0.1", options.port).start()
    print(f"Call the agent at http://127.0.0.1:{options.port}", flush=True)
    try:
        await runner.run(auto_end=False)
    finally:
        await site.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
