#!/usr/bin/env python3
"""Reads a session's raw units (docs/units.md). Usage: units.py http://HOST:PORT SESSION SECRET [TEMPLATES]"""
import struct
import sys
import urllib.request

HEADER = struct.Struct("<4sHHIIBBBBHHIIIHHIIQ")
STATES = ["idle", "speaking", "waiting", "ended"]
FIRST, LAST, INTERRUPTED, MARK = 1, 2, 4, 8


def units(stream):
    """Yields every record as a dictionary; "picture" is I420, "sound" s16le. Template frames are kept as they come."""
    templates, picture = {}, b""
    while head := stream.read(HEADER.size):
        (magic, version, size, number, epoch, state, flags, kind, name, width, height, template, pictured, rate, channels,
         _, sounded, _, position) = HEADER.unpack(head)
        if magic != b"VSMU" or version != 1:
            raise ValueError(f"not a stream of units of version 1: {head[:6]!r}")
        stream.read(size - HEADER.size)  # fields of later versions
        utterance = stream.read(name).decode()
        if kind == 1:
            picture = stream.read(pictured)
            if template != 0xFFFFFFFF:
                templates[template] = picture
        elif kind == 2:
            picture = templates[template]
        yield dict(number=number, epoch=epoch, state=STATES[state], flags=flags, utterance=utterance, position=position,
                   width=width, height=height, picture=picture, rate=rate, channels=channels, sound=stream.read(sounded))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    server, session, secret, kept = (sys.argv[1:] + ["all"])[:4]
    url = f"{server}/v1/sessions/{session}/units?templates={kept}"
    for unit in units(urllib.request.urlopen(urllib.request.Request(url, headers={"Viseme-Session-Secret": secret}))):
        end = "interrupted" if unit["flags"] & INTERRUPTED else "finished" if unit["flags"] & LAST else ""
        print(unit["number"], unit["state"], unit["utterance"], unit["position"], end, flush=True)
