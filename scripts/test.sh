#!/usr/bin/env bash
# Runs swift test with the arguments given and looks at what was skipped. A skipped test or suite that Tests/skippable.txt does
# not list is named; where CI=true it fails the run, for a check that does not run checks nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
swift test "$@" 2>&1 | tee "$log" || status=$?
grep -qE 'Test run with [1-9][0-9]* test' "$log" || { echo "test: error: no test ran" >&2; exit 1; }

# ➜ Test "TITLE" skipped: "REASON"
while IFS= read -r title; do
    if ! sed 's/ *|.*//' Tests/skippable.txt | grep -qxF -- "$title"; then
        echo "test: skipped, and not listed in Tests/skippable.txt: $title" >&2
        [ "${CI:-}" != true ] || status=1
    fi
done < <(sed -nE 's/^[^ ]+ (Test|Suite) "?([^"]*)"? skipped.*/\2/p' "$log" | sort -u)
exit "$status"
