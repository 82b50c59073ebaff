#!/usr/bin/env bash
# Writes the documentation of the public symbols to out/docs. `make lint` has already seen to it that each has a comment.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p out/symbols
for module in Viseme VisemeONNX VisemeFFmpeg; do
    swift build -c release -Xswiftc -enable-testing --target "$module" \
        -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir -Xswiftc "$PWD/out/symbols"
done
rm -f out/symbols/ArgumentParser* out/symbols/COnnx* out/symbols/CFFmpeg*
docc convert --fallback-display-name Viseme --fallback-bundle-identifier viseme \
    --additional-symbol-graph-dir out/symbols --output-path out/docs --transform-for-static-hosting >/dev/null
echo out/docs/index.html
