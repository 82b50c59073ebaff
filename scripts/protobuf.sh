#!/usr/bin/env bash
# Regenerates Sources/VisemeModels/Protobuf from proto/. The result is checked in: nobody needs this to build Viseme.
#
#   PYTHON=python3 scripts/protobuf.sh           needs Tests/Fixtures/requirements.txt (protoc 35.1 comes with grpcio-tools 1.85.1)
#   PYTHON=python3 scripts/protobuf.sh --check   says whether what is checked in is what would be generated
#
# PROTOC_GEN_SWIFT names a plugin that is already built; it must be the one of the version below.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.39.0
protoc_version="libprotoc 35.1"
python=${PYTHON:-python3}
fail() { echo "protobuf: error: $*" >&2; exit 69; }

protoc() { "$python" -m grpc_tools.protoc "$@"; }
found=$(protoc --version 2>/dev/null) || fail "$python has no grpcio-tools: $python -m pip install -r Tests/Fixtures/requirements.txt"
[ "$found" = "$protoc_version" ] || fail "$python has $found, expected $protoc_version"

plugin=${PROTOC_GEN_SWIFT:-}
if [ -z "$plugin" ]; then
    tools=.build/protobuf-tools
    if [ ! -d "$tools/swift-protobuf-$version" ]; then
        mkdir -p "$tools"
        git clone -q --depth 1 --branch "$version" https://github.com/apple/swift-protobuf "$tools/clone-$$"
        mv "$tools/clone-$$" "$tools/swift-protobuf-$version"
    fi
    swift build --package-path "$tools/swift-protobuf-$version" --product protoc-gen-swift
    plugin=$tools/swift-protobuf-$version/.build/debug/protoc-gen-swift
fi
[ "$("$plugin" --version)" = "protoc-gen-swift $version" ] || fail "$plugin is $("$plugin" --version), expected $version"

target=Sources/VisemeModels/Protobuf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
protoc --plugin="protoc-gen-swift=$plugin" -I proto --swift_out="$work" --swift_opt=Visibility=Internal \
    --swift_opt=UseAccessLevelOnImports=true proto/*.proto
if [ "${1:-}" = --check ]; then
    diff -r "$work" "$target" && echo "protobuf: $target is up to date"
else
    mkdir -p "$target"
    rm -f "$target"/*.pb.swift
    cp "$work"/*.pb.swift "$target"
    echo "protobuf: $(cat "$target"/*.pb.swift | wc -l) lines in $target"
fi
