"""The settings of the compact family's trainings, read from a recipe's TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ShardSettings:
    """How speech becomes mels."""

    seed: int
    #: Clips without speech in every shard.
    quiet_clips: int


@dataclass(frozen=True)
class TrainingSettings:
    """What every training sets."""

    seed: int
    #: Wall clock over all resumptions.
    minutes: float
    peak: float
    warmup: float
    weight_decay: float
    #: The largest length of a gradient.
    clip: float
    checkpoint_seconds: float


@dataclass(frozen=True)
class ListenerSettings(TrainingSettings):
    """The training of audio encoder and listener."""

    #: Frames of a piece of speech, and pieces in a step.
    frames: int
    batch: int
    #: Weight of each mouth parameter, and how much each one varies in speech.
    importance: tuple[float, ...]
    deviation: tuple[float, ...]
    #: Weight of the squared error of the opening in pixels, and how much more it weighs where the lips should touch.
    opening: float
    closure: float
    #: Weights of the movement from frame to frame, and of the phones that are spoken around it.
    movement: float
    phones: float
    #: a, b: what is shipped presses the lips by (close − a) · b. Trained is the mean of what is likely, and that leaves lips apart which
    #: should touch.
    press: tuple[float, float]
    #: How often each shard is drawn.
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PainterSettings(TrainingSettings):
    """The training of code and painter."""

    batch: int
    #: Share of the steps that draw whole rois, before and after the batch statistics stay as they are.
    whole: tuple[float, float]
    #: Share of the training after which they stay: parts and whole rois have different ones, rendering has only one kind.
    freeze: float
    #: x1, y1, x2, y2 of the part that the other steps draw; multiples of 32.
    part: tuple[int, int, int, int]
    #: Deviation of what is added to the mouth: the listener is not exact.
    noise: float


@dataclass(frozen=True)
class CompactConfig:
    """Everything that a recipe of this family sets. Paths in the file are relative to it."""

    name: str
    #: cpu, cuda or mps.
    device: str
    work: Path
    checkpoints: Path
    pack: Path
    #: Draws the sentences and voices of the synthetic speech.
    corpus_seed: int
    #: Human speech: a folder with index.tsv; it is not part of the project. Its phones with times: what `viseme_train.align` wrote.
    speech: Path
    phones: Path
    #: Human speakers that are only judged by, one name a line.
    held_out: Path
    #: Folders of the speech that are not used, and languages that are only judged by.
    unused: tuple[str, ...]
    unheard: tuple[str, ...]
    shards: ShardSettings
    listener: ListenerSettings
    painter: PainterSettings

    @property
    def press(self) -> tuple[float, float]:
        return self.listener.press
