#!/bin/sh
# Rebuilds avatars/robin.avatar from nothing: speech, pictures, networks, pack, figures.
#
#   training/recipes/robin/make_avatar.sh [STEP …]   all steps without arguments; a step that was stopped goes on where it was
#
# Wants Python 3.11 (PYTHON=…) with training/ installed as training/README.md says, and from Debian: ffmpeg espeak-ng flite festival
# festvox-us-slt-hts festvox-kallpc16k festvox-kdlpc16k festvox-ru libegl1 libgl1. Settings: robin.toml; SPEECH=FOLDER is where the recordings
# of people are, DEVICE=cpu|cuda|mps. Work data: $VISEME_TRAINING_WORK, by default training/work.
set -eu
PYTHON=${PYTHON:-python3}
: "${VISEME_TRAINING_WORK:=$(cd "$(dirname "$0")/../.." && pwd)/work}"
case $VISEME_TRAINING_WORK in /*) ;; *) VISEME_TRAINING_WORK=$PWD/$VISEME_TRAINING_WORK ;; esac
export VISEME_TRAINING_WORK OMP_WAIT_POLICY=PASSIVE
case $PYTHON in /*) ;; */*) PYTHON=$PWD/$PYTHON ;; esac
cd "$(dirname "$0")"
: "${SPEECH:=../../../../shared/speech}"

set_() { # set_ COMMAND…: with the settings of the environment
    "$@" --set "speech='$(cd "$SPEECH" && pwd)'" ${DEVICE:+--set "device='$DEVICE'"}
}

train() { # train NAME MINUTES: for the settings' minutes if MINUTES is empty
    set_ "$PYTHON" -m "viseme_train.compact.train_$1" --config robin.toml ${2:+--minutes "$2"}
}

step() {
    echo "== $1"
    case $1 in
        speech) "$PYTHON" speech.py ;;
        align) "$PYTHON" -m viseme_train.align "$SPEECH" "$VISEME_TRAINING_WORK/phones.tsv" ;;
        shards) set_ "$PYTHON" shards.py ;;
        template) "$PYTHON" pictures.py template ;;
        pictures) "$PYTHON" pictures.py ;;
        listener) train listener "${LISTENER_MINUTES:-}" && set_ "$PYTHON" measure_listener.py ;;
        painter) train painter "${PAINTER_MINUTES:-}" ;;
        pack) "$PYTHON" pack.py ;;
        quality) set_ "$PYTHON" quality.py ${HUMAN_CLIP:+--human "$HUMAN_CLIP"} ;;
        *) echo "unknown step $1: speech align shards template pictures listener painter pack quality" >&2; exit 64 ;;
    esac
}

[ $# -gt 0 ] || set -- speech align shards template pictures listener painter pack quality
for name in "$@"; do step "$name"; done
