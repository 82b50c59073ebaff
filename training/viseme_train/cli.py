"""`viseme-train`: from video clips of a person to an avatar pack."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

#: Exit statuses of sysexits.h, as `viseme` has them.
BAD_DATA, NO_INPUT, IO_ERROR, INTERRUPTED = 65, 66, 74, 130


def _prepare(a: argparse.Namespace) -> None:
    from viseme_train.avatar.prepare import prepare
    print(prepare(a.video, a.data, force=a.force))


def _device(name: str) -> str:
    """`auto` is the fastest device that PyTorch sees, and is told; one that is missing is an error."""
    import torch

    from viseme_train import device
    from viseme_train.avatar.video import ClipError
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        print(f"viseme-train: device {name}", file=sys.stderr)
    try:
        device.choose(name)
    except (RuntimeError, ValueError) as error:
        raise ClipError(str(error)) from error
    return name


def _fit(a: argparse.Namespace) -> None:
    from viseme_train.avatar.fit import fit
    from viseme_train.avatar.settings import FitSettings
    print(fit(a.data, a.run_folder, FitSettings(minutes=a.minutes), _device(a.device)).line())


def _program(a: argparse.Namespace) -> str | None:
    return a.viseme or shutil.which("viseme")


def _pack(a: argparse.Namespace) -> None:
    from viseme_train.avatar.pack import Consent, pack
    consent = Consent(a.name or a.out.stem, a.licence, a.person, a.use, a.until)
    print(pack(a.data, a.run_folder, a.out, consent, _program(a), a.force, a.poor).rstrip())


def _avatar(a: argparse.Namespace) -> None:
    from viseme_train.avatar.pack import check_first
    check_first(a.out, _program(a), a.force)
    a.device = _device(a.device)
    work = a.work or a.out.with_suffix(".work")
    a.data, a.run_folder = work / "data", work / "run"
    force, a.force = a.force, False  # of the pack, not of what was prepared
    _prepare(a)
    _fit(a)
    a.force = force
    _pack(a)


def _terms(command: argparse.ArgumentParser) -> None:
    """What a pack has to say of itself."""
    command.add_argument("--name", help="the avatar's name (default: that of the folder)")
    command.add_argument("--licence", required=True, help="under which terms the pack may be used, an SPDX expression or a sentence")
    command.add_argument("--person", required=True, help="who is depicted and agreed to it")
    command.add_argument("--use", required=True, help="what they agreed to")
    command.add_argument("--until", required=True, help="until when: a date, or a condition")
    command.add_argument("--viseme", metavar="PATH", help="the program that checks the pack (default: the one on the path)")
    command.add_argument("--poor", action="store_true", help="give the pack its name even if a figure of its report is poor")
    command.add_argument("--force", action="store_true", help="replace OUT.avatar")


def _training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--minutes", type=float, default=60.0, help="wall clock over all resumptions (default: %(default)s)")
    command.add_argument("--device", default="auto", help="cpu, cuda, mps, or auto for the fastest there is (default: %(default)s)")


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
    _training(fit)
    fit.set_defaults(run=_fit)
    pack = commands.add_parser("pack", help="make an avatar pack of a training", description="Writes OUT.avatar; `viseme doctor` must find it well.")
    pack.add_argument("data", type=Path, metavar="DATA", help="what `prepare` wrote")
    pack.add_argument("run_folder", type=Path, metavar="RUN", help="what `fit` wrote")
    pack.add_argument("out", type=Path, metavar="OUT.avatar")
    _terms(pack)
    pack.set_defaults(run=_pack)
    avatar = commands.add_parser("avatar", help="all of it: prepare, fit, pack", description="From clips of one person to a pack. Goes on where it was stopped.")
    avatar.add_argument("video", type=Path, nargs="+", metavar="VIDEO", help="any video with picture and sound")
    avatar.add_argument("out", type=Path, metavar="OUT.avatar")
    avatar.add_argument("--work", type=Path, help="where data and training go (default: OUT.work)")
    _training(avatar)
    _terms(avatar)
    avatar.set_defaults(run=_avatar)
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
    except OSError as error:
        print(f"viseme-train: error: {error}", file=sys.stderr)
        return IO_ERROR
    except KeyboardInterrupt:
        print("\nviseme-train: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
