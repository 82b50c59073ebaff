#!/usr/bin/env bash
# Makes out/viseme_VERSION_ARCH.deb for Debian 12: the program with the Swift runtime inside, ONNX Runtime in its own folder, robin, man page, completions,
# a systemd unit, licences and a bill of materials (CycloneDX). The same commit on the same path and toolchain gives the same bytes.
# usage: package.sh [--pack-only]     (--pack-only: pack again what was built before)
# PACKAGE_SCRATCH: where it is built, .build/package by default. SOURCE_DATE_EPOCH: the date of all files, the commit's by default.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
'' | --pack-only) ;;
*) echo "usage: package.sh [--pack-only]" >&2; exit 64 ;;
esac
fail() { echo "package: error: $*" >&2; exit 69; }
# shellcheck disable=SC1091
[ "$(. /etc/os-release && echo "$ID$VERSION_ID")" = debian12 ] || fail "the package is for Debian 12 and is built on it"
for tool in dpkg-deb dpkg-shlibdeps strip python3; do
    command -v $tool >/dev/null || fail "$tool is missing: sudo apt-get install dpkg-dev binutils python3-venv"
done
scratch=${PACKAGE_SCRATCH:-.build/package}
version=$(sed -nE 's/.*static let version = "([^"]+)".*/\1/p' Sources/Viseme/Release.swift)
[ -n "$version" ] || fail "Sources/Viseme/Release.swift has no version"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
architecture=$(dpkg --print-architecture)

# --- Build: the Swift runtime linked in, sources named below . whatever the folder is called --------------------------------------------
build=(--scratch-path "$scratch" -c release --static-swift-stdlib --product viseme -Xswiftc -gnone
    -Xswiftc -file-prefix-map -Xswiftc "$PWD=.")
# For more than one build beside each other.
[ -z "${PACKAGE_IGNORE_LOCK:-}" ] || build+=(--ignore-lock)
if [ "${1:-}" != --pack-only ]; then
    scripts/setup.sh
    swift build "${build[@]}"
    swift --version 2>&1 | sed -nE 's/.*Swift version ([0-9.]+).*/\1/p' | head -n 1 >"$scratch/swift-version"
fi
program=$scratch/release/viseme
[ -x "$program" ] || fail "$program is not built"

# --- What makes the bill, and ONNX Runtime's licences --------------------------------------------------------------------------------------
tools="cyclonedx-python-lib[json-validation]==11.12.0"
if [ "$(cat .deps/package/tools 2>/dev/null)" != "$tools" ]; then
    rm -rf .deps/package
    python3 -m venv .deps/package
    .deps/package/bin/pip install -q --disable-pip-version-check "$tools"
    echo "$tools" >.deps/package/tools
fi
onnx=$(sed -nE 's/^version=([0-9.]+)$/\1/p' scripts/setup.sh | head -n 1)
if [ ! -f .deps/onnxruntime/ThirdPartyNotices.txt ]; then
    wheel=$(mktemp -d)
    .deps/package/bin/pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$wheel" "onnxruntime==$onnx"
    python3 -m zipfile -e "$wheel"/onnxruntime-*.whl "$wheel/files"
    cp "$wheel/files/onnxruntime/"{LICENSE,ThirdPartyNotices.txt} .deps/onnxruntime/
    rm -rf "$wheel"
fi
echo "$onnx" >.deps/onnxruntime/VERSION

# --- The files ---------------------------------------------------------------------------------------------------------------------------
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
own=$root/usr/lib/viseme share=$root/usr/share
mkdir -p "$own" "$root"/{usr/bin,etc/viseme,lib/systemd/system} "$share"/{viseme/avatars,man/man1,bash-completion/completions} \
    "$share"/{zsh/vendor-completions,fish/vendor_completions.d,doc/viseme,doc-base} "$work/debian"
strip -s -o "$own/viseme" "$program"
cp .deps/onnxruntime/lib/libonnxruntime.so "$own/"
cp -r "$scratch"/release/*_VisemeServer.resources "$scratch"/release/*_VisemeFaces.resources "$own/"
ln -s ../lib/viseme/viseme "$root/usr/bin/viseme"
ln -s ../../share/viseme/avatars "$own/avatars"
cp -r avatars/robin.avatar "$share/viseme/avatars/"
cp packaging/debian/viseme.service "$root/lib/systemd/system/"
cp packaging/debian/server.json "$root/etc/viseme/"
for shell in bash zsh fish; do "$own/viseme" --generate-completion-script $shell >"$work/$shell"; done
cp "$work/bash" "$share/bash-completion/completions/viseme"
cp "$work/zsh" "$share/zsh/vendor-completions/_viseme"
cp "$work/fish" "$share/fish/vendor_completions.d/viseme.fish"
python3 packaging/man.py "$own/viseme" "$version" "$SOURCE_DATE_EPOCH" | gzip -9n >"$share/man/man1/viseme.1.gz"
cp NOTICE SECURITY.md docs/server.md docs/threat-model.md "$share/doc/viseme/"
gzip -9n <CHANGELOG.md >"$share/doc/viseme/changelog.gz"
printf 'Source: Viseme, Apache License 2.0; its parts: licences/, NOTICE, viseme.cdx.json\n\n' | cat - LICENSE >"$share/doc/viseme/copyright"
rmdir "$share/doc-base"

# --- What it needs of Debian, by the libraries that it asks for ----------------------------------------------------------------------------
printf 'Source: viseme\n\nPackage: viseme\nArchitecture: %s\n' "$architecture" >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O root/usr/lib/viseme/viseme root/usr/lib/viseme/libonnxruntime.so 2>"$work/shlibdeps.log" |
    sed -n 's/^shlibs:Depends=//p') || { cat "$work/shlibdeps.log" >&2; exit 1; }
[[ $depends == *libavformat* ]] || fail "dpkg-shlibdeps found: $depends"
.deps/package/bin/python packaging/parts.py . "$scratch" "$version" "$SOURCE_DATE_EPOCH" "$depends" "$work"
mkdir -p "$work/licences/onnxruntime"
cp .deps/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/licences/onnxruntime/"
cp -r "$work/licences" "$work/viseme.cdx.json" "$share/doc/viseme/"

# --- The package -------------------------------------------------------------------------------------------------------------------------
mkdir "$root/DEBIAN"
cp packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root"/DEBIAN/*
echo /etc/viseme/server.json >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<CONTROL
Package: viseme
Version: $version
Architecture: $architecture
Maintainer: The Viseme project <maintainers@viseme.invalid>
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends
Recommends: espeak-ng
Section: video
Priority: optional
Description: talking heads from an avatar pack and any speech
 Renders videos, streams live and serves sessions over HTTP, with frames that are exact
 to the sound. Holds the Swift runtime, ONNX Runtime and the avatar robin.
CONTROL
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p out
package=out/viseme_${version}_$architecture.deb
# One thread: the number of threads is visible in xz's output.
dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$package.new" >/dev/null
mv "$package.new" "$package"
echo "$package: $(stat -c %s "$package") bytes, SHA-256 $(sha256sum "$package" | cut -d' ' -f1)"
