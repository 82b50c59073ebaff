#!/usr/bin/env bash
# Writes the documentation of the public symbols to out/docs. `make lint` has already seen to it that each has a comment.
set -euo pipefail
cd "$(dirname "$0")/.."
# It also tries the test modules, cannot load them and says so by its status; a graph of ours that is missing fails below.
swift package --scratch-path .build/docs dump-symbol-graph --minimum-access-level public >/dev/null 2>&1 || true
rm -rf out/symbols out/docs
mkdir -p out/symbols
for module in Viseme VisemeONNX VisemeFFmpeg; do
    cp .build/docs/*/symbolgraph/"$module".symbols.json out/symbols/
done
docc convert --fallback-display-name Viseme --fallback-bundle-identifier viseme \
    --additional-symbol-graph-dir out/symbols --output-path out/docs --transform-for-static-hosting >/dev/null
echo out/docs/index.html
