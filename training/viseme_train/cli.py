"""`viseme-train`: from video clips of a person to an avatar pack."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

#: Exit statuses of sysexits.h, as `viseme` has them.
BAD_DATA, NO_INPUT, INTERRUPTED = 65, 66, 130


def _prepare(a: argparse.Namespace) -> None:
    from viseme_train.avatar.prepare import prepare
    print(prepare(a.video, a.data, force=a.force))


def _fit(a: argparse.Namespace) -> None:
    from viseme_train.avatar.fit import fit
    from viseme_train.avatar.settings import FitSettings
    print(fit(a.data, a.run_folder, FitSettings(minutes=a.minutes), a.device).line())


def _pack(a: argparse.Namespace) -> None:
    from viseme_train.avatar.pack import Consent, pack
    consent = Consent(a.name or a.out.stem, a.licence, a.person, a.use, a.until)
    print(pack(a.data, a.run_folder, a.out, consent, a.viseme or shutil.which("viseme"), a.force).rstrip())


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="viseme-train", description=__doc__)
    commands = out.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="look through clips of a person: what can be learned from them, and what to record again",
                                  description="Looks through clips of one person and writes DATA with a report. Goes on where it was stopped.")
    prepare.add_argument("video", type=Path, nargs="+", metavar="VIDEO", help="any video with picture and sound")
    prepare.add_argument("data", type=Path, metavar="DATA", help="a folder for the result")
    prepare.add_argument("--force", action="store_true", help="make DATA anew where it belongs to other clips")
    prepare.set_defaults(run=_prepare)
    fit = commands.add_parser("fit", help="train a person's painter on prepared data",
                              description="Trains on DATA; RUN/index.html shows how far it is. Goes on where it was stopped.")
    fit.add_argument("data", type=Path, metavar="DATA", help="what `prepare` wrote")
    fit.add_argument("run_folder", type=Path, metavar="RUN", help="a folder for the training")
    fit.add_argument("--minutes", type=float, default=60.0, help="wall clock over all resumptions (default: %(default)s)")
    fit.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    fit.set_defaults(run=_fit)
    pack = commands.add_parser("pack", help="make an avatar pack of a training", description="Writes OUT.avatar; `viseme doctor` must find it well.")
    pack.add_argument("data", type=Path, metavar="DATA", help="what `prepare` wrote")
    pack.add_argument("run_folder", type=Path, metavar="RUN", help="what `fit` wrote")
    pack.add_argument("out", type=Path, metavar="OUT.avatar")
    pack.add_argument("--name", help="the avatar's name (default: that of the folder)")
    pack.add_argument("--licence", required=True, help="under which terms the pack may be used, an SPDX expression or a sentence")
    pack.add_argument("--person", required=True, help="who is depicted and agreed to it")
    pack.add_argument("--use", required=True, help="what they agreed to")
    pack.add_argument("--until", required=True, help="until when: a date, or a condition")
    pack.add_argument("--viseme", metavar="PATH", help="the program that checks the pack (default: the one on the path)")
    pack.add_argument("--force", action="store_true", help="replace OUT.avatar")
    pack.set_defaults(run=_pack)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    a = parser().parse_args(arguments)
    import torch

    from viseme_train.avatar.video import ClipError
    torch.set_num_threads(1)
    try:
        a.run(a)
    except ClipError as error:
        print(f"viseme-train: error: {error}", file=sys.stderr)
        return NO_INPUT if "no such file" in str(error) else BAD_DATA
    except KeyboardInterrupt:
        print("\nviseme-train: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
