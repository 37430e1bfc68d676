#!/usr/bin/env bash
# Containers that containerd and runc start with the plugin and the configuration that `podroute run` has
# installed on a node of the lab. The containerd is this test's own, in the node's network and process
# namespaces, with mounts, sockets and folders of its own; the machine's is not touched.
# shellcheck source=../lab/test_lib.sh
source "$(dirname "$0")/../lab/test_lib.sh"
# shellcheck source=../lab/containerd_lib.sh
source "$(dirname "$0")/../lab/containerd_lib.sh"

# --- What runs on the node: containerd_test.sh --on-node GROUP WORK CMD...

on_node() {
  start_containerd "$1" "$2"
  make_image "$2/image.tar"
  ctr image import "$2/image.tar" >/dev/null
  shift 2
  "$@"
}

sha() { sha256sum "$1" | cut -d' ' -f1; }

blob() {  # TYPE FILE: as another file of the image names it
  jq -cn --arg type "$1" --arg digest "sha256:$(sha "$2")" --argjson size "$(stat -c%s "$2")" \
    '{mediaType: $type, digest: $digest, size: $size}'
}

make_image() {  # FILE: an archive in the format of the Open Container Initiative with busybox in it
  local dir=${1%.tar} type=application/vnd.oci.image applet part
  mkdir -p "$dir"/root/{bin,etc,proc,sys,dev,tmp} "$dir/oci/blobs/sha256"
  cp "$(command -v busybox)" "$dir/root/bin/busybox"
  for applet in sh ip ping ping6 sleep wget; do ln -s busybox "$dir/root/bin/$applet"; done
  tar -C "$dir/root" --owner=0 --group=0 -cf "$dir/layer" .
  jq -cn --arg layer "sha256:$(sha "$dir/layer")" --arg arch "$(dpkg --print-architecture)" '{architecture: $arch,
    os: "linux", config: {Env: ["PATH=/bin"]}, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$dir/config"
  jq -cn --argjson config "$(blob $type.config.v1+json "$dir/config")" \
    --argjson layer "$(blob $type.layer.v1.tar "$dir/layer")" \
    '{schemaVersion: 2, mediaType: "'$type'.manifest.v1+json", config: $config, layers: [$layer]}' >"$dir/manifest"
  jq -cn --argjson manifest "$(blob $type.manifest.v1+json "$dir/manifest")" '{schemaVersion: 2,
    manifests: [$manifest + {annotations: {"io.containerd.image.name": "localhost/busybox:1"}}]}' >"$dir/oci/index.json"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci/oci-layout"
  for part in layer config manifest; do cp "$dir/$part" "$dir/oci/blobs/sha256/$(sha "$dir/$part")"; done
  tar -C "$dir/oci" -cf "$1" .
}

container() { ctr run --cni "$@"; }  # [FLAGS] localhost/busybox:1 NAME CMD...

# Prints what a container sees, and what is left of it on the node afterwards.
reach() {  # ADDRESS ADDRESS6: a pod's on another node
  # shellcheck disable=SC2016  # for the container's shell
  container --rm localhost/busybox:1 reach sh -ec '
    ip -o address show eth0 | while read -r _ _ _ address _; do echo "address: $address"; done
    ip -o link show eth0 | sed "s/.* mtu /mtu: /; s/ .*//" || true
    ip link show lo | grep -q LOOPBACK,UP
    ping -c1 -W10 "$1" >/dev/null && echo "ping: $1"
    ping6 -c1 -W10 "$2" >/dev/null && echo "ping: $2"
    wget -qO- "http://$1/" && wget -qO- "http://[$2]/"' sh "$1" "$2" </dev/null
  echo "links left: $(ip -o link show master cni0 | wc -l)"
  echo "reservations left: $(find /run/cni-ipam-state -name '*.*.*.*' | wc -l)"
}

# Keeps a container until standard input ends; says its address.
stay() {
  container --detach localhost/busybox:1 stay sleep 100000 </dev/null
  ctr task exec --exec-id address stay ip -4 -o address show eth0 | sed -E 's/.* inet ([0-9.]+).*/\1/' | tr -d '\r'
  read -r _ || true
  ctr task kill --signal KILL stay
  wait_for 30 stopped stay
  ctr task delete stay >/dev/null 2>&1 || true
  ctr container delete stay
}

stopped() { ctr task ls | grep -q "^$1 .*STOPPED"; }

if [[ ${1:-} == --on-node ]]; then
  shift
  on_node "$@"
  exit
fi

# --- The cases.

cluster_up() {
  work=$(mktemp -d)
  # shellcheck disable=SC2064,SC2031  # now; and it is this subshell's
  trap "end_labs $LAB_NAME; remove_groups; rm -rf '$work'" EXIT
  need_containers
  lab_up --nodes 2 --dual-stack
  wait_for 10 lab exec master1 test -e /run/cni/net.d/10-podroute.conflist
}

on_master() { lab exec master1 unshare --mount bash "$(realpath "$0")" --on-node "$group" "$work/node" "$@"; }

AContainerReachesAPodOnAnotherNodeByPingAndHttpAndLeavesNothingBehind() {
  local addresses output
  cluster_up
  mapfile -t addresses < <(lab pod worker1 server)
  mkdir "$work/www"
  echo "from a pod on another node" >"$work/www/index.html"
  lab exec server busybox httpd -f -p '[::]:80' -h "$work/www" &
  disown
  output=$(on_master reach "${addresses[@]}") || fail "$output; $(tail -n 5 "$work/node/log")"
  expect_contains "what the container saw" "address: 10.244.1." "$output"
  expect_contains "what the container saw" "address: fd00:10:244:1:" "$output"
  expect_contains "what the container saw" "ping: ${addresses[0]}" "$output"
  expect_contains "what the container saw" "ping: ${addresses[1]}" "$output"
  expect_eq "pages" 2 "$(grep -c 'from a pod on another node' <<<"$output")"
  expect_contains "the node afterwards" "links left: 0" "$output"
  expect_contains "the node afterwards" "reservations left: 0" "$output"
}

APodOnAnotherNodeReachesAContainer() {
  local address
  cluster_up
  lab pod worker1 client
  mkfifo "$work/end"
  on_master stay >"$work/address" <"$work/end" 2>"$work/errors" &
  local end
  exec {end}>"$work/end"
  wait_for 60 test -s "$work/address" -o -s "$work/errors"
  address=$(<"$work/address")
  lab exec client ping -c1 -W10 "$address" >/dev/null || fail "no answer from '$address'; $(cat "$work/errors")"
  exec {end}>&-
  wait $! || fail "$(cat "$work/errors")"
}

run_tests "$@"
