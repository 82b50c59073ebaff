"""The client against a real `viseme serve`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import unittest

from viseme_client import Face, Session, Unit, Viseme, VisemeError
from viseme_client.local import find_binary

from .voices import AVATARS, RATE, LiveTestCase, babble, recording

Spoken = dict[str, list[Unit]]


class Watcher:
    """Reads a session's units in the background."""

    def __init__(self, session: Session, templates: int | str = "all") -> None:
        self.units: list[Unit] = []
        self._session, self._templates = session, templates

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._read())
        await self.until(lambda: bool(self.units))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        async for unit in self._session.units(templates=self._templates):
            self.units.append(unit)

    async def until(self, condition: object, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            if self._task.done():
                self._task.result()
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s; the last unit: {self.units[-1] if self.units else None}")
            await asyncio.sleep(0.005)

    def ends(self) -> list[tuple[str, str]]:
        return [(unit.utterance, unit.end) for unit in self.units if unit.end]

    def speech(self, name: str) -> bytes:
        return b"".join(unit.speech for unit in self.units if unit.utterance == name)


class SessionTests(LiveTestCase):
    async def test_an_utterance_is_given_whole_and_ends_once(self) -> None:
        samples, rate = recording()
        async with await self.viseme.session("robin") as session, Watcher(session) as watcher:
            self.assertEqual((session.width, session.height), (1280, 720))
            utterance = session.utterance("greeting", rate=rate)
            for start in range(0, len(samples), 3000):
                await utterance.write(samples[start : start + 3000])
            await utterance.finish()
            await watcher.until(watcher.ends)
            await asyncio.sleep(0.2)
            self.assertEqual(watcher.ends(), [("greeting", "finished")])
            last = next(unit for unit in watcher.units if unit.end)
            seconds = len(samples) / 2 / rate
            self.assertAlmostEqual(last.position / last.rate, seconds, delta=0.001)
            self.assertEqual(len(watcher.speech("greeting")), last.position * 2)
            numbers = [unit.number for unit in watcher.units if not unit.is_mark]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
            spoken = {unit.picture for unit in watcher.units if unit.state == "speaking"}
            self.assertGreater(len(spoken), 10, "the mouth moves")
            self.assertEqual({len(unit.picture) for unit in watcher.units if not unit.is_mark}, {1280 * 720 * 3 // 2})

    async def test_kept_template_frames_change_no_picture(self) -> None:
        async with await self.viseme.session("robin") as session, Watcher(session, "all") as keeps, Watcher(session, 0) as takes:
            await takes.until(lambda: len(takes.units) > 30)
            pictures = {unit.number: unit.picture for unit in keeps.units}
            shared = [unit for unit in takes.units if unit.number in pictures]
            self.assertGreater(len(shared), 20)
            self.assertTrue(all(pictures[unit.number] == unit.picture for unit in shared))

    async def test_utterances_follow_each_other_however_fast_they_are_written(self) -> None:
        lengths = [0.3, 0.04, 0.7, 0.11]
        async with await self.viseme.session() as session, Watcher(session) as watcher:
            for number, seconds in enumerate(lengths):
                utterance = session.utterance(f"u{number}", rate=RATE)
                await utterance.write(babble(seconds))
                await utterance.finish()
            await watcher.until(lambda: len(watcher.ends()) == len(lengths))
            self.assertEqual(watcher.ends(), [(f"u{number}", "finished") for number in range(4)])
            for number, seconds in enumerate(lengths):
                self.assertEqual(len(watcher.speech(f"u{number}")) / 96_000, seconds)

    async def test_speech_far_ahead_waits_and_an_interruption_clears_it(self) -> None:
        async with await self.viseme.session() as session, Watcher(session) as watcher:
            utterance = session.utterance("long", rate=RATE)
            piece = babble(1)

            async def write() -> int:
                for written in range(60):
                    await utterance.write(piece)
                    if utterance.is_interrupted:
                        return written
                return 60

            writing = asyncio.create_task(write())
            await watcher.until(lambda: len(watcher.speech("long")) > 96_000)
            await asyncio.sleep(0.3)
            self.assertFalse(writing.done(), "a minute waits, it does not fit")
            began = time.monotonic()
            await session.interrupt()
            await watcher.until(watcher.ends)
            self.assertLess(time.monotonic() - began, 0.5)
            self.assertLess(await asyncio.wait_for(writing, 1), 20)
            self.assertEqual(watcher.ends(), [("long", "interrupted")])
            mark = next(unit for unit in watcher.units if unit.end)
            self.assertEqual(len(watcher.speech("long")), mark.position * 2)
            # It hears again, and nothing of what was dropped comes back.
            again = session.utterance("again", rate=RATE)
            await again.write(babble(0.2))
            await again.finish()
            await utterance.write(piece)
            await watcher.until(lambda: len(watcher.ends()) == 2)
            self.assertEqual(watcher.ends()[1], ("again", "finished"))

    async def test_ten_interruptions_in_a_row_leave_nothing_behind(self) -> None:
        async with await self.viseme.session() as session, Watcher(session) as watcher:
            for number in range(10):
                # Interrupted at once: the request may not have arrived yet.
                await session.utterance(f"i{number}", rate=RATE).write(babble(0.5, seed=number))
                await asyncio.sleep(0.02 * (number % 4))
                await session.interrupt()
            begun = len(watcher.units)
            last = session.utterance("last", rate=RATE)
            await last.write(babble(0.3))
            await last.finish()
            await watcher.until(lambda: ("last", "finished") in watcher.ends())
            after = {unit.utterance for unit in watcher.units[begun:] if unit.speech}
            self.assertEqual(after, {"last"})
            self.assertEqual(len(watcher.ends()), len(set(watcher.ends())))

    async def test_events_tell_of_utterances(self) -> None:
        async with await self.viseme.session() as session:
            told: list[tuple[str, str]] = []

            async def listen() -> None:
                async for kind, data in session.events():
                    if kind == "utterance":
                        told.append((data["id"], data["state"]))
                        if data["state"] == "finished":
                            return

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0.1)
            utterance = session.utterance("e", rate=RATE)
            await utterance.write(babble(0.2))
            await utterance.finish()
            await asyncio.wait_for(listening, 10)
            self.assertEqual(told, [("e", "started"), ("e", "finished")])

    async def test_refusals_reach_the_writer(self) -> None:
        async with await self.viseme.session() as session:
            bad = session.utterance("no/name", rate=RATE)
            await bad.write(babble(0.1))
            await asyncio.sleep(0.3)
            with self.assertRaises(VisemeError) as caught:
                await bad.write(babble(0.1))
            self.assertEqual(caught.exception.code, "usage")
            with self.assertRaises(ValueError):
                await session.utterance(rate=RATE).write(b"odd")
        with self.assertRaisesRegex(VisemeError, "nobody"):
            await self.viseme.session("nobody")


class FaceTests(LiveTestCase):
    """What an agent stands on."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.errors: list[VisemeError] = []
        self.face = Face(self.viseme, "robin", templates="all", on_error=self.errors.append)
        await self.face.start()
        self.units: list[Unit] = []
        self._reading = asyncio.create_task(self._read())
        self.addAsyncCleanup(self._stop)

    async def _stop(self) -> None:
        self._reading.cancel()
        await self.face.close()

    async def _read(self) -> None:
        async for unit in self.face.units():
            self.units.append(unit)

    async def until(self, condition: object, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            self.assertLess(time.monotonic(), end, f"not within {seconds} s; errors: {self.errors}")
            await asyncio.sleep(0.005)

    def speech(self, name: str) -> bytes:
        return b"".join(unit.speech for unit in self.units if unit.utterance == name)

    def ends(self, name: str) -> list[str | None]:
        return [unit.end for unit in self.units if unit.utterance == name and unit.end]

    async def test_nothing_comes_after_an_interruption(self) -> None:
        saying = self.face.saying(rate=RATE)
        await saying.write(babble(3))
        await self.until(lambda: len(self.speech(saying.name)) > 48_000)
        self.face.drop()
        count = len(self.units)
        await self.face.interrupt()
        await asyncio.sleep(0.3)
        self.assertEqual([unit for unit in self.units[count:] if unit.utterance], [])
        self.assertFalse(self.face.is_speaking)
        again = self.face.saying(rate=RATE)
        await again.write(babble(0.2))
        await again.finish()
        await self.until(lambda: self.ends(again.name) == ["finished"])
        self.assertEqual(self.errors, [])

    async def test_the_voice_goes_on_when_the_engine_is_killed_and_the_next_reply_has_a_face_again(self) -> None:
        said = babble(4, rate=48_000)
        saying = self.face.saying(rate=48_000)
        for start in range(0, len(said) // 2, 9600):
            await saying.write(said[start : start + 9600])
        await self.until(lambda: len(self.speech(saying.name)) > 48_000)
        server = self.viseme._server
        assert server is not None
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        for start in range(len(said) // 2, len(said), 9600):
            await saying.write(said[start : start + 9600])
        await saying.finish()
        await self.until(lambda: bool(self.ends(saying.name)))
        self.assertEqual(self.ends(saying.name), ["finished"])
        heard = self.speech(saying.name)
        # Every sample once: what the engine gave, and the rest as it was written. At 48 kHz nothing is converted.
        self.assertEqual(len(heard), len(said))
        self.assertEqual(len(self.errors), 1)
        await self.until(lambda: self.face.is_well)
        again = self.face.saying(rate=RATE)
        await again.write(babble(0.4))
        await again.finish()
        await self.until(lambda: bool(self.ends(again.name)))
        moving = {unit.picture for unit in self.units if unit.utterance == again.name and unit.is_new}
        self.assertGreater(len(moving), 5, "the next reply has pictures")
        self.assertEqual(len(self.errors), 1)

    async def test_an_engine_that_hangs_is_left(self) -> None:
        server = self.viseme._server
        assert server is not None
        assert server.pid is not None
        saying = self.face.saying(rate=RATE)
        await saying.write(babble(1))
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await saying.write(babble(1))
            await saying.finish()
            await self.until(lambda: bool(self.ends(saying.name)))
            self.assertEqual(len(self.speech(saying.name)) // 2 // RATE, 2)
            self.assertEqual(len(self.errors), 1)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await self.until(lambda: self.face.is_well)


class QuietTests(LiveTestCase):
    async def asyncSetUp(self) -> None:
        os.environ["VISEME_SESSION_QUIET_SECONDS"] = "2"
        self.addCleanup(os.environ.pop, "VISEME_SESSION_QUIET_SECONDS")
        await super().asyncSetUp()

    async def test_a_session_that_ends_because_nobody_speaks_has_a_successor(self) -> None:
        errors: list[VisemeError] = []
        face = Face(self.viseme, on_error=errors.append)
        await face.start()
        self.addAsyncCleanup(face.close)
        numbers: list[int] = []

        async def read() -> None:
            async for unit in face.units():
                numbers.append(unit.number)

        reading = asyncio.create_task(read())
        await asyncio.sleep(5.5)
        reading.cancel()
        self.assertGreaterEqual(sum(number < before for before, number in zip(numbers, numbers[1:])), 1, "a new session begins at 0")
        self.assertGreater(len(numbers), 100)
        self.assertEqual(errors, [])


class LocalTests(unittest.IsolatedAsyncioTestCase):
    @unittest.skipUnless(sys.platform == "linux", "Linux alone can do that")
    async def test_a_killed_agent_leaves_no_engine_behind(self) -> None:
        try:
            find_binary()
        except VisemeError as error:
            self.skipTest(str(error))
        script = f"""
import asyncio
from viseme_client import Viseme
async def main():
    viseme = await Viseme.local(avatars={str(AVATARS)!r})
    print(viseme._server.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())"""
        agent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert agent.stdout is not None
        server = int(await agent.stdout.readline())
        os.kill(server, 0)
        agent.kill()
        await agent.wait()
        end = time.monotonic() + 15
        while time.monotonic() < end and os.path.exists(f"/proc/{server}/exe"):
            await asyncio.sleep(0.05)
        self.assertFalse(os.path.exists(f"/proc/{server}/exe"))

    async def test_a_missing_program_is_an_error_that_says_how_to_get_it(self) -> None:
        with self.assertRaisesRegex(VisemeError, "not a program"):
            find_binary("/nowhere/viseme")
        with self.assertRaisesRegex(VisemeError, "does not start.*|not a program"):
            await Viseme.local(binary="false")


if __name__ == "__main__":
    unittest.main()
