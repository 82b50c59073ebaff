#!/usr/bin/env bash
# README and the articles show the code of Snippets/, which CI compiles and runs. A fence of Swift there stands under `<!-- snippet: NAME -->` and equals
# what Snippets/NAME.swift shows, or it is a piece of somebody's Package.swift. Every snippet is shown in README.
set -euo pipefail
cd "$(dirname "$0")/.."

shown() { # what a snippet shows: all but the first comment, and what lies between snippet.hide and snippet.show
    awk 'NR == 1 && /^\/\/ / { next } /^\/\/ snippet\.hide$/ { hidden = 1; next } /^\/\/ snippet\.show$/ { hidden = 0; next } !hidden' "$1"
}

status=0
problem() {
    echo "snippets: $1" >&2
    status=1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t documents < <(find README.md Sources -name '*.docc' -prune -exec find {} -name '*.md' \; -o -name README.md -print | sort)
for document in "${documents[@]}"; do
    rm -f "$work"/*
    # One file a fence, named after its number; the marker's name is the first line.
    awk -v folder="$work" '
        /^<!-- snippet: [A-Za-z]+ -->$/ { name = $3; next }
        /^```swift$/ && !open { open = 1; file = folder "/" ++count; print (name == "" ? "-" : name) > file; name = ""; next }
        /^```$/ && open { open = 0; close(file); next }
        open { print > file; next }
        /./ { if (name != "") { print name > (folder "/stray"); name = "" } }' "$document"
    [ ! -e "$work/stray" ] || problem "$document: no Swift code under the marker of $(tr '\n' ' ' <"$work/stray")"
    for fence in "$work"/[0-9]*; do
        [ -e "$fence" ] || continue
        name=$(head -n 1 "$fence")
        tail -n +2 "$fence" >"$fence.code"
        if [ "$name" = - ]; then
            grep -q '\.package(' "$fence.code" || problem "$document: a fence of Swift without a snippet: $(head -n 1 "$fence.code")"
        elif [ ! -e "Snippets/$name.swift" ]; then
            problem "$document: there is no Snippets/$name.swift"
        else
            diff -u --label "$document" --label "Snippets/$name.swift" "$fence.code" <(shown "Snippets/$name.swift") >&2 ||
                problem "$document: the code is not that of Snippets/$name.swift: copy what it shows"
        fi
        rm "$fence" "$fence.code"
    done
done
snippets=(Snippets/*.swift)
[ -e "${snippets[0]}" ] || problem "no snippet found"
for snippet in "${snippets[@]}"; do
    name=$(basename "$snippet" .swift)
    grep -qx "<!-- snippet: $name -->" README.md || problem "README.md does not show $snippet"
done
[ "$status" = 0 ] && echo "snippets: README and articles show what is compiled"
exit "$status"
