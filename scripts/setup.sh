#!/usr/bin/env bash
# Takes a bare Debian 12 to a built tree: installs what is missing, then builds everything.
# Usage: scripts/setup.sh [--no-build|--product]   (--product: for the two executables only, no tests)
#
# Run it as often as you like: it asks apt for packages only when one is missing. As root, or as
# anybody who may use sudo; only apt runs as root. It needs no systemd and starts no
# service itself (bird2's package may; nothing here uses that).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=(//...) tests=true
case "$#:${1:-}" in
  0:) ;;
  1:--no-build) targets=() ;;
  1:--product) targets=(//controller:podroute //cni:podroute-cni) tests=false ;;
  *)
    echo "setup.sh: unknown argument '$*'; usage: scripts/setup.sh [--no-build|--product]" >&2
    exit 1
    ;;
esac

packages=(
  # the build
  bazel-bootstrap bazel-rules-java bazel-rules-proto g++
  libcpprest-dev libevent-dev libgflags-dev libgoogle-glog-dev libnftables-dev libnl-3-dev libnl-route-3-dev
  libssl-dev libyaml-cpp-dev musl-dev prometheus-cpp-dev rapidjson-dev
)
test_packages=(
  # the tests; of these daemons they start their own, no service of theirs is needed
  bird2 containernetworking-plugins frr openssh-client openssh-server
  libgmock-dev libgtest-dev prometheus
  clang-format clang-tidy python3 shellcheck
  python3-kubernetes python3-yaml
  # the images
  buildah debootstrap
  # the lab and the demo
  ca-certificates curl iproute2 iptables iputils-ping jq nftables openssl procps util-linux
)
# Debian's kubectl cannot be installed beside another package that brings one.
command -v kubectl >/dev/null || test_packages+=(kubernetes-client)

# Others bring these too, and Debian's would take their place.
command -v containerd >/dev/null || test_packages+=(containerd)
command -v runc >/dev/null || test_packages+=(runc)
command -v busybox >/dev/null || test_packages+=(busybox-static)

if $tests; then packages+=("${test_packages[@]}"); fi

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

missing_packages() {
  local package
  # dpkg-query complains about, and leaves out, the packages that it has never heard of.
  local installed
  # shellcheck disable=SC2016  # dpkg-query's own variables
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "${packages[@]}" 2>/dev/null || true) "
  for package in "${packages[@]}"; do
    [[ $installed == *" installed:$package "* ]] || echo "$package"
  done
}

install_packages() {
  local -a as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "needs root to install: $*; run 'apt-get install $*' as root, or install sudo"
    as_root=(sudo)
  fi
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  echo "setup.sh: installing $*"
  "${apt[@]}" update || fail "'apt-get update' failed: see above, then run this again"
  # Asked by the packages' scripts before they start a service (invoke-rc.d); 101 is no.
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    # shellcheck disable=SC2064  # as it is now
    trap "${as_root[*]} rm -f $policy" EXIT
  fi
  "${apt[@]}" install --yes --no-install-recommends "$@" ||
    fail "'apt-get install' failed: see above, then run this again"
}

id=unknown version=""
if [[ -r /etc/os-release ]]; then
  # shellcheck disable=SC1091
  id=$(. /etc/os-release && echo "${ID:-unknown}")
  # shellcheck disable=SC1091
  version=$(. /etc/os-release && echo "${VERSION_ID:-}")
fi
[[ $id == debian && $version == 12 ]] ||
  fail "this is $id${version:+ $version}; podroute is built on Debian 12, from Debian 12's packages"

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} > 0)); then
  install_packages "${missing[@]}"
fi

if ((${#targets[@]} > 0)); then
  bazel build "${targets[@]}" </dev/null
fi
