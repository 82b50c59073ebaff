#!/usr/bin/env bash
# Writes the documentation of every library, articles and symbols, to out/docs. A link or a symbol that does not resolve is an error, and so is a library that is
# left out. `make lint` has already seen to it that each public symbol has a comment. It reads the modules of the last `make build`.
set -euo pipefail
cd "$(dirname "$0")/.."

modules=$PWD/.build/release/Modules
target=$(swift -print-target-info | sed -nE 's/^ *"unversionedTriple": "([^"]+)".*/\1/p' | head -n 1)
system=()
if [ "$(uname -s)" = Darwin ]; then
    target=$(swift -print-target-info | sed -nE 's/^ *"triple": "([^"]+)".*/\1/p' | head -n 1)
    system=(-sdk "$(xcrun --show-sdk-path)")
fi
# What the modules import of C.
for map in .build/release/*.build/module.modulemap; do system+=(-Xcc "-fmodule-map-file=$PWD/$map"); done
while IFS= read -r map; do system+=(-I "$(dirname "$map")"); done < <(find .build/checkouts/*/Sources Sources -name module.modulemap)

rm -rf out/symbols out/docs out/archives
mkdir -p out/archives
# An archive may link to those before it, so the engine comes first.
libraries=(Viseme)
for folder in Sources/Viseme?*; do
    name=$(basename "$folder")
    [ "$name" = VisemeCLI ] || libraries+=("$name")
done
links=()
status=0
archives=()
for library in "${libraries[@]}"; do
    [ -e "$modules/$library.swiftmodule" ] || { echo "docs: error: $library is not built: make build" >&2; exit 66; }
    # The one module that is no product has no public symbols.
    level=public
    [ "$library" = VisemeStreaming ] && level=package
    mkdir -p "out/symbols/$library"
    swift symbolgraph-extract -module-name "$library" -I "$modules" "${system[@]}" -target "$target" \
        -minimum-access-level "$level" -skip-synthesized-members -output-dir "out/symbols/$library" 2>out/docs.log || {
        cat out/docs.log >&2
        exit 1
    }
    grep -q '"symbols":\[{' "out/symbols/$library/$library.symbols.json" || { echo "docs: error: $library has no symbols" >&2; exit 1; }
    catalogue=()
    [ ! -d "Sources/$library/$library.docc" ] || catalogue=("Sources/$library/$library.docc")
    archive=out/archives/$library.doccarchive
    docc convert "${catalogue[@]}" --additional-symbol-graph-dir "out/symbols/$library" --output-path "$archive" \
        --fallback-display-name "$library" --fallback-bundle-identifier "viseme.$library" \
        --enable-experimental-external-link-support "${links[@]}" >out/docs.log 2>&1 || { cat out/docs.log >&2; exit 1; }
    # A parameter whose name says everything needs no words. Any other warning is a fault.
    faults=$(awk '/^(warning|error): / { fault = !/^warning: Parameter .* is missing documentation$/ } fault && !/^ *[0-9|]/' out/docs.log)
    if [ -n "$faults" ]; then
        printf 'docs: error: %s:\n%s\n' "$library" "$faults" >&2
        status=1
    fi
    links+=(--dependency "$archive")
    archives+=("$archive")
done
[ "$status" = 0 ] || exit "$status"
docc merge "${archives[@]}" --synthesized-landing-page-name Viseme --synthesized-landing-page-kind Package --output-path out/docs
for library in "${libraries[@]}"; do
    [ -e "out/docs/documentation/$(tr '[:upper:]' '[:lower:]' <<<"$library")/index.html" ] ||
        { echo "docs: error: out/docs lacks $library" >&2; exit 1; }
done
echo out/docs/index.html
