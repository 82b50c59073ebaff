#!/bin/bash
# One share of a batch: what each index of the Indexed Jobs beside this file runs. It needs bash, coreutils, sed and viseme; no Ray, no Python.
#
#   AUDIO, OUTPUT    one long speech: every index renders each SHARES-th segment, the last one waits for the others and joins
#   LIST             or a list, AUDIO<tab>OUTPUT[<tab>AVATAR] a line: every index does each SHARES-th line alone
#   WORK             a folder that all pods share; run again with it, a batch goes on where it was
#   AVATAR, CRF, SEGMENT_SECONDS, FORCE=1    as in viseme-ray
set -euo pipefail
index=${JOB_COMPLETION_INDEX:?is set by Kubernetes in an Indexed Job} shares=${SHARES:?is the number of completions}
crf=${CRF:-18} seconds=${SEGMENT_SECONDS:-40}
: "${WORK:?is a folder that all pods share}"
[[ $index =~ ^[0-9]+$ && $shares =~ ^[1-9][0-9]*$ && $index -lt $shares && $seconds =~ ^[1-9][0-9]*$ ]] || {
    echo "share: error: JOB_COMPLETION_INDEX=$index, SHARES=$shares, SEGMENT_SECONDS=$seconds do not fit together" >&2
    exit 64
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# video AUDIO OUTPUT AVATAR INDEX SHARES; ends the (sub)shell with the program's status when it fails.
video() {
    local audio=$1 output=$2 avatar=$3 index=$4 shares=$5
    [ -f "$audio" ] || { echo "share: error: there is no speech '$audio'" >&2; exit 66; }
    local about key folder said status=0 total fps length segment first last
    about=$(viseme avatar info "$avatar" --json)
    # The content key: the program's version, the pack, the sound's bytes, the options.
    key=$({ viseme --version; echo "$about"; echo "$crf $seconds"; cat "$audio"; } | sha256sum | cut -c1-32)
    folder=$WORK/segments/$key
    mkdir -p "$folder"
    if [ -e "$output" ]; then
        if [ "$(cat "$folder/done" 2>/dev/null)" = "$output $(stat -c %s "$output")" ]; then
            rm -f "$folder"/*.mp4
            echo "$output was there"
            return
        fi
        [ "${FORCE:-}" = 1 ] || { echo "share: error: '$output' exists and is not this batch's; choose another name, or set FORCE=1" >&2; exit 73; }
    fi
    # A frame at the end of all numbers: the program refuses it and says how many the sound has, to the frame.
    said=$(viseme render --avatar "$avatar" --audio "$audio" --range 1099511627774:1099511627775 -o "$scratch/beyond.mp4" 2>&1 >/dev/null) || status=$?
    total=$(sed -n 's/.*audio, which has \([0-9][0-9]*\) frames.*/\1/p' <<<"$said")
    [ -n "$total" ] || { echo "$said" >&2; exit $((status == 0 ? 69 : status)); }
    fps=$(sed -n 's/.*"fps" : \([0-9]*\).*/\1/p' <<<"$about")
    # Whole groups of pictures, four seconds each.
    length=$(((seconds + 3) / 4 * 4 * fps))
    local segments=()
    for ((segment = 0, first = 0; first < total; segment++, first += length)); do
        last=$((first + length < total ? first + length : total))
        segments+=("$folder/$(printf %09d-%09d.mp4 "$first" "$last")")
        [ $((segment % shares)) = "$index" ] || continue
        [ -e "${segments[-1]}" ] && continue
        # The program writes under another name and renames: what is there is whole, however often a pod was killed.
        viseme render --avatar "$avatar" --audio "$audio" --range "$first:$last" --crf "$crf" --threads "${THREADS:-1}" -o "${segments[-1]}" || {
            status=$?
            [ -e "${segments[-1]}" ] || exit "$status" # else a pod that was thought to be dead was first
        }
    done
    [ "$index" = $((shares - 1)) ] || return 0
    for segment in "${segments[@]}"; do
        until [ -e "$segment" ]; do sleep "${WAIT_SECONDS:-5}"; done
    done
    mkdir -p "$(dirname "$output")"
    local joined="$folder/joined.${output##*.}"
    viseme join "${segments[@]}" --audio "$audio" -o "$joined" --force
    # The note is first: between the two, a death leaves no output that nobody knows.
    echo "$output $(stat -c %s "$joined")" >"$folder/done.partial"
    mv "$folder/done.partial" "$folder/done"
    mv "$joined" "$output"
    rm -f "$folder"/*.mp4
    echo "$output"
}

if [ -z "${LIST:-}" ]; then
    video "${AUDIO:?or LIST}" "${OUTPUT:?belongs to AUDIO}" "${AVATAR:-robin}" "$index" "$shares"
    exit
fi
failed=0 number=0
while IFS=$'\t' read -r audio output avatar || [ -n "$audio" ]; do
    [ -n "$audio" ] || continue
    if [ $((number++ % shares)) = "$index" ]; then
        # Errors end the subshell alone: `set -e` would not work in a condition.
        set +e
        (set -e; video "$audio" "${output:?is the second column of LIST}" "${avatar:-${AVATAR:-robin}}" 0 1) </dev/null
        status=$?
        set -e
        if [ "$status" != 0 ]; then
            echo "share: error: no video of '$audio': status $status" >&2
            # What another try may mend counts more: then Kubernetes gives this index another pod.
            if [[ $failed = 0 || $status = 70 || $status -gt 74 ]]; then failed=$status; fi
        fi
    fi
done <"$LIST"
exit "$failed"
