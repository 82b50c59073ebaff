#!/usr/bin/env bash
# Measures Viseme beside the plain Python pipeline, on the default pack and on one of full width, and prints JSON.
# With AGAINST_PACK, and AGAINST_VISEME for another build, the default pack (or PACK) is measured in turn with that one, and nothing else.
# usage: bench.sh VISEME PYTHON [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
viseme=$1 python=$2 runs=${3:-5}
mkdir -p out
if [ -n "${AGAINST_PACK:-}" ]; then
    exec "$viseme" bench --json --avatar "${PACK:-robin}" --audio samples/hello.wav --seconds 8 --cores 1,2 --runs "$runs" \
        --against "Benchmarks/baseline/viseme.sh ${AGAINST_VISEME:-$viseme} $AGAINST_PACK"
fi
[ -f out/full.avatar/generator.onnx ] || "$python" Benchmarks/full_pack.py "$viseme" out/full.avatar
baseline="$python Benchmarks/baseline/pipeline.py"
audio=samples/hello.wav

echo '{ "defaultPack":'
"$viseme" bench --json --audio $audio --seconds 8 --cores 1,2 --runs "$runs" --against "$baseline" --against "$baseline --torch"
echo ', "fullPack":'
"$viseme" bench --json --avatar out/full.avatar --audio $audio --seconds 4 --runs "$runs" --against "$baseline" \
    --against "$baseline --torch --checkpoint out/full.pth"
[ -d out/full8.avatar ] || "$viseme" convert out/full.avatar out/full8.avatar --precision int8 >/dev/null
echo ', "fullPackInt8":'
"$viseme" bench --json --avatar out/full8.avatar --audio $audio --seconds 4 --runs "$runs" \
    --against "$baseline --models out/full.avatar"
echo ', "lengths":'
"$viseme" bench --json --audio $audio --seconds 4,40,400 --runs 1
echo '}'
