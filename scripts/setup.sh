#!/usr/bin/env bash
# Installs what Viseme needs, and nothing twice: libav* and SQLite (system packages) and ONNX Runtime (into .deps/).
# PROVIDER=openvino: the build of ONNX Runtime that has OpenVINO, as well (x86-64 Linux).
# setup.sh lint: instead of all that, what checks the training's Python (ruff and mypy into .deps/lint, without torch).
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.31.1
say() { echo "setup: $*"; }
fail() { echo "setup: error: $*" >&2; exit 69; }

# --- ruff and mypy ---------------------------------------------------------------------------------------------------
if [ "${1:-}" = lint ]; then
    tools="ruff==0.17.6 mypy==2.4.1"
    [ "$(cat .deps/lint/tools 2>/dev/null)" = "$tools" ] && exit 0
    python=$(command -v python3) || fail "python3 is needed to check the training's Python: sudo apt-get install python3-venv"
    if ! "$python" -c "import ensurepip, venv" 2>/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    fi
    "$python" -c "import ensurepip, venv" 2>/dev/null || fail "Python's venv is missing: sudo apt-get install python3-venv"
    say "installing $tools"
    rm -rf .deps/lint
    "$python" -m venv .deps/lint
    # shellcheck disable=SC2086
    .deps/lint/bin/python -m pip install -q --disable-pip-version-check $tools || fail "$tools cannot be installed"
    echo "$tools" >.deps/lint/tools
    exit 0
fi

# --- libav* ---------------------------------------------------------------------------------------------------------
debian_packages="libavformat-dev libavcodec-dev libavutil-dev libswresample-dev libswscale-dev libsqlite3-dev ffmpeg pkg-config curl python3-pip unzip"
have_libav() {
    command -v pkg-config >/dev/null && command -v ffmpeg >/dev/null &&
        pkg-config --exists libavformat libavcodec libavutil libswresample libswscale &&
        { [ "$(uname -s)" = Darwin ] || pkg-config --exists sqlite3; }
}
case "$(uname -s)" in
Linux)
    library=libonnxruntime.so
    if have_libav; then
        say "libav* $(pkg-config --modversion libavformat) is there"
    elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        say "installing $debian_packages"
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $debian_packages >/dev/null
    else
        fail "libav*, SQLite or ffmpeg is missing. Install it: sudo apt-get install $debian_packages"
    fi
    ;;
Darwin)
    library=libonnxruntime.dylib
    if ! have_libav; then
        command -v brew >/dev/null || fail "libav* is missing. Install Homebrew, then run: brew install ffmpeg pkg-config"
        say "brew install ffmpeg pkg-config"
        brew install ffmpeg pkg-config
    fi
    ;;
*) fail "Viseme runs on Linux and macOS, this is $(uname -s)" ;;
esac

# --- ONNX Runtime ---------------------------------------------------------------------------------------------------
# One pin for the library itself, wherever it comes from: the SHA-256 of the file that is loaded.
case "$(uname -s)-$(uname -m)" in
Linux-x86_64)
    archive=onnxruntime-linux-x64-$version wheel="--platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64"
    pin=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
Linux-aarch64)
    archive=onnxruntime-linux-aarch64-$version wheel="--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64"
    pin=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
Darwin-arm64)
    archive=onnxruntime-osx-arm64-$version wheel="--platform macosx_14_0_arm64"
    pin=f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e ;;
*) fail "no ONNX Runtime is pinned for $(uname -s)-$(uname -m). Build one and name it in VISEME_ONNXRUNTIME" ;;
esac

digest() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch_wheel() { # fetch_wheel NAME VERSION PLATFORMS: a wheel out of PyPI, into $work
    local python
    python=$(command -v python3) || fail "python3 with pip is needed once, to fetch a wheel: sudo apt-get install python3-pip"
    "$python" -m pip --version >/dev/null 2>&1 || fail "pip is needed once, to fetch a wheel: sudo apt-get install python3-pip"
    # shellcheck disable=SC2086
    "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
        --implementation cp $3 -d "$work" "$1==$2" || fail "the wheel of $1 $2 cannot be fetched"
}

# --- OpenVINO -------------------------------------------------------------------------------------------------------
openvino_version=1.24.1
openvino_pin=3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8
case "${PROVIDER:-}" in
"" | cpu) ;;
openvino)
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "OpenVINO is fetched for x86-64 Linux only, this is $(uname -s)-$(uname -m)"
    if [ "$(cat .deps/openvino/wheel.sha256 2>/dev/null)" = $openvino_pin ]; then
        say "ONNX Runtime $openvino_version with OpenVINO is in .deps"
    else
        say "fetching the wheel of ONNX Runtime $openvino_version with OpenVINO"
        fetch_wheel onnxruntime-openvino $openvino_version "--platform manylinux_2_28_x86_64"
        wheel_file=$(ls "$work"/onnxruntime_openvino-*.whl)
        [ "$(digest "$wheel_file")" = $openvino_pin ] ||
            fail "the wheel has SHA-256 $(digest "$wheel_file"), expected $openvino_pin: not taken"
        python3 -m zipfile -e "$wheel_file" "$work/openvino"
        rm -rf .deps/openvino.new
        mkdir -p .deps/openvino.new/lib
        # Of three copies of each library the one by whose name the others ask for it, and no plugin but the processor's.
        for name in providers_shared providers_openvino; do
            cp "$work/openvino/onnxruntime/capi/libonnxruntime_$name.so" .deps/openvino.new/lib/
        done
        for name in openvino.so.2541 openvino_onnx_frontend.so.2541 openvino_intel_cpu_plugin.so tbb.so.12; do
            cp "$work/openvino/onnxruntime/capi/lib$name" .deps/openvino.new/lib/
        done
        cp "$work/openvino/onnxruntime/capi/libonnxruntime.so.$openvino_version" .deps/openvino.new/lib/libonnxruntime.so
        echo $openvino_pin >.deps/openvino.new/wheel.sha256
        rm -rf .deps/openvino
        mv .deps/openvino.new .deps/openvino
        say "ONNX Runtime $openvino_version with OpenVINO is in .deps"
    fi ;;
*) fail "PROVIDER is cpu or openvino, not '$PROVIDER'" ;;
esac

target=.deps/onnxruntime/lib/$library
if [ -f "$target" ] && [ "$(digest "$target")" = "$pin" ]; then
    say "ONNX Runtime $version is in .deps"
    exit 0
fi
take() { # take FILE SOURCE: accepts the library only with the pinned hash
    local actual
    actual=$(digest "$1")
    if [ "$actual" != "$pin" ]; then
        say "the library out of $2 has SHA-256 $actual, expected $pin: not taken"
        return 1
    fi
    mkdir -p "$(dirname "$target")"
    cp "$1" "$target.new"
    mv "$target.new" "$target"
    say "ONNX Runtime $version out of $2 is in .deps"
}

url=https://github.com/microsoft/onnxruntime/releases/download/v$version/$archive.tgz
say "fetching $archive.tgz"
if curl -fsSL --connect-timeout 10 --max-time 300 -o "$work/archive.tgz" "$url" 2>/dev/null &&
    tar -xzf "$work/archive.tgz" -C "$work" && take "$work/$archive/lib/$library" "the release archive"; then
    exit 0
fi
say "taking the library out of the PyPI wheel instead"
fetch_wheel onnxruntime "$version" "$wheel"
python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
found=$(ls "$work"/wheel/onnxruntime/capi/libonnxruntime.*"$version"* 2>/dev/null | head -n 1)
[ -n "$found" ] || fail "the wheel of ONNX Runtime $version holds no library"
take "$found" "the PyPI wheel" || fail "ONNX Runtime $version could not be verified"
