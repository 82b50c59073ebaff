#!/usr/bin/env bash
# Examples/TalkingApp as far as Linux can check it: Talking is compiled against the modules of the last build, what needs Apple's frameworks is parsed.
set -euo pipefail
cd "$(dirname "$0")/.."
app=Examples/TalkingApp
[ -e .build/release/Modules/Viseme.swiftmodule ] || { echo "talking-app: error: Viseme is not built: make build" >&2; exit 66; }
swiftc -typecheck -swift-version 6 -warnings-as-errors -I .build/release/Modules "$app"/Sources/Talking/*.swift
# The conditions would hide everything from the parser: `true` in their place.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file in "$app"/Sources/TalkingApp/*.swift; do
    sed -E 's/^#if canImport\(.*\)$/#if true/; s/^( *)#if os\((macOS|iOS)\)$/\1#if true/' "$file" >"$work/$(basename "$file")"
    swiftc -frontend -parse "$work/$(basename "$file")"
done
(cd "$app" && swift package dump-package >/dev/null)
