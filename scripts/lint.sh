#!/usr/bin/env bash
# Format, and the rules of the house that a compiler does not know.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
swift format lint --strict --recursive Package.swift Sources Snippets Tests Examples || status=1

forbid() { # forbid PATTERN REASON FOLDER...
    local pattern=$1 reason=$2
    shift 2
    if grep -rnE --include='*.swift' --exclude='*.pb.swift' "$pattern" "$@"; then
        echo "lint: $reason" >&2
        status=1
    fi
}
forbid '@unchecked Sendable' 'make it a value, an actor, or move it into an adapter with its invariant written down' Sources
forbid '\btry!|\bas!|fatalError\(' 'bad input must throw, never trap' Sources
forbid '^(@preconcurrency |public |internal )?import (CFFmpeg|COnnxRuntime|ArgumentParser)' 'the engine imports Foundation alone' Sources/Viseme
forbid '#if' 'the engine has no platform conditions' Sources/Viseme
mapfile -t files < <(find Sources -name '*.swift' | grep -v '\.pb\.swift$' | sort)
[ ${#files[@]} -gt 0 ] || { echo "lint: no file found to measure" >&2; status=1; }
for file in "${files[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 400 ] || { echo "lint: $file has $lines lines, the soft cap is 400" >&2; status=1; }
done
scripts/check-coreml.sh || status=1
scripts/check-snippets.sh || status=1
tools=$PWD/.deps/lint/bin
if [ -x "$tools/ruff" ] && [ -x "$tools/mypy" ]; then
    (
        cd training
        "$tools/ruff" check --quiet . && "$tools/mypy" viseme_train && "$tools/mypy" tests && cd recipes/robin && "$tools/mypy" --config-file ../../pyproject.toml .
    ) || status=1
    (
        cd integrations
        "$tools/ruff" check --quiet . || exit 1
        # One after the other: each has a folder `tests`. LiveKit, Pipecat and Ray are not installed here.
        export MYPYPATH=../viseme-client:../livekit-plugins-viseme:../pipecat-viseme:../viseme-ray
        for sources in viseme-client/viseme_client livekit-plugins-viseme/livekit pipecat-viseme/pipecat_viseme viseme-ray/viseme_ray; do
            for folder in "${sources#*/}" tests examples; do
                [ -d "${sources%/*}/$folder" ] || continue
                (cd "${sources%/*}" && "$tools/mypy" --config-file ../pyproject.toml "$folder") || exit 1
            done
        done
    ) || status=1
else
    echo "lint: no ruff and mypy in .deps/lint: scripts/setup.sh lint installs them" >&2
    status=1
fi
if grep -rn --include='*.py' 'sys\.path' training integrations Tests Benchmarks; then
    echo "lint: install training/ instead of changing sys.path" >&2
    status=1
fi
[ "$status" = 0 ] && echo "lint: clean"
exit "$status"
