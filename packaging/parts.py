"""What is inside the package besides our own code, as licences and as a bill of materials in CycloneDX.

parts.py ROOT SCRATCH VERSION SECONDS DEB_DEPENDS OUT: writes OUT/licences/NAME/* and OUT/viseme.cdx.json. The linker's list of object files says which Swift
packages are in the program; Package.resolved says their versions.
"""

import json
import re
import shutil
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot5
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

NOTICES = ("LICENSE*", "LICENCE*", "NOTICE*", "ThirdPartyNotices*", "COPYING*")


def linked_modules(scratch: Path) -> set[str]:
    """The Swift and C modules whose object files the program was linked of."""
    lists = list(scratch.glob("*/release/viseme.product/Objects.LinkFileList"))
    if len(lists) != 1:
        sys.exit(f"parts: expected one list of objects below {scratch}, found {len(lists)}")
    return {part.removesuffix(".build") for line in lists[0].read_text().splitlines()
            for part in Path(line.strip("'\"")).parts if part.endswith(".build") and part != ".build"}  # fmt: skip


def packages(root: Path, scratch: Path) -> list[tuple[str, str, str, Path]]:
    """Name, version, address and folder of each Swift package that is in the program."""
    modules = linked_modules(scratch)
    found = []
    for pin in json.loads((root / "Package.resolved").read_text())["pins"]:
        folder = next(path for path in (scratch / "checkouts").iterdir() if path.name.lower() == pin["identity"])
        own = {path.name for pattern in ("*", "Sources/*", "Sources/*/*") for path in folder.glob(pattern) if path.is_dir()}
        # A target may be called otherwise than its folder.
        own |= set(re.findall(r'\.target\(\s*name:\s*"([^"]+)"', (folder / "Package.swift").read_text()))
        if own & modules:
            found.append((folder.name, pin["state"]["version"], pin["location"], folder))
            modules -= own
    # Ours, and nothing whose origin is not known.
    stray = {name for name in modules if not name.startswith(("Viseme", "COnnxRuntime", "CFFmpeg"))}
    if stray:
        sys.exit(f"parts: of which package are these modules? {', '.join(sorted(stray))}")
    return found


def licence(folder: Path) -> str:
    """The SPDX identifier of the licence text, by its words."""
    text = next(p for p in sorted(folder.glob("LICEN[SC]E*")) if p.is_file()).read_text(errors="replace")
    if "Apache License" in text:
        return "Apache-2.0 WITH Swift-exception" if "Runtime Library Exception" in text else "Apache-2.0"
    if "MIT License" in text or "Permission is hereby granted, free of charge" in text:
        return "MIT"
    sys.exit(f"parts: the licence in {folder.name} is not known")


def main() -> None:
    """Copies the licences and writes the bill."""
    version, seconds, depends = sys.argv[3:6]
    root, scratch, out = (Path(sys.argv[i]) for i in (1, 2, 6))
    factory = LicenseFactory()
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"viseme {version} {seconds}"))
    bom.metadata.timestamp = datetime.fromtimestamp(int(seconds), UTC)
    program = Component(
        name="viseme", version=version, type=ComponentType.APPLICATION, bom_ref="viseme",
        licenses=[factory.make_from_string("Apache-2.0")])  # fmt: skip
    bom.metadata.component = program

    def add(name: str, number: str, purl: PackageURL, licences: str | None, kind: ComponentType = ComponentType.LIBRARY) -> None:
        component = Component(
            name=name, version=number, type=kind, bom_ref=str(purl), purl=purl,
            licenses=[factory.make_with_expression(licences)] if licences else [])  # fmt: skip
        bom.components.add(component)
        bom.register_dependency(program, [component])

    for name, number, address, folder in packages(root, scratch):
        host, owner, repository = address.removesuffix(".git").removeprefix("https://").split("/")
        add(name, number, PackageURL("swift", f"{host}/{owner}", repository, number), licence(folder))
        (out / "licences" / name).mkdir(parents=True, exist_ok=True)
        for pattern in NOTICES:
            for path in folder.glob(pattern):
                if path.is_file():
                    shutil.copy(path, out / "licences" / name / path.name)
    swift = (scratch / "swift-version").read_text().strip()
    add("swift", swift, PackageURL("github", "swiftlang", "swift", f"swift-{swift}-RELEASE"), "Apache-2.0 WITH Swift-exception")
    onnx = (root / ".deps/onnxruntime/VERSION").read_text().strip()
    add("onnxruntime", onnx, PackageURL("pypi", None, "onnxruntime", onnx), "MIT")
    for entry in depends.split(", "):
        name, _, least = entry.replace(")", "").partition(" (>= ")
        add(name, least or "any", PackageURL("deb", "debian", name, least or None), None)

    text = JsonV1Dot5(bom).output_as_string(indent=1)
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if problem:
        sys.exit(f"parts: the bill of materials is not valid CycloneDX 1.5: {problem}")
    (out / "viseme.cdx.json").write_text(text + "\n")
    print(f"parts: {len(bom.components)} components")


if __name__ == "__main__":
    main()
