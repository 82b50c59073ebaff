"""The settings of a recipe: one frozen dataclass, read from a TOML file. What one would tune is here and nowhere else."""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class AugmentSettings:
    """How the corpus becomes mels."""

    seed: int
    #: Copies of the whole corpus; the first one changes the level only.
    copies: int
    #: Further copies of the natural voices, each utterance from another throat.
    revoiced: int
    #: Clips without speech in every copy.
    quiet_clips: int


@dataclass(frozen=True)
class EncoderSettings:
    """The training of the audio encoder."""

    seed: int
    minutes: float
    workers: int
    #: Rows a step and worker, each from another place: neighbouring rows share 80 % of their audio and teach little more than
    #: one of them, and on a CPU many small steps learned far more in the same time than few large ones.
    batch: int
    peak: float
    warmup: float
    weight_decay: float
    dropout: float
    clip: float
    #: Weight of each mouth parameter in the loss, and how much each one varies in the corpus.
    importance: tuple[float, ...]
    deviation: tuple[float, ...]
    #: Weights of the losses beside the rows' own.
    places: float
    phones: float
    opening: float
    decorrelation: float
    level: float
    anchor: float
    #: How often natural voices are drawn, and the share of clips without speech.
    natural: float
    quiet: float
    #: The head that measures: places it is fitted to, and how often it sees them.
    head_places: int
    head_epochs: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class PhaseSettings:
    """One phase of the generator's training."""

    minutes: float
    batch: int
    peak: float
    #: Share of the steps that draw whole rois; the others draw a part.
    whole: float


@dataclass(frozen=True)
class GeneratorSettings:
    """The training of the generator."""

    seed: int
    channels: tuple[int, ...]
    workers: int
    picture: PhaseSettings
    audio: PhaseSettings
    joint: PhaseSettings
    warmup: float
    weight_decay: float
    #: Most steps draw a part of this size, a multiple of 32: the network has no idea of place, the code is the same everywhere.
    part: int
    #: Share of the parts that show the mouth; the others lie anywhere.
    mouth_parts: float
    #: x1, y1, x2, y2 in the roi: here errors weigh more.
    focus: tuple[int, int, int, int]
    #: Share of the joint phase after which the batch statistics stay as rendering will have them; 0 to polish a trained model.
    freeze: float
    #: Of features: a branch that leans on few of them fails with the next voice.
    dropout: float
    #: Windows without a picture that a joint step reads beside those with one: the pictures show little of the corpus.
    aside: int
    #: Weight of the recipe's own loss beside the pixels, and of the mouth that the audio branch says.
    shape: float
    said: float
    #: Which augmented copies are used, and how much of each.
    sources: tuple[tuple[int, float], ...]
    #: Share of the clips whose mels are varied once more before they are encoded.
    varied: float
    #: Shares of the references: the template's frame of the same pose, another one, another moment with another mouth.
    references: tuple[float, float, float]
    checkpoint_seconds: float


@dataclass(frozen=True)
class FrameSettings:
    """The pictures that the recipe draws for the generator."""

    seed: int
    count: int
    #: The augmented copies whose mouths they show.
    sources: tuple[int, ...]


@dataclass(frozen=True)
class ExportSettings:
    """What the pack's golden tensors are taken from."""

    windows: tuple[int, ...]
    frame: int
    template_frame: int


@dataclass(frozen=True)
class Config:
    """Everything that a recipe sets. Paths in the file are relative to it."""

    name: str
    #: cpu, cuda or mps.
    device: str
    #: What can be made again, 10 GB; `$VISEME_TRAINING_WORK` comes first.
    work: Path
    checkpoints: Path
    pack: Path
    #: Draws the sentences and voices of the corpus.
    corpus_seed: int
    augment: AugmentSettings
    encoder: EncoderSettings
    frames: FrameSettings
    generator: GeneratorSettings
    export: ExportSettings

    @property
    def encoder_checkpoint(self) -> Path:
        return self.checkpoints / "audio_visual_encoder.pth"


Settings = TypeVar("Settings")


def load(path: Path, changes: Sequence[str] = ()) -> Config:
    """The settings of a recipe of the inherited family: see `read`."""
    return read(Config, path, changes)


def read(kind: type[Settings], path: Path, changes: Sequence[str] = ()) -> Settings:
    """Reads the settings and changes some (`generator.freeze=0`); an unknown, missing or mistyped key is an error that names it."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    for change in changes:
        *parents, key = change.partition("=")[0].strip().split(".")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[key] = tomllib.loads(f"value = {change.partition('=')[2]}")["value"]
    if work := os.environ.get("VISEME_TRAINING_WORK"):
        table["work"] = os.path.abspath(work)
    value: Settings = _value(kind, table, str(path), path.resolve().parent)
    return value


def _value(kind: Any, value: Any, name: str, folder: Path) -> Any:
    """`value` as a `kind`: dataclasses from tables, tuples from arrays, floats from integers, paths from strings."""
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        wanted = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
        if problems := sorted(set(value) - set(hints)):
            raise ValueError(f"{name}: unknown {', '.join(problems)}; there are {', '.join(hints)}")
        if problems := sorted(wanted - set(value)):
            raise ValueError(f"{name}: {', '.join(problems)} missing")
        return kind(**{k: _value(hints[k], v, f"{name}: {k}", folder) for k, v in value.items()})
    if get_origin(kind) is tuple and isinstance(value, list):
        kinds = get_args(kind)
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
        if len(each) == len(value):
            return tuple(_value(k, v, name, folder) for k, v in zip(each, value))
    if kind is Path and isinstance(value, str):
        return (folder / value).resolve()
    if kind is float and type(value) is int:
        return float(value)
    if kind in (int, float, str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{name}: expected {kind}, found {value!r}")


def parser(doc: str | None, default: Path | None = None) -> argparse.ArgumentParser:
    """An argument parser with what all scripts take, described by the first line of `doc`; a recipe's own scripts have a default for --config."""
    out = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    out.add_argument("--config", type=Path, required=default is None, default=default, help="the recipe's settings, a TOML file")
    out.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a setting, as in TOML: generator.freeze=0")
    return out


def chosen(arguments: argparse.Namespace) -> Config:
    return load(arguments.config, arguments.set)
