"""What `viseme-train` goes by. Lengths are seconds, sizes pixels, where nothing else is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PrepareSettings:
    """When a clip or a frame is good enough. The report tells these limits in words."""

    #: Good frames in which somebody speaks, over all clips, below which nothing can be learned.
    least_speech: float = 8.0
    #: Pictures a second of the source below which a mouth cannot be followed.
    least_rate: float = 15.0
    #: Faces are scaled down to this width, temple to temple: a larger one costs more in every frame that is ever drawn.
    largest_face: float = 340.0
    #: Below this width lips are a few pixels.
    least_face: float = 80.0
    #: Longest side of a prepared frame.
    largest_side: int = 1920
    #: Degrees by which a head may be turned to the side, as the mesh tells it.
    yaw: float = 30.0
    #: Degrees by which it may lean: a picture on its side was saved without its rotation.
    roll: float = 45.0
    #: Size of another face, in shares of the person's, from which on there are two people.
    second_face: float = 0.5
    #: A frame is looked through for other faces every so many frames.
    search_every: int = 5
    #: Sharpness in shares of the clip's own median.
    blur: float = 0.3
    #: Share of the lower face that looks like never before, from which on something is in front of it.
    occluded: float = 0.25
    #: Mean change of the whole picture in grey levels, and of the face's place in face widths, between two frames: a cut.
    cut_change: float = 8.0
    cut_jump: float = 0.35
    #: Length of the longest stretch without a cut, below which a clip is an edited film.
    least_stretch: float = 4.0
    #: Change of the face's lightness or colour within half a second, in units of Lab.
    light: float = 6.0
    #: The same against the clip's median, from which on a frame is left out.
    other_light: float = 12.0
    #: Size of the face against its median: crops are copied, never resized.
    size: float = 0.15
    #: The mouth is closed below this opening, in face widths.
    closed: float = 0.018
    #: Correlation of the mouth with what is heard below which they have nothing to do with each other, and what it must be above chance.
    least_follow: float = 0.3
    least_above_chance: float = 0.1
    #: A shift between sound and picture that is corrected.
    offset: float = 0.04
    #: Seconds of video in a piece of work: what a kill costs.
    piece: float = 5.0
    #: Places of a clip that are looked at before anything else.
    looks: int = 12
