#!/usr/bin/env bash
# What an app gets that depends on the engine and not on the server (traits: []): which packages it resolves, how long its first build takes,
# and whether it speaks. usage: check-library-user.sh [--resolve]   (--resolve: the packages only, in seconds)
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
'' | --resolve) ;;
*) echo "usage: check-library-user.sh [--resolve]" >&2; exit 64 ;;
esac
# An app's author sets none of our switches.
unset VISEME_STRICT
user=(--package-path Tests/LibraryUser --scratch-path out/library-user)
rm -rf out/library-user
trap 'rm -f Tests/LibraryUser/Package.resolved' EXIT

mkdir -p out
found=$(swift package "${user[@]}" show-dependencies --format flatlist 2>out/library-user.log | sort -u | tr '\n' ' ') || {
    cat out/library-user.log >&2
    exit 1
}
# SwiftPM calls a package by path after its folder.
expected=$(printf '%s\n' swift-argument-parser swift-protobuf "$(basename "$PWD" | tr '[:upper:]' '[:lower:]')" | sort | tr '\n' ' ')
if [ "$found" != "$expected" ]; then
    echo "library-user: resolves: $found" >&2
    echo "library-user: expected: $expected" >&2
    echo "library-user: give what only the server needs 'condition: served' in Package.swift, in test targets, too" >&2
    exit 1
fi
echo "library-user: resolves $found"
[ "${1:-}" != --resolve ] || exit 0

read -r load _ </proc/loadavg 2>/dev/null || load=unknown
TIMEFORMAT="library-user: clean build in %R s, processor time %U + %S s, load $load before it"
time swift build "${user[@]}" >out/library-user.log 2>&1 || { tail -n 30 out/library-user.log >&2; exit 1; }
spoken=$("$(swift build "${user[@]}" --show-bin-path)/Speaker" avatars/robin.avatar samples/hello.wav)
echo "library-user: $spoken"
[[ "$spoken" =~ :\ [1-9][0-9]*\ frames$ ]] || { echo "library-user: it did not speak" >&2; exit 1; }
