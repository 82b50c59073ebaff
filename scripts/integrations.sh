#!/usr/bin/env bash
# Tests the Python packages in integrations/, in an environment of their own in .deps/integrations.
# integrations.sh BINARY PYTHON [slow]
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$PWD/$1 python=$2
[[ $1 = /* ]] && binary=$1
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "integrations: error: Pipecat needs Python 3.11 or later, '$python' is $("$python" -V): make integrations PYTHON=…" >&2
    exit 69
}
# Ray 2.60 with a store to test with (FTP), and Kubernetes' published schemas.
tools="livekit-agents==1.8.9 pipecat-ai[webrtc]==1.14.0 ray==2.60.0 fsspec==2026.9.0 pyftpdlib==2.2.0 kubernetes-validate==1.37.0"
if [ "$(cat .deps/integrations/tools 2>/dev/null)" != "$tools" ]; then
    echo "integrations: installing $tools (about 1.3 GB)"
    rm -rf .deps/integrations
    "$python" -m venv .deps/integrations
    # shellcheck disable=SC2086
    .deps/integrations/bin/python -m pip install -q --disable-pip-version-check $tools
    echo "$tools" >.deps/integrations/tools
fi
.deps/integrations/bin/python -m pip install -q --disable-pip-version-check --no-deps \
    -e integrations/viseme-client -e integrations/livekit-plugins-viseme -e integrations/pipecat-viseme -e integrations/viseme-ray

export LOGURU_LEVEL=${LOGURU_LEVEL:-ERROR} VISEME_BINARY=$binary PYTHONPATH=$PWD/Tests/Page
export VISEME_ONNXRUNTIME=${VISEME_ONNXRUNTIME:-$(ls "$PWD"/.deps/onnxruntime/lib/libonnxruntime.* 2>/dev/null | head -n 1)}
if [ "${3:-}" = slow ]; then
    export VISEME_SEGMENTS=1000 VISEME_CALL_MINUTES=10 VISEME_BATCH_MINUTES=10
fi
status=0
for package in viseme-client livekit-plugins-viseme pipecat-viseme viseme-ray; do
    echo "== $package"
    (cd integrations/$package && ../../.deps/integrations/bin/python -B -m unittest discover -t . -s tests) || status=1
done
exit $status
