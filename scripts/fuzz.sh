#!/usr/bin/env bash
# Fuzzes every parser of model files and packs with libFuzzer: scripts/fuzz.sh [SECONDS [SUBJECT...]]
# Linux, with a toolchain that has libFuzzer. A crash is left in out/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
subjects=("${@:-}")
[ -n "${subjects[0]}" ] || subjects=(pth onnx mlmodel weights npy safetensors manifest)

# The Makefile's flags: nothing is built twice.
export VISEME_STRICT=${VISEME_STRICT:-1}
swift build -c release -Xswiftc -enable-testing --explicit-target-dependency-import-check error --target VisemeModels
build=.build/release
# SwiftPM calls a package after its folder; code of one package name sees the other's package symbols.
package=$(basename "$PWD" | tr "[:upper:]" "[:lower:]")
mkdir -p out/fuzz
features=()
while read -r feature; do features+=(-enable-upcoming-feature "$feature"); done < <(
    sed -nE 's/.*enableUpcomingFeature\("([A-Za-z]+)"\).*/\1/p' Package.swift)
mapfile -t sources < <(find Sources/VisemeModels Tests/Fuzz -name '*.swift')
swiftc -O -wmo -sanitize=fuzzer -parse-as-library -swift-version 6 "${features[@]}" -module-name VisemeFuzz -package-name "$package" -I "$build/Modules" \
    "${sources[@]}" "$build"/Viseme.build/*.o "$build"/SwiftProtobuf.build/*.o -o out/fuzz/viseme-fuzz

golden=Tests/VisemeModelsTests/Golden
for subject in "${subjects[@]}"; do
    seeds=out/fuzz/seeds-$subject
    mkdir -p "$seeds"
    case $subject in
        pth) cp "$golden"/checkpoints/*.pth "$seeds" ;;
        npy) cp "$golden"/checkpoints/*.npy "$seeds" ;;
        safetensors) cp "$golden"/checkpoints/*.safetensors "$seeds" ;;
        onnx) cp "$golden"/narrow.onnx "$golden"/narrow-torch.onnx "$seeds" ;;
        mlmodel) cp "$golden"/narrow-fp16.mlpackage/Data/com.apple.CoreML/model.mlmodel "$seeds" ;;
        weights) head -c 8192 "$golden"/narrow-fp16.mlpackage/Data/com.apple.CoreML/weights/weight.bin >"$seeds/weight.bin" ;;
        manifest) cp avatars/robin.avatar/avatar.json "$seeds" ;;
        *) echo "fuzz.sh: no subject '$subject'" >&2; exit 64 ;;
    esac
    echo "fuzzing $subject for $seconds s"
    VISEME_FUZZ=$subject out/fuzz/viseme-fuzz -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=400000 \
        -artifact_prefix="out/fuzz/$subject-" -print_final_stats=1 "$seeds" 2>&1 | tail -n 6
done
