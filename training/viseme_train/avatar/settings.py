"""What `viseme-train` goes by. Lengths are seconds, sizes pixels, where nothing else is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viseme_train.compact.settings import TrainingSettings


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


@dataclass(frozen=True)
class FitSettings(TrainingSettings):
    """The training of a person's painter."""

    seed: int = 1
    minutes: float = 60.0
    peak: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 1e-3
    clip: float = 1.0
    checkpoint_seconds: float = 30.0
    batch: int = 8
    #: Share of the material at its end that is never trained on, and the least and most of it in seconds.
    held_out: float = 0.2
    held_out_seconds: tuple[float, float] = (2.0, 12.0)
    #: A reference is so many frames away from its target, or of another clip; of those, one of so many in the most alike pose.
    apart: int = 12
    alike: int = 24
    #: Pixels, share, radians, and share of levels by which copies are varied.
    shift: float = 2.0
    scale: float = 0.04
    turn: float = 0.04
    colour: float = 0.05
    #: Deviation of what is added to the numbers of the mouth: what is heard lies between those that were filmed.
    noise: float = 0.1
    #: Share of the steps that look at the mouth only: they take a quarter of the time.
    parts: float = 0.85
    #: Share of the training over which the painter is let off drawing everything: see `Painter.least_share`.
    all_drawn: float = 0.3
    #: Weights beside L1: edges, structure, means of 8×8 pixels, the critic, and what its layers see beside its verdict; how much more the mouth weighs,
    #: and when the critic comes.
    edges: float = 0.8
    structure: float = 0.1
    coarse: float = 1.0
    critic: float = 0.03
    features: float = 10.0
    mouth: float = 4.0
    critic_from: float = 0.35
    #: Share of the training after which the batch statistics stay as rendering has them.
    freeze: float = 0.6
    #: Seconds between measurements on the held-out end, and after how many without a better one it stops.
    measure_seconds: float = 150.0
    patience: int = 12


@dataclass(frozen=True)
class Fit:
    """Where a person's training runs."""

    device: str
    work: Path
    training: FitSettings

    @property
    def checkpoints(self) -> Path:
        return self.work
