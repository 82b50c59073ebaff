#!/usr/bin/env bash
# Builds and runs the unit tests with a sanitizer, in a build folder of its own; a report is a failure. Optimised, since a debug build of the pixel loops takes
# hours. Not gone through whole yet. On Linux the thread sanitizer does not know the futex of Synchronization.Mutex and reports what lies behind it: four minutes of VisemeTests gave 11
# reports, all of them of one test's counter behind such a Mutex, and none of the engine. usage: sanitize.sh thread|address
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-}
case "$kind" in
thread | address) ;;
*) echo "usage: sanitize.sh thread|address" >&2; exit 64 ;;
esac
# The first report ends the process: it cannot be overlooked. ONNX Runtime and libav* keep things until the process ends: leaks are not looked for.
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1} ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
flags=(-c release --sanitize="$kind" -Xswiftc -enable-testing --scratch-path ".build/sanitize-$kind")
swift build "${flags[@]}" --build-tests
# Not those that start `viseme` as a process or keep to a clock: they measure, and a sanitizer is ten times slower.
swift test "${flags[@]}" --skip-build --filter '^(VisemeTests|VisemeONNXTests|VisemeModelsTests|BackendContractTests|VisemeFFmpegTests)\.'
