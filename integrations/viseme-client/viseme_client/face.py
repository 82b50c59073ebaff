"""The face of an agent: a session that outlives the engine's failures. What LiveKit's and Pipecat's packages have in common."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from .client import Session, Viseme
from .errors import Unreachable, VisemeError
from .speech import Utterance
from .units import LAST, Unit

log = logging.getLogger("viseme")
T = TypeVar("T")

# Units that wait for whoever takes them before the server's stream waits; the server allows 24 with pictures at 1280×720.
MOST_WAITING = 50
RETRY_SECONDS = 0.5
# A living engine gives 25 units a second and answers at once.
PATIENCE_SECONDS = 5.0
UNIT_SECONDS = 0.04
# Of the sound of a session, before there was one.
RATE = 48_000
# Without an engine, a writer waits when it is this far ahead.
ALONE_SECONDS = 4.0


class Saying:
    """Something the face says; made by `Face.saying`."""

    def __init__(self, face: Face, name: str, rate: int, channels: int) -> None:
        self._face = face
        self.name, self.rate, self.channels = name, rate, channels
        self.is_interrupted = False
        self.is_over = False
        self.is_finished = False
        self._utterance: Utterance | None = None
        self._kept = bytearray()
        self._forgotten = 0  # samples before `_kept`

    async def write(self, samples: bytes) -> None:
        """Adds samples (s16le, interleaved); waits while several seconds are ahead. Does nothing after an interruption."""
        if self.is_interrupted or self.is_finished or not samples:
            return
        if not self._kept and not self._forgotten:
            self._utterance = self._face._begin(self)
        self._kept += samples
        if self._utterance:
            try:
                await self._utterance.write(samples)
            except VisemeError as error:
                self._face._fail(error)
        while not self._utterance and len(self._kept) > 2 * self.channels * self.rate * ALONE_SECONDS and not self.is_interrupted:
            await self._face._space()

    async def finish(self) -> None:
        """Nothing more will be written. Its end comes with a unit."""
        if self.is_interrupted or self.is_finished:
            return
        self.is_finished = True
        if not self._kept and not self._forgotten:
            self._face._sayings[self.name] = self  # nothing to say: only its end
        if self._utterance:
            try:
                await self._utterance.finish()
            except VisemeError as error:
                self._face._fail(error)

    def _given(self, unit: Unit) -> None:
        """Forgets what was spoken."""
        count = unit.position * self.rate // unit.rate - self._forgotten
        if count > 0:
            del self._kept[: count * 2 * self.channels]
            self._forgotten += count


class Face:
    """Says what it is given, and gives pictures and sound in units of 40 ms, for ever.

    Without the engine, units go on at the same pace, with the last picture: with the sound that was not given yet, and what follows of
    it, as it was written. So an agent keeps its voice. A new session is tried in the background; the next utterance uses it.

    Every utterance has exactly one end in the units, unless `interrupt` was called: then nothing of it comes any more.
    """

    def __init__(
        self, viseme: Viseme, avatar: str | None = None, *, templates: int | str = 0, on_error: Callable[[VisemeError], None] | None = None
    ) -> None:  # fmt: skip
        """
        Args:
            viseme: The server; the caller closes it.
            avatar: The avatar's id.
            templates: As in `Session.units`.
            on_error: Called once when the engine fails, and not again before it worked; without it the error is logged.
        """
        self._viseme, self._avatar, self._templates, self._on_error = viseme, avatar, templates, on_error
        self._prefix, self._count = secrets.token_hex(3), 0
        self._session: Session | None = None
        self._sayings: dict[str, Saying] = {}
        self._units: deque[Unit] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ready = asyncio.Event()
        self._has_failed = False
        self._last: Unit | None = None

    # MARK: Life

    async def start(self) -> Session:
        """Begins; returns when the engine gives pictures.

        Raises:
            VisemeError: There is no engine or no such avatar. `start_anyway` goes on without.
        """
        session = await self._viseme.session(self._avatar)
        self._start(session)
        try:
            await asyncio.wait_for(self._is_ready.wait(), PATIENCE_SECONDS)
        except (TimeoutError, asyncio.TimeoutError) as error:
            await self.close()
            raise Unreachable(f"The engine gives no pictures within {PATIENCE_SECONDS:.0f} s") from error
        return session

    def start_anyway(self) -> None:
        """Begins; a failure is told by `on_error`, and mended when the engine comes."""
        self._start(None)

    def _start(self, session: Session | None) -> None:
        self._tasks = [asyncio.create_task(self._watch(session)), asyncio.create_task(self._keep_time())]

    async def close(self) -> None:
        """Ends the session."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self.drop()

    @property
    def is_well(self) -> bool:
        """Whether there is an engine."""
        return self._session is not None

    # MARK: Speaking

    def saying(self, *, rate: int, channels: int = 1) -> Saying:
        """Something to say: it begins with its first samples, after what was said before."""
        self._count += 1
        return Saying(self, f"{self._prefix}-{self._count}", rate, channels)

    @property
    def is_speaking(self) -> bool:
        """Whether something is said, or waits to be said."""
        return bool(self._sayings)

    async def interrupt(self) -> None:
        """Stops at once: from the call on nothing of what was said before comes any more. Returns when the engine hears again."""
        self.drop()
        if session := self._session:
            try:
                await _patiently(session.interrupt(), "an interruption")
            except VisemeError as error:
                self._fail(error)

    def drop(self) -> None:
        """The part of `interrupt` that takes no time: nothing of what was said before comes any more."""
        for saying in self._sayings.values():
            saying.is_interrupted = saying.is_over = True
        self._sayings.clear()
        self._units = deque(unit for unit in self._units if not unit.utterance)
        self._room.set()

    def _begin(self, saying: Saying) -> Utterance | None:
        self._sayings[saying.name] = saying
        if self._session and all(before._utterance for before in list(self._sayings.values())[:-1]):
            return self._session.utterance(saying.name, rate=saying.rate, channels=saying.channels)
        return None

    # MARK: Watching

    async def units(self) -> AsyncIterator[Unit]:
        """Pictures with their sound, and ends of utterances; for one reader. Their pace is that of real time."""
        while True:
            while not self._units:
                self._news.clear()
                await self._news.wait()
            unit = self._units.popleft()
            self._room.set()
            yield unit

    async def _space(self) -> None:
        """Waits until a unit was given or taken."""
        self._room.clear()
        await self._room.wait()

    def _give(self, unit: Unit) -> None:
        # Who takes them too slowly gets fewer pictures of an idle face, rather than all of them later and later.
        if not unit.utterance and len(self._units) >= 2 and not self._units[-1].utterance:
            unit.is_new |= self._units.pop().is_new
        self._units.append(unit)
        self._news.set()

    async def _watch(self, session: Session | None) -> None:
        """Keeps a session; ends with `close`."""
        try:
            while True:
                try:
                    if not session:
                        await self._viseme.revive()
                        session = await _patiently(self._viseme.session(self._avatar), "a new session")
                    # One that ended for want of speech has a successor at once.
                    await self._follow(session)
                except VisemeError as error:
                    self._fail(error)
                    await asyncio.sleep(RETRY_SECONDS)
                finally:
                    await self._leave(session)
                session = None
        finally:
            self._session = None

    async def _leave(self, session: Session | None) -> None:
        self._session = None
        if session:
            try:
                await _patiently(session.end(), "the end of a session")
            except VisemeError as error:
                log.debug("%s", error)

    async def _follow(self, session: Session) -> None:
        """Takes units until the session ends, or somebody finds it broken."""
        is_new = True
        async with contextlib.aclosing(session.units(templates=self._templates)) as units:
            while True:
                try:
                    unit = await _patiently(units.__anext__(), "units")
                except StopAsyncIteration:
                    break
                if is_new:
                    is_new, self._session = False, session
                    self._is_ready.set()
                    if self._has_failed:
                        log.warning("the engine is back")
                    self._has_failed = False
                elif self._session is not session:
                    return
                if unit.state == "ended":
                    break
                self._take(unit)
                while len(self._units) >= MOST_WAITING:
                    await self._space()
        if self._sayings:
            raise Unreachable("The session ended in the middle of an utterance")

    def _take(self, unit: Unit) -> None:
        if not unit.is_mark:
            self._last = unit
        if unit.utterance:
            saying = self._sayings.get(unit.utterance)
            if not saying:
                return  # interrupted, or said without picture meanwhile
            saying._given(unit)
            if unit.end:
                self._over(saying)
        elif not unit.is_mark:
            unit = self._alone(unit)
        self._give(unit)

    def _over(self, saying: Saying) -> None:
        saying.is_over = True
        self._sayings.pop(saying.name, None)

    # MARK: Without an engine

    def _fail(self, error: VisemeError) -> None:
        """The engine is gone, or refuses: from here on the voice goes alone, until a new session is there."""
        self._session = None
        for saying in self._sayings.values():
            saying._utterance = None
        if not self._has_failed:
            self._has_failed = True
            if self._on_error:
                self._on_error(error)
            else:
                log.error("the avatar has failed, its voice goes on: %s", error)

    async def _keep_time(self) -> None:
        """Gives units while no engine does."""
        due = time.monotonic()
        while True:
            due = max(due + UNIT_SECONDS, time.monotonic() - UNIT_SECONDS)
            await asyncio.sleep(due - time.monotonic())
            if not self._session:
                self._give(self._alone(self._idle()))

    def _idle(self) -> Unit:
        last = self._last
        if not last:
            return Unit(0, 0, "idle", "", 0, 0, 0, b"", False, RATE, 1, bytes(RATE // 25 * 2), b"", 0)
        return Unit(last.number, last.epoch, "idle", "", 0, last.width, last.height, last.picture, False, last.rate, last.channels, bytes(len(last.sound)), b"", 0)

    def _alone(self, idle: Unit) -> Unit:
        """An idle unit, with the next sound of what is said without the engine, if there is any."""
        saying = next(iter(self._sayings.values()), None)
        if not saying or saying._utterance or not (saying._kept or saying.is_finished):
            return idle
        frame = 2 * saying.channels
        count = round(saying.rate * UNIT_SECONDS) * frame
        piece = bytes(saying._kept[:count])
        del saying._kept[:count]
        saying._forgotten += len(piece) // frame
        is_over = saying.is_finished and not saying._kept
        if is_over:
            self._over(saying)
        self._room.set()
        return replace(
            idle, state="speaking", utterance=saying.name, position=saying._forgotten, rate=saying.rate, channels=saying.channels,
            sound=piece + bytes(count - len(piece)), speech=piece, flags=LAST if is_over else 0,
        )  # fmt: skip


async def _patiently(doing: Awaitable[T], what: str) -> T:
    try:
        return await asyncio.wait_for(doing, PATIENCE_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise Unreachable(f"The engine gives no answer to {what} within {PATIENCE_SECONDS:.0f} s") from error
