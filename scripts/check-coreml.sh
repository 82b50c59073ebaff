#!/usr/bin/env bash
# Type-checks the Core ML backend, and the program's choice of it, where there is no Core ML: against the stand-in of Tests/CoreMLStandIn, in Swift 6 mode
# with the package's features and warnings as errors. Part of `make lint`. With --run it also builds and runs the exercise:
# the backend against models that are closures. On a Mac the package's own build does more, and this does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
'' | --run) ;;
*) echo "usage: check-coreml.sh [--run]" >&2; exit 64 ;;
esac
if [ "$(uname -s)" = Darwin ]; then
    echo "check-coreml: this system has Core ML, the build checks the backend"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mode=(-swift-version 6 -warnings-as-errors -package-name viseme)
# As in Package.swift. The stand-in is compiled without them: so is Apple's module.
features=()
while read -r feature; do features+=(-enable-upcoming-feature "$feature"); done < <(
    sed -nE 's/.*enableUpcomingFeature\("([A-Za-z]+)"\).*/\1/p' Package.swift)
[ ${#features[@]} -gt 0 ] || { echo "check-coreml: no upcoming features found in Package.swift" >&2; exit 1; }

# The module alone, without its functions' bodies, takes a second or two; the exercise needs them.
engine=(-emit-module -Xfrontend -experimental-skip-non-inlinable-function-bodies)
[ "${1:-}" = --run ] && engine=(-emit-module -emit-object -wmo -o "$work/Viseme.o")
mapfile -t sources < <(find Sources/Viseme -name '*.swift')
swiftc "${engine[@]}" -parse-as-library -module-name Viseme -emit-module-path "$work/Viseme.swiftmodule" \
    "${mode[@]}" "${features[@]}" "${sources[@]}"
swiftc -emit-module -emit-object -wmo -o "$work/CoreML.o" -parse-as-library -module-name CoreML \
    -emit-module-path "$work/CoreML.swiftmodule" "${mode[@]}" -enable-upcoming-feature InternalImportsByDefault \
    Tests/CoreMLStandIn/CoreML.swift

# Without the stand-in in reach canImport(CoreML) is false and there would be nothing to check.
backend=(-parse-as-library "${mode[@]}" "${features[@]}" -I "$work" Sources/VisemeCoreML/*.swift)
swiftc -emit-module -emit-module-path "$work/VisemeCoreML.swiftmodule" -module-name VisemeCoreML "${backend[@]}"
choice=Sources/VisemeCLI/CoreMLChoice.swift
swiftc -typecheck -parse-as-library -module-name VisemeCLI "${mode[@]}" "${features[@]}" -I "$work" $choice
others=$(grep -rlE 'canImport\(CoreML\)|CoreMLBackend' Sources --include='*.swift' | grep -vE "^(Sources/VisemeCoreML/|$choice)" || true)
[ -z "$others" ] || { echo "check-coreml: only $choice may know Core ML, not: $others" >&2; exit 1; }
echo "check-coreml: the backend type-checks against the stand-in (written, not executed on an Apple system)"

if [ "${1:-}" = --run ]; then
    swiftc -module-name Exercise -o "$work/exercise" "${backend[@]}" Tests/CoreMLStandIn/{Exercise,Pack}.swift \
        "$work"/{CoreML,Viseme}.o
    "$work/exercise"
fi
