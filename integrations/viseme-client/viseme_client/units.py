"""The binary stream of raw units: docs/units.md of the Viseme repository."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal

from .errors import VisemeError
from .http import Response

State = Literal["idle", "speaking", "waiting", "ended"]
STATES: tuple[State, ...] = ("idle", "speaking", "waiting", "ended")
HEADER = struct.Struct("<4sHHIIBBBBHHIIIHHIIQ")
FIRST, LAST, INTERRUPTED, MARK = 1, 2, 4, 8
NO_TEMPLATE = 0xFFFFFFFF
# The largest picture that is believed: 4096 × 4096.
MOST_BYTES = 4096 * 4096 * 3 // 2


@dataclass(slots=True)
class Unit:
    """40 ms: a picture and its sound; or the end of an utterance between two of them."""

    number: int
    """It belongs to [number/25, (number+1)/25) s of the session."""
    epoch: int
    """The interruptions before."""
    state: State
    utterance: str
    """The name of the utterance that is spoken or that ends; empty for none."""
    position: int
    """Samples (of each channel) of the utterance up to the end of this unit."""
    width: int
    height: int
    picture: bytes = field(repr=False)
    """I420, BT.709, limited range: what is to be seen, whether or not it is new."""
    is_new: bool
    """Whether the picture is another one than the unit's before."""
    rate: int
    channels: int
    sound: bytes = field(repr=False)
    """40 ms of s16le; silence where nothing is spoken. Empty in a mark."""
    speech: bytes = field(repr=False)
    """The part of the sound that belongs to the utterance: its last unit is filled up with zeros, a pause is nothing but zeros."""
    flags: int

    @property
    def is_first(self) -> bool:
        """The first unit of its utterance."""
        return bool(self.flags & FIRST)

    @property
    def is_mark(self) -> bool:
        """No picture and no time of its own."""
        return bool(self.flags & MARK)

    @property
    def end(self) -> Literal["finished", "interrupted"] | None:
        """How the utterance ended, if it ends here."""
        if self.flags & INTERRUPTED:
            return "interrupted"
        return "finished" if self.flags & LAST else None


async def read_units(response: Response) -> AsyncGenerator[Unit, None]:
    """The units of a stream, until the session ends.

    Raises:
        VisemeError: It is not such a stream, or not of this version; `Unreachable` when it breaks off.
    """
    templates: dict[int, bytes] = {}
    picture = b""
    positions = ("", 0)
    try:
        while head := await response.read_exactly(HEADER.size, may_end=True):
            (magic, version, size, number, epoch, state, flags, kind, named, width, height, template, pictured, rate, channels, _, sounded, _, position) = (
                HEADER.unpack(head)
            )  # fmt: skip
            if magic != b"VSMU" or version != 1:
                raise VisemeError(f"The stream begins with {head[:6]!r}, expected units of version 1", code="badData")
            if size < HEADER.size or pictured > MOST_BYTES or sounded > MOST_BYTES or state >= len(STATES):
                raise VisemeError(f"The record of unit {number} is broken", code="badData")
            await response.read_exactly(size - HEADER.size)  # fields of later versions
            name = (await response.read_exactly(named)).decode("ascii")
            if kind == 1:
                picture = await response.read_exactly(pictured)
                if template != NO_TEMPLATE:
                    templates[template] = picture
            elif kind == 2:
                picture = templates[template]
            sound = await response.read_exactly(sounded)
            before = 0 if flags & FIRST or positions[0] != name else positions[1]
            # Who comes in the middle of an utterance does not know what of this unit belongs to it: all of it.
            spoken = max(0, position - before) * 2 * channels if name else 0
            if name:
                positions = (name, position)
            yield Unit(
                number, epoch, STATES[state], name, position, width, height, picture, kind != 0, rate, channels, sound, sound[:spoken], flags
            )  # fmt: skip
            if state == 3:
                return
    except (KeyError, UnicodeDecodeError) as error:
        raise VisemeError(f"The stream of units is broken: {error!r}", code="badData") from error
    finally:
        response.close()
