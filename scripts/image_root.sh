#!/usr/bin/env bash
# Fills ROOT, the root file system of an image, with programs and the shared libraries that they need, and
# nothing else: no shell, no package manager.
# Usage: scripts/image_root.sh ROOT FILE[:PLACE]...   (PLACE: where it is in the image; FILE itself otherwise)
set -euo pipefail

fail() {
  echo "image_root.sh: $*" >&2
  exit 1
}

(($# >= 2)) || fail "usage: image_root.sh ROOT FILE[:PLACE]..."
root=$1
shift

# The dynamic linker among them, under the names that programs ask for them by.
libraries_of() {
  local text
  text=$(ldd "$1" 2>&1) || {
    [[ $text == *"not a dynamic executable"* || $text == *"statically linked"* ]] || fail "ldd $1: $text"
    return 0
  }
  [[ $text != *"not found"* ]] || fail "$1 lacks a library: $(grep 'not found' <<<"$text")"
  grep -oE '/[^ ]+' <<<"$text" | grep -vxF "$1:" || true
}

mkdir -p "$root"/{dev,etc,proc,run,sys,usr}
for argument in "$@"; do
  file=${argument%%:*} place=${argument##*:}
  [[ -x $file ]] || fail "$file is not there; build it first: scripts/setup.sh"
  install -D -m 755 "$file" "$root$place"
  # Debugging information is three quarters of ours; function names, for traces, stay.
  strip --strip-debug "$root$place"
  while read -r library; do
    [[ -e $root$library ]] || install -D -m 755 "$library" "$root$library"
  done < <(libraries_of "$file")
done

# glibc 2.34 and later bring "files" and "dns" along; without this file it would do without /etc/hosts.
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
# Whom daemons look for by name.
grep -E '^(root|frr):' /etc/passwd >"$root/etc/passwd"
grep -E '^(root|frr|frrvty):' /etc/group >"$root/etc/group"
