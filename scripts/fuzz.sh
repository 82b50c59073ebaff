#!/usr/bin/env bash
# Fuzzes every parser of model files and packs with libFuzzer: scripts/fuzz.sh [SECONDS [SUBJECT...]]
# Linux, with a toolchain that has libFuzzer. Logs and what crashed are left in out/fuzz.
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
# One at a time on every core; the first crash ends it.
fuzz() {
    local subject=$1 seeds=out/fuzz/seeds-$1
    mkdir -p "$seeds"
    case $subject in
        pth) cp "$golden"/checkpoints/*.pth "$seeds" ;;
        npy) cp "$golden"/checkpoints/*.npy "$seeds" ;;
        safetensors) cp "$golden"/checkpoints/*.safetensors "$seeds" ;;
        onnx) cp "$golden"/narrow.onnx "$golden"/narrow-torch.onnx "$golden"/compact-*.onnx Tests/VisemeONNXTests/Models/generator-int8.onnx "$seeds" ;;
        mlmodel)
            for package in "$golden"/*.mlpackage; do
                cp "$package/Data/com.apple.CoreML/model.mlmodel" "$seeds/$(basename "$package").mlmodel"
            done ;;
        weights) head -c 8192 "$golden"/narrow-fp16.mlpackage/Data/com.apple.CoreML/weights/weight.bin >"$seeds/weight.bin" ;;
        manifest) cp Tests/Packs/synctalk2d.avatar/avatar.json "$seeds" ;;
        *) echo "fuzz.sh: no subject '$subject'" >&2; return 64 ;;
    esac
    if VISEME_FUZZ=$subject out/fuzz/viseme-fuzz -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=400000 \
        -artifact_prefix="out/fuzz/$subject-" -print_final_stats=1 "$seeds" >"out/fuzz/$subject.log" 2>&1; then
        echo "$subject: $(sed -nE 's/^stat::number_of_executed_units: +//p' "out/fuzz/$subject.log") inputs in $seconds s, no crash"
    else
        tail -n 30 "out/fuzz/$subject.log" >&2
        echo "fuzz.sh: $subject crashed: out/fuzz/$subject-*" >&2
        return 255
    fi
}
export -f fuzz
export golden seconds
printf '%s\n' "${subjects[@]}" | xargs -P "$(nproc)" -I{} bash -c 'set -euo pipefail; fuzz {}'
