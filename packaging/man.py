"""Writes viseme(1) from what the program says of itself: man.py VISEME VERSION SECONDS > viseme.1"""

import json
import subprocess
import sys
import time
from typing import Any


def escaped(text: str) -> str:
    """Text for troff: no line of it is a request, no character an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("→", "\\(->").replace("…", "...").replace("×", "\\(mu")
    return "\n".join(("\\&" + line if line[:1] in (".", "'") else line) for line in text.splitlines())


def term(argument: dict[str, Any]) -> str:
    """An argument as it is typed."""
    value = argument.get("valueName", "")
    if argument["kind"] == "positional":
        return value
    names = sorted(argument["names"], key=lambda name: name["kind"] == "long")
    typed = [("-" if name["kind"] == "short" else "--") + name["name"] for name in names]
    return ", ".join(typed) + (f" <{value}>" if argument["kind"] == "option" else "")


def command(described: dict[str, Any], path: list[str], out: list[str]) -> None:
    """A section for a command, and one for each below it."""
    name = " ".join([*path, described["commandName"]])
    shown = [a for a in described.get("arguments", []) if a.get("shouldDisplay", True)]
    children = [c for c in described.get("subcommands", []) if c["commandName"] != "help"]
    if path:
        out.append(f'.SH "{escaped(name).upper()}"')
        out.append(escaped(described.get("abstract", "")))
    if described.get("discussion"):
        out += [".PP", escaped(described["discussion"])]
    for argument in shown:
        if {"help", "version"} & {name["name"] for name in argument.get("names", [])}:
            continue
        out += [".TP", f".B {escaped(term(argument))}"]
        default = f" (default: {argument['defaultValue']})" if argument.get("defaultValue") else ""
        out.append(escaped(argument.get("abstract", "") + default))
    for child in children:
        command(child, [*path, described["commandName"]], out)


def main() -> None:
    """Prints the page."""
    viseme, version, seconds = sys.argv[1:]
    dumped = subprocess.run([viseme, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout
    root = json.loads(dumped)["command"]
    date = time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))
    out = [
        f'.TH VISEME 1 "{date}" "Viseme {version}" "User Commands"',
        ".SH NAME",
        "viseme \\- an avatar pack and any speech become a talking\\-head video",
        ".SH SYNOPSIS",
        ".B viseme",
        ".I command",
        "[\\fIoptions\\fR]",
        ".SH DESCRIPTION",
    ]
    command(root, [], out)
    out += [
        ".SH EXIT STATUS",
        escaped("0 all is well; 1 doctor found something; 64 usage, 65 bad data, 66 no input, 69 something is missing on this machine, "
                "70 internal, 73 cannot create, 74 cannot write, 130 interrupted."),
        ".SH ENVIRONMENT",
        ".TP", ".B VISEME_AVATARS", "Folders with avatar packs, separated by colons.",
        ".TP", ".B VISEME_ONNXRUNTIME", "ONNX Runtime's shared library.",
        ".SH FILES",
        ".TP", ".I /usr/share/viseme/avatars", "Avatar packs.",
        ".TP", ".I /etc/viseme/server.json", escaped("Settings of the service; /usr/share/doc/viseme/server.md has them all."),
    ]  # fmt: skip
    print("\n".join(out))


if __name__ == "__main__":
    main()
