#!/bin/sh
# Rebuilds avatars/robin.avatar from nothing: speech, encoder, presenter, generator, pack, figures.
#
#   training/recipes/robin/make_avatar.sh [STEP …]   all steps without arguments; a step that was stopped goes on where it was
#
# Wants Python 3.11 (PYTHON=…) with training/ installed as training/README.md says, and from Debian: ffmpeg espeak-ng flite festival
# festvox-us-slt-hts festvox-kallpc16k festvox-kdlpc16k festvox-ru libegl1 libgl1. Settings: robin.toml, and DEVICE=cpu|cuda|mps.
# Work data: $VISEME_TRAINING_WORK, by default training/work.
set -eu
PYTHON=${PYTHON:-python3}
: "${VISEME_TRAINING_WORK:=$(cd "$(dirname "$0")/../.." && pwd)/work}"
case $VISEME_TRAINING_WORK in /*) ;; *) VISEME_TRAINING_WORK=$PWD/$VISEME_TRAINING_WORK ;; esac
export VISEME_TRAINING_WORK OMP_WAIT_POLICY=PASSIVE
case $PYTHON in /*) ;; */*) PYTHON=$PWD/$PYTHON ;; esac
cd "$(dirname "$0")"

train() { # train MINUTES SCRIPT…: on the device of DEVICE, for the settings' minutes if MINUTES is empty
    minutes=$1
    shift
    "$PYTHON" "$@" ${DEVICE:+--device "$DEVICE"} ${minutes:+--minutes "$minutes"}
}

step() {
    echo "== $1"
    case $1 in
        speech) "$PYTHON" speech.py && "$PYTHON" -m viseme_train.augment --config robin.toml ;;
        encoder) train "${ENCODER_MINUTES:-}" -m viseme_train.synctalk2d.train_encoder --config robin.toml && "$PYTHON" measure_encoder.py ;;
        template) "$PYTHON" dataset.py template ;;
        frames) "$PYTHON" dataset.py frames ;;
        picture) train "${PICTURE_MINUTES:-}" train_generator.py --phase picture ;;
        audio) train "${AUDIO_MINUTES:-}" train_generator.py --phase audio ;;
        joint) train "${JOINT_MINUTES:-}" train_generator.py --phase joint ;;
        export) "$PYTHON" export.py ;;
        quality) "$PYTHON" quality.py ${HUMAN_CLIP:+--human "$HUMAN_CLIP"} ;;
        *) echo "unknown step $1: speech encoder template frames picture audio joint export quality" >&2; exit 64 ;;
    esac
}

[ $# -gt 0 ] || set -- speech encoder template frames picture audio joint export quality
for name in "$@"; do step "$name"; done
