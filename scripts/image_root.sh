#!/usr/bin/env bash
# Fills ROOT, the root file system of an image, with programs and the shared libraries that they need, and
# nothing else: no shell, no package manager.
# Usage: scripts/image_root.sh ROOT FILE[:PLACE]|LIBRARY...
#   PLACE: where it is in the image; FILE itself otherwise. LIBRARY: one that a program loads when it needs it,
#   by the name that it asks for ("libz.so.1").
set -euo pipefail

fail() {
  echo "image_root.sh: $*" >&2
  exit 1
}

(($# >= 2)) || fail "usage: image_root.sh ROOT FILE[:PLACE]|LIBRARY..."
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

path_of() {  # LIBRARY
  /sbin/ldconfig -p | awk -v "name=$1" '$1 == name { path = $NF } END { print path }'
}

mkdir -p "$root"/{dev,etc,proc,run,sys,usr}
for argument in "$@"; do
  [[ $argument == */* ]] || argument=$(path_of "$argument")
  file=${argument%%:*} place=${argument##*:}
  [[ -e $file ]] || fail "${file:-a library} is not there; build it, or install it, first: scripts/setup.sh"
  install -D -m 755 "$file" "$root$place"
  # Debugging information is three quarters of ours; function names, for traces, stay.
  strip --strip-debug "$root$place"
  while read -r library; do
    [[ -e $root$library ]] || install -D -m 755 "$library" "$root$library"
  done < <(libraries_of "$file")
done

# glibc 2.34 and later bring "files" and "dns" along; without this file it would do without /etc/hosts.
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
echo "root:x:0:0:root:/:/" >"$root/etc/passwd"
echo "root:x:0:" >"$root/etc/group"

# What FRR's programs look for: the group that may talk to the daemons, which root is in too, and leave for
# vtysh to start. Who may connect is decided by the sockets' permissions.
if [[ -e $root/usr/bin/vtysh ]]; then
  mkdir -p "$root"/etc/pam.d "$root"/usr/share/yang
  echo "frrvty:x:110:root" >>"$root/etc/group"
  printf '%s sufficient pam_permit.so\n' auth account >"$root/etc/pam.d/frr"
  pam_permit=$(dpkg -L libpam-modules | grep '/pam_permit\.so$')
  install -D -m 644 "$pam_permit" "$root$pam_permit"
fi
