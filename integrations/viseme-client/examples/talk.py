#!/usr/bin/env python3
"""You type, the avatar speaks: espeak-ng or flite is the voice, and what comes back is counted, unit by unit.

    python talk.py [--url http://127.0.0.1:8080] [line …]      lines as arguments, or typed; an empty line interrupts

There is no LLM in it: a stub repeats what you typed. Without --url it starts a `viseme serve` of its own.
"""

import argparse
import asyncio
import io
import shutil
import subprocess
import sys
import wave

from viseme_client import Face, Viseme

VOICES = {"espeak-ng": ["--stdout"], "flite": ["-o", "/dev/stdout", "-t"]}


def speak(text: str) -> tuple[bytes, int]:
    """Samples and their rate."""
    for program, arguments in VOICES.items():
        if path := shutil.which(program):
            sound = subprocess.run([path, *arguments, text], stdout=subprocess.PIPE, check=True).stdout
            with wave.open(io.BytesIO(sound[:44])) as header:
                return sound[44:], header.getframerate()
    raise SystemExit("No voice: install espeak-ng or flite")


async def watch(face: Face) -> None:
    """Says what would be shown and played."""
    pictures = 0
    async for unit in face.units():
        pictures += unit.is_new
        if unit.is_first:
            pictures = 0
        if unit.end:
            print(f"  {unit.end}: {unit.position / unit.rate:.2f} s of sound, {pictures} pictures of {unit.width}×{unit.height}", flush=True)


async def lines(given: list[str], face: Face) -> None:
    for line in given:
        await answer(line, face)
        while face.is_speaking:
            await asyncio.sleep(0.05)
    while not given:
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            break
        await face.interrupt()
        await answer(line.strip(), face)


async def answer(line: str, face: Face) -> None:
    if line:
        samples, rate = await asyncio.to_thread(speak, f"You said: {line}")
        saying = face.saying(rate=rate)
        await saying.write(samples)
        await saying.finish()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--avatar")
    parser.add_argument("line", nargs="*")
    options = parser.parse_args()
    async with Viseme(options.url) if options.url else await Viseme.local() as viseme:
        face = Face(viseme, options.avatar)
        session = await face.start()
        print(f"{session.avatar} listens at {viseme.url}", flush=True)
        watching = asyncio.create_task(watch(face))
        await lines(options.line, face)
        watching.cancel()
        await face.close()


if __name__ == "__main__":
    asyncio.run(main())
