#!/usr/bin/env bash
# Proves the package in a bare Debian 12 that debootstrap makes: apt installs it, robin speaks, the service answers under an unprivileged user, man page and
# completions are there, and removing leaves nothing. Needs root and debootstrap.
# usage: check-package.sh PACKAGE.deb [FOLDER]     (FOLDER: where the bare system is or will be; it is kept)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "check-package: error: $*" >&2; exit 1; }
package=$(realpath "${1:?usage: check-package.sh PACKAGE.deb [FOLDER]}")
{ [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; } || fail "this needs root and debootstrap: sudo apt-get install debootstrap"
mirror=$(sed -nE 's/^(URIs:|deb) +(\[[^]]*\] +)?(https?:[^ ]+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1) || true
bare=${2:-$(mktemp -d)/bare}
[ -x "$bare/bin/sh" ] || debootstrap --variant=minbase bookworm "$bare" "$mirror" >/dev/null
root=$(mktemp -d)
cleanup() {
    for path in dev/shm dev proc; do mountpoint -q "$root/$path" && umount -l "$root/$path"; done
    rm -rf "$root"
}
trap cleanup EXIT
cp -a "$bare/." "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
cp "$package" "$root/root/viseme.deb"
cp samples/hello.wav "$root/root/"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

for tool in swift swiftc python3 gcc ffmpeg; do inside sh -c "! command -v $tool" >/dev/null || fail "the bare system has $tool"; done
echo "check-package: a bare Debian $(cat "$root/etc/debian_version"), $(inside dpkg-query -f '.\n' -W | wc -l) packages"

# --- Two commands ----------------------------------------------------------------------------------------------------------------------
inside apt-get update -qq
start=$SECONDS
inside apt-get install -y -qq --no-install-recommends /root/viseme.deb >"$root/root/apt.log" 2>&1 || { tail "$root/root/apt.log"; fail "apt refuses it"; }
installed=$SECONDS
inside sh -c 'cd /root && viseme render --audio hello.wav -o hello.mp4 --json' >"$root/root/report.json" 2>/dev/null || fail "viseme render failed"
echo "check-package: installed in $((installed - start)) s, robin spoke in $((SECONDS - installed)) s: $(grep -E '"(frames|fps|sound)"' "$root/root/report.json" | tr -d '\n ')"
[ -s "$root/root/hello.mp4" ] || fail "no video"

# --- The rest of it ----------------------------------------------------------------------------------------------------------------------
inside viseme doctor --system | sed 's/^/  /' || fail "doctor --system says no"
inside viseme doctor robin | tail -n 1
[ -s "$root/usr/share/man/man1/viseme.1.gz" ] || fail "no man page"
inside bash -nc ". /usr/share/bash-completion/completions/viseme" || fail "the completion of bash does not parse"
inside bash -c '. /usr/share/bash-completion/completions/viseme && complete -p viseme' >/dev/null || fail "bash does not complete viseme"
(cd "$root" && md5sum --quiet -c var/lib/dpkg/info/viseme.md5sums) || fail "a file is not the package's"
[ "$(stat -c '%U:%G' "$root/usr/lib/viseme/viseme")" = root:root ] || fail "the program is not root's"

# The unit's command, as far as a folder can show the unit: another user without any capability and without new privileges, a read-only system, a
# state folder alone. That systemd starts it is not shown here.
state=$root/var/lib/viseme
mkdir -p "$state/avatars" "$state/data"
chown -R 61234:61234 "$state"
command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/viseme.service")
port=18080
unshare -m bash -c "mount --rbind '$root' '$root' && mount -o remount,bind,ro '$root' && mount --bind '$state' '$state' && mount -o remount,bind,rw '$state' && mount -t tmpfs tmpfs '$root/tmp' &&
    exec chroot --userspec=61234:61234 --groups= '$root' /usr/bin/setpriv --no-new-privs --inh-caps=-all env -i PATH=/usr/bin:/bin HOME=/ VISEME_PORT=$port sh -c 'cd /var/lib/viseme && umask 077 && exec $command'" >"$root.log" 2>&1 &
server=$!
answer() { bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && printf 'GET $1 HTTP/1.0\r\nHost: 127.0.0.1:$port\r\n\r\n' >&3 && head -n 1 <&3" 2>/dev/null; }
for _ in $(seq 120); do
    [[ "$(answer /ready)" == *" 200 "* ]] && break
    kill -0 $server 2>/dev/null || { cat "$root.log" >&2; fail "the service ended"; }
    sleep 1
done
[[ "$(answer /ready)" == *" 200 "* ]] || { cat "$root.log" >&2; fail "/ready is not 200 after two minutes"; }
[[ "$(answer /)" == *" 200 "* ]] || fail "the page is not there"
kill -TERM $server
wait $server || fail "the service ended with $?"
rm -f "$root.log"
echo "check-package: the service answered as user 61234 on a read-only system and ended in order"

inside apt-get purge -y -qq viseme >/dev/null 2>&1 || fail "purge failed"
left=$(cd "$root" && find . -xdev -path ./proc -prune -o -name '*viseme*' -not -path './root/*' -print)
[ -z "$left" ] || fail "left after purge: $left"
echo "check-package: all is well"
