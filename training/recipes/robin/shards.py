"""Robin's speech as shards for the compact family: people, synthetic voices, and synthetic voices from other throats.

    python recipes/robin/shards.py
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from viseme_train import config, corpus, human
from viseme_train.compact.settings import CompactConfig
from viseme_train.compact.shards import Clip, build


def people(settings: CompactConfig, held_out: bool) -> list[human.Recording]:
    """Recordings of the speakers and languages that are only judged by, or of all others."""
    apart = human.names(settings.held_out)
    return human.recordings(settings.speech, settings.phones, lambda row: not row["file"].startswith(settings.unused)
                            and (row["speaker"] in apart or row["language"] in settings.unheard) == held_out)


def clips(settings: CompactConfig, kind: str) -> list[Clip]:
    """`human`, `synthetic`; from other throats `rehuman`, and `revoiced`: the natural ones of the synthetic voices."""
    if kind.endswith("human"):
        return [Clip(r.file, partial(r.wave, settings.speech), r.phones) for r in people(settings, held_out=False)]
    return [Clip(u.id, lambda u=u: u.wave16k, u.phones) for u in corpus.load(settings.work, "train") if kind == "synthetic" or u.natural]


def main() -> None:
    a = config.parser(__doc__, Path(__file__).with_name("robin.toml")).parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    for name, _ in settings.listener.shares:
        kind, number = name.split("-")
        path = settings.work / "shards" / f"{name}.npz"
        if not path.exists():
            build(path, clips(settings, kind), int(number), settings.shards, revoiced=kind.startswith("re"))


if __name__ == "__main__":
    main()
