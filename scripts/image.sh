#!/usr/bin/env bash
# Builds the images podroute, podroute-bird and podroute-frr without a registry, as OCI archives:
# DIRECTORY/podroute.tar, ...
# Usage: scripts/image.sh [--prebuilt] DIRECTORY
#
# Everything is made from Debian's packages: debootstrap makes the base, in which buildah carries out the
# Dockerfile. With --prebuilt it is this machine (Debian 12 too) that the programs are taken from:
# bazel-bin, and Debian's bird2 and frr, where they are installed. That takes seconds.
#
# As root. Nothing is left but the archives: storage and base are in a temporary directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "image.sh: $*" >&2
  exit 1
}

prebuilt=false
if [[ ${1:-} == --prebuilt ]]; then
  prebuilt=true
  shift
fi
(($# == 1)) || fail "usage: scripts/image.sh [--prebuilt] DIRECTORY"
((EUID == 0)) || fail "needs root, as debootstrap and buildah do: run it as root"
for program in buildah $($prebuilt || echo debootstrap); do
  command -v "$program" >/dev/null || fail "there is no $program: scripts/setup.sh --no-build installs it"
done
mkdir -p "$1"
directory=$(realpath "$1")
version=$(sed -n 's/.*kVersion = "\(.*\)".*/\1/p' controller/version.h)
# In a built checkout, or in a test's runfiles.
bin=$PWD
[[ -d $bin/bazel-bin ]] && bin=$bin/bazel-bin
bin=${PODROUTE_BIN:-$bin}

work=$(mktemp -d)
cleanup() {
  buildah_ rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Chroot isolation and plain copies: they work inside containers too.
# It would make its lock in /etc/cni/net.d, which is a node's.
cat >"$work/containers.conf" <<CONF
[network]
network_config_dir = "$work/networks"
CONF
buildah_() {
  TMPDIR=$work CONTAINERS_CONF=$work/containers.conf buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

save() {  # IMAGE
  rm -f "$directory/$1.tar"
  buildah_ push --quiet "localhost/$1:$version" "oci-archive:$directory/$1.tar:localhost/$1:$version"
  echo "$directory/$1.tar: localhost/$1:$version, $(du -k "$directory/$1.tar" | cut -f1) KiB"
}

# --- From the Dockerfile.

debian_sources() {  # where this machine's Debian packages come from, as apt says it
  # shellcheck disable=SC2016  # apt-get's own variables
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

build_base() {
  local sources mirror
  sources=$(debian_sources)
  mirror=$(awk '$3 == "bookworm" { print $2; exit }' <<<"$sources")
  [[ -n $mirror ]] || fail "apt knows no mirror of Debian 12 (bookworm): see /etc/apt/sources.list, then apt-get update"
  debootstrap --variant=minbase bookworm "$work/base" "$mirror" >"$work/log" || fail "debootstrap: $(tail -n 3 "$work/log")"
  echo "$sources" >"$work/base/etc/apt/sources.list"
  local container
  container=$(buildah_ from scratch)
  buildah_ add --quiet "$container" "$work/base" / >/dev/null
  rm -rf "$work/base"
  buildah_ commit --quiet --rm "$container" localhost/debian:12 >/dev/null
}

build_from_dockerfile() {
  local image
  build_base
  for image in podroute podroute-bird podroute-frr; do
    buildah_ bud --isolation chroot --layers --pull-never --build-arg BASE=localhost/debian:12 --target "$image" \
      --tag "localhost/$image:$version" . >"$work/log" 2>&1 || fail "buildah bud: $(tail -n 20 "$work/log")"
    save "$image"
  done
}

# --- From this machine.

build_from_here() {  # IMAGE ENTRYPOINT FILE[:PLACE]...
  local image=$1 entrypoint=$2 container
  shift 2
  bash scripts/image_root.sh "$work/$image" "$@"
  container=$(buildah_ from scratch)
  buildah_ add --quiet "$container" "$work/$image" / >/dev/null
  buildah_ config --entrypoint "[\"$entrypoint\"]" "$container"
  buildah_ commit --quiet --rm "$container" "localhost/$image:$version" >/dev/null
  save "$image"
}

if ! $prebuilt; then
  build_from_dockerfile
  exit
fi
podroute=$bin/controller/podroute:/usr/bin/podroute
build_from_here podroute /usr/bin/podroute "$podroute" "$bin/cni/podroute-cni:/usr/bin/podroute-cni" \
  libnftables.so.1
if command -v bird >/dev/null; then
  build_from_here podroute-bird /usr/sbin/bird /usr/sbin/bird /usr/sbin/birdc
fi
if [[ -x /usr/lib/frr/zebra ]]; then
  build_from_here podroute-frr /usr/bin/podroute "$podroute" /usr/bin/vtysh /usr/lib/frr/{zebra,staticd,bgpd}
fi
