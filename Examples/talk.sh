#!/usr/bin/env bash
# Lets an avatar say a sound file, live (live.ts) and rendered (render.mp4). Usage: talk.sh speech.wav
set -euo pipefail
server=${VISEME_SERVER:-http://127.0.0.1:8080}
speech=${1:?"usage: $0 speech.wav"}
avatar=${2:-robin}
field() { sed -E "s/.*\"$1\":\"?([^,\"}]*).*/\\1/"; }
call() { curl --silent --show-error --fail-with-body ${VISEME_KEY:+--header "Authorization: Bearer $VISEME_KEY"} "$@"; }

# --- Live: what is sent is spoken while it arrives.
session=$(call --json "{\"avatar\":\"$avatar\"}" "$server/v1/sessions")
here=$server/v1/sessions/$(field id <<<"$session")
secret="Viseme-Session-Secret: $(field secret <<<"$session")"
# Where there is a screen: ffplay -fflags nobuffer -headers "$secret"$'\r\n' "$here/stream.ts"
call --header "$secret" --no-buffer --output live.ts "$here/stream.ts" &
receipt=$(call --header "$secret" --header 'Content-Type: audio/wav' --data-binary "@$speech" "$here/audio")
echo "$receipt"
sleep 2 # all of it was taken, as fast as it is spoken: what is left is about a second
call --header "$secret" --request DELETE "$here"
wait
echo live.ts

# --- Rendered: the answer survives a crash of the server, and asking again with the same key does nothing twice.
job=$(call --header "Idempotency-Key: $(date +%s)-$$" --header 'Content-Type: audio/wav' --data-binary "@$speech" \
    "$server/v1/renders?avatar=$avatar")
here=$server/v1/renders/$(field id <<<"$job")
call --no-buffer "$here/events" | grep --line-buffered ^data # ends with the job
call --output render.mp4 "$here/result"
call --request DELETE "$here"
echo render.mp4
