"""Sends speech: in order, in few requests, and never what was interrupted."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import VisemeError

# Speech that waits here before a writer waits, too. The server takes ten seconds more.
WAITING_SECONDS = 1.0
# The most speech of one request.
REQUEST_SECONDS = 4.0

Post = Callable[[str, bytes], Awaitable[dict[str, Any]]]


@dataclass
class _Piece:
    utterance: Utterance
    samples: bytearray
    is_last: bool = False


class Utterance:
    """Something that is said; made by `Session.utterance`."""

    def __init__(self, outbox: Outbox, name: str, rate: int, channels: int) -> None:
        self._outbox = outbox
        self.name, self.rate, self.channels = name, rate, channels
        self.error: VisemeError | None = None
        """Why nothing more of it is taken: the server's answer to a request."""
        self.is_interrupted = False
        self.is_finished = False

    @property
    def bytes_per_second(self) -> int:
        return 2 * self.channels * self.rate

    async def write(self, samples: bytes) -> None:
        """Adds samples (s16le, interleaved); waits while a second of speech waits to be sent. After an interruption it does nothing.

        Raises:
            VisemeError: The server refused the utterance.
        """
        if len(samples) % (2 * self.channels):
            raise ValueError(f"{len(samples)} bytes are not whole samples of {self.channels} channels with 16 bits")
        await self._outbox.write(self, samples, is_last=False)

    async def finish(self) -> None:
        """Nothing more will be written. The units and the events tell when it is over."""
        await self._outbox.write(self, b"", is_last=True)


class Outbox:
    """Sends the speech of one session. The server takes one request with speech at a time."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._prefix, self._count = secrets.token_hex(4), 0
        self._begun: list[Utterance] = []  # and not finished
        self._pieces: deque[_Piece] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._running: asyncio.Future[dict[str, Any]] | None = None
        self._room = asyncio.Event()
        self._interruptions = 0

    def utterance(self, name: str | None, rate: int, channels: int) -> Utterance:
        self._count += 1
        return Utterance(self, name or f"{self._prefix}-{self._count}", rate, channels)

    async def write(self, utterance: Utterance, samples: bytes, is_last: bool) -> None:
        if utterance.error:
            raise utterance.error
        if utterance.is_interrupted or utterance.is_finished:
            return
        if utterance not in self._begun:
            if not samples:
                return  # nothing was ever said
            self._begun.append(utterance)
        if is_last:
            utterance.is_finished = True
            self._begun.remove(utterance)
        last = self._pieces[-1] if self._pieces else None
        if last and last.utterance is utterance:
            last.samples += samples
            last.is_last = is_last
        else:
            self._pieces.append(_Piece(utterance, bytearray(samples), is_last))
        self._go_on()
        while self._waiting > WAITING_SECONDS and not utterance.is_interrupted and not utterance.error:
            self._room.clear()
            await self._room.wait()
        if utterance.error:
            raise utterance.error

    @property
    def _waiting(self) -> float:
        return sum(len(piece.samples) / piece.utterance.bytes_per_second for piece in self._pieces)

    def _go_on(self) -> None:
        if self._pieces and (not self._sender or self._sender.done()):
            self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        # While an interruption is on its way, what is sent might be taken for what it shall drop.
        while self._pieces and not self._interruptions:
            piece = self._pieces[0]
            utterance = piece.utterance
            count = min(len(piece.samples), int(REQUEST_SECONDS * utterance.rate) * 2 * utterance.channels)
            body = bytes(piece.samples[:count])
            del piece.samples[:count]
            is_last = piece.is_last and not piece.samples
            if not piece.samples:
                self._pieces.popleft()
            path = f"/audio?format=s16le&rate={utterance.rate}&channels={utterance.channels}&utterance={quote(utterance.name)}"
            self._running = asyncio.ensure_future(self._post(path + ("&finish=true" if is_last else ""), body))
            try:
                await self._running
            except VisemeError as error:
                if not utterance.is_interrupted:
                    utterance.error = error
                self._pieces = deque(left for left in self._pieces if left.utterance is not utterance)
            finally:
                self._room.set()

    async def interrupt(self, post: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Drops what waits, and lets the server drop what it has."""
        self._interruptions += 1
        running = self._running
        for utterance in [*self._begun, *(piece.utterance for piece in self._pieces)]:
            utterance.is_interrupted = True
        self._begun.clear()
        self._pieces.clear()
        self._room.set()
        try:
            await post()
            if running and not running.done():
                # It goes over another connection: the server may have it only now, and begin what was interrupted.
                answer = (await asyncio.gather(running, return_exceptions=True))[0]
                if isinstance(answer, dict) and not answer.get("isInterrupted"):
                    await post()
        finally:
            self._interruptions -= 1
            self._go_on()

    async def close(self) -> None:
        """Sends nothing more."""
        for utterance in [*self._begun, *(piece.utterance for piece in self._pieces)]:
            utterance.is_interrupted = True
        self._begun.clear()
        self._pieces.clear()
        self._room.set()
        if self._sender and not self._sender.done():
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
