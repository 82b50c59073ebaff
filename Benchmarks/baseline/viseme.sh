#!/usr/bin/env bash
# Another build or another pack to compare with: viseme bench --against "Benchmarks/baseline/viseme.sh VISEME PACK".
# Bench appends its own pack, the speech, the output and the cores; the pack is the one thing that is not taken.
set -euo pipefail
viseme=$1 pack=$2 audio=$4 output=$5 cores=$6
only=()
if [ "$cores" -lt "$(nproc)" ] && command -v taskset >/dev/null; then only=(taskset -c "0-$((cores - 1))"); fi
exec "${only[@]}" "$viseme" render --avatar "$pack" --audio "$audio" -o "$output" --force --json --threads "$cores"
