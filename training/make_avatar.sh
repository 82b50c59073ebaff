#!/bin/sh
# Rebuilds avatars/robin.avatar from nothing: speech, encoder, presenter, generator, pack, figures.
#
#   training/make_avatar.sh [STEP …]        all steps without arguments; a step that was stopped goes on where it was
#
# Wants Python 3.11 with training/requirements.txt (PYTHON=…), and from Debian: ffmpeg espeak-ng flite festival
# festvox-us-slt-hts festvox-kallpc16k festvox-kdlpc16k festvox-ru libegl1 libgl1. Work data: $VISEME_TRAINING_WORK, default training/work.
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
: "${VISEME_TRAINING_WORK:=$PWD/work}"
export VISEME_TRAINING_WORK OMP_WAIT_POLICY=PASSIVE
ENCODER_MINUTES=${ENCODER_MINUTES:-60} PICTURE_MINUTES=${PICTURE_MINUTES:-60} AUDIO_MINUTES=${AUDIO_MINUTES:-25} JOINT_MINUTES=${JOINT_MINUTES:-60}

step() {
    echo "== $1"
    case $1 in
        speech) "$PYTHON" speech.py && "$PYTHON" augment.py ;;
        encoder) "$PYTHON" train_encoder.py --minutes "$ENCODER_MINUTES" ;;
        template) "$PYTHON" dataset.py template ;;
        frames) "$PYTHON" dataset.py frames --count 20000 ;;
        picture) "$PYTHON" train_generator.py --phase picture --minutes "$PICTURE_MINUTES" ;;
        audio) "$PYTHON" train_generator.py --phase audio --minutes "$AUDIO_MINUTES" ;;
        joint) "$PYTHON" train_generator.py --phase joint --minutes "$JOINT_MINUTES" ;;
        export) "$PYTHON" export.py ;;
        quality) "$PYTHON" quality.py ${HUMAN_CLIP:+--human "$HUMAN_CLIP"} ;;
        *) echo "unknown step $1: speech encoder template frames picture audio joint export quality" >&2; exit 64 ;;
    esac
}

[ $# -gt 0 ] || set -- speech encoder template frames picture audio joint export quality
for name in "$@"; do step "$name"; done
