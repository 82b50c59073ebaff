"""What a server sends, whole and broken; without a server of Viseme's."""

from __future__ import annotations

import asyncio
import random
import unittest

from viseme_client import Unit, Unreachable, Viseme, VisemeError
from viseme_client.client import Session
from viseme_client.units import HEADER

from .scripted import ScriptedServer, answer, chunk, record

TOLD = {"id": "a", "secret": "s", "avatar": "robin", "width": 2, "height": 2}
A, B = b"A" * 6, b"B" * 6
SOUND = bytes(range(256)) * 15  # 3,840 bytes: 40 ms


async def units_of(stream: bytes, pieces: random.Random | None = None) -> list[Unit]:
    """What the client makes of a stream, sent in chunks of any size."""

    async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = stream
        while left:
            count = pieces.randint(1, 5000) if pieces else len(left)
            writer.write(chunk(left[:count]))
            left = left[count:]
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
        session = Session(viseme.pool, TOLD)
        return [unit async for unit in session.units()]


class StreamTests(unittest.IsolatedAsyncioTestCase):
    async def test_pictures_stay_come_and_are_remembered(self) -> None:
        stream = b"".join([
            record(7, kind=1, template=3, picture=A, sound=SOUND),
            record(8, kind=1, picture=B, sound=SOUND),
            record(9, sound=SOUND),
            record(10, kind=2, template=3, sound=SOUND, later=b"a later version's"),
            record(11, state=3, flags=8),
        ])  # fmt: skip
        units = await units_of(stream)
        self.assertEqual([unit.picture for unit in units], [A, B, B, A, A])
        self.assertEqual([unit.is_new for unit in units], [True, True, False, True, False])
        self.assertEqual([unit.number for unit in units], [7, 8, 9, 10, 11])
        self.assertEqual(units[-1].state, "ended")

    async def test_speech_is_the_utterances_part_of_the_sound(self) -> None:
        stream = b"".join([
            record(0, kind=1, picture=A, state=1, flags=1, name="u-1", position=1920, sound=SOUND),
            record(1, state=2, name="u-1", position=1920, sound=bytes(3840)),
            record(2, state=1, flags=2, name="u-1", position=2020, sound=SOUND),
            record(3, state=1, flags=1, name="u-2", position=1920, sound=SOUND),
            record(4, flags=4 | 8, name="u-2", position=1920),
            record(4, sound=bytes(3840)),
        ])  # fmt: skip
        units = await units_of(stream)
        self.assertEqual([unit.speech for unit in units], [SOUND, b"", SOUND[:200], SOUND, b"", b""])
        self.assertEqual([unit.end for unit in units], [None, None, "finished", None, "interrupted", None])
        self.assertEqual([unit.is_first for unit in units], [True, False, False, True, False, False])

    async def test_chunks_of_any_size_give_the_same_units(self) -> None:
        stream = b"".join(record(number, kind=1, picture=bytes([number]) * 6, sound=SOUND, name="x", position=1920) for number in range(40))
        whole = await units_of(stream)
        for seed in range(20):
            self.assertEqual(await units_of(stream, random.Random(seed)), whole, f"seed {seed}")

    async def test_every_truncation_is_an_error_or_a_shorter_stream(self) -> None:
        one = record(0, kind=1, picture=A, sound=b"1234", name="x", position=2)
        for length in range(2 * len(one)):
            if length % len(one) == 0:
                self.assertEqual(len(await units_of((one * 2)[:length])), length // len(one))
            else:
                with self.assertRaises(Unreachable, msg=f"{length} bytes"):
                    await units_of((one * 2)[:length])

    async def test_other_streams_are_refused(self) -> None:
        for broken in [
            record(magic=b"RIFF"),
            record(version=2),
            record(state=9),
            record(kind=2, template=5),
            HEADER.pack(b"VSMU", 1, 20, *[0] * 8, 0, 0, 48_000, 1, 0, 0, 0, 0),
            HEADER.pack(b"VSMU", 1, 56, *[0] * 8, 0, 0xFFFFFFFF, 48_000, 1, 0, 0, 0, 0),
        ]:
            with self.assertRaises(VisemeError):
                await units_of(broken)


class HTTPTests(unittest.IsolatedAsyncioTestCase):
    async def test_a_connection_is_kept(self) -> None:
        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(b'{"id": "a", "secret": "s", "avatar": "robin", "width": 2, "height": 2}'))

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            for _ in range(5):
                await viseme.session("robin")
            self.assertEqual((server.connections, len(server.requests)), (1, 5))

    async def test_a_connection_that_was_closed_meanwhile_is_not_used(self) -> None:
        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(b"{}"))
            await writer.drain()
            writer.close()

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            for _ in range(3):
                await viseme.pool.json("GET", "/")
                await asyncio.sleep(0.02)
            self.assertEqual(server.connections, 3)

    async def test_a_cancelled_request_leaves_its_answer_to_nobody(self) -> None:
        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.2 if "slow" in line else 0)
            writer.write(answer(b'{"path": "%s"}' % line.split()[1].encode()))

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(viseme.pool.json("GET", "/slow"), 0.05)
            self.assertEqual(await viseme.pool.json("GET", "/fast"), {"path": "/fast"})

    async def test_errors_say_what_the_server_said(self) -> None:
        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            if "odd" in line:
                writer.write(answer(b"<html>", "502 Bad Gateway"))
            else:
                writer.write(answer(b'{"error": {"code": "busy", "message": "No slot is free", "hint": "Wait."}}', "503 Busy"))

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            with self.assertRaisesRegex(VisemeError, "No slot is free. Wait.") as caught:
                await viseme.session()
            self.assertEqual((caught.exception.code, caught.exception.status), ("busy", 503))
            with self.assertRaisesRegex(VisemeError, "502"):
                await viseme.pool.json("GET", "/odd")

    async def test_nobody_there_is_an_error_that_says_what_to_do(self) -> None:
        async with ScriptedServer(lambda *_: asyncio.sleep(0)) as server:
            url = server.url
        async with Viseme(url) as viseme:
            with self.assertRaisesRegex(Unreachable, "viseme serve"):
                await viseme.session()
        with self.assertRaisesRegex(ValueError, "http://HOST:PORT"):
            Viseme("localhost:8080")


class SpeechTests(unittest.IsolatedAsyncioTestCase):
    async def test_speech_that_an_interruption_overtakes_is_interrupted_again_and_new_speech_waits(self) -> None:
        log: list[str] = []

        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            path = line.split()[1]
            what = "interrupt" if "interrupt" in path else path.partition("utterance=")[2]
            log.append(f"+{what}")
            # The old speech is slower on its way than the interruption, and was taken by a server that is not interrupted any more.
            await asyncio.sleep(0.2 if "old" in what else 0.05)
            log.append(f"-{what}")
            writer.write(answer(b'{"isInterrupted": false}'))

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            session = Session(viseme.pool, TOLD)
            old, new = session.utterance("old", rate=16_000), session.utterance("new", rate=16_000)
            await old.write(bytes(320))
            await asyncio.sleep(0.05)
            interrupting = asyncio.create_task(session.interrupt())
            await asyncio.sleep(0.01)
            await new.write(bytes(320))
            await interrupting
            await asyncio.sleep(0.15)
            self.assertEqual(log, ["+old", "+interrupt", "-interrupt", "-old", "+interrupt", "-interrupt", "+new", "-new"])
            self.assertTrue(old.is_interrupted)
            self.assertFalse(new.is_interrupted)

    async def test_pieces_gather_while_a_request_is_under_way(self) -> None:
        bodies: list[int] = []

        async def serve(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
            bodies.append(len(body))
            await asyncio.sleep(0.05)
            writer.write(answer(b"{}"))

        async with ScriptedServer(serve) as server, Viseme(server.url) as viseme:
            utterance = Session(viseme.pool, TOLD).utterance(rate=16_000)
            for _ in range(20):
                await utterance.write(bytes(640))
                await asyncio.sleep(0.001)
            await utterance.finish()
            await asyncio.sleep(0.3)
            self.assertEqual(sum(bodies), 20 * 640)
            self.assertLess(len(bodies), 5)
            self.assertIn("finish=true", server.requests[-1])


if __name__ == "__main__":
    unittest.main()
