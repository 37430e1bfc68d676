# Sourced, after test_lib.sh, by tests that run containers on the lab's nodes: a containerd of the test's
# own, in the node's network and process namespaces, with mounts, sockets and folders of its own. The
# machine's is not touched.
# shellcheck shell=bash

# Of containerd and of the control groups that runc makes.
# shellcheck disable=SC2034  # for the test cases
group=podroute-test-$$

# On a node, in a mount namespace of its own: containerd, until this shell ends. What the agent installs
# there is what containers get.
start_containerd() {  # GROUP WORK
  local work=$2
  export CONTAINERD_ADDRESS=$work/containerd.sock CONTAINERD_NAMESPACE=$1 CONTAINERD_SNAPSHOTTER=native
  # The node's /sys shows its own links, but has no control groups: they are in the one below.
  umount /sys
  # ctr knows the usual places only. Elsewhere /etc and /opt are as they were.
  mkdir -p "$work"/{etc,opt/cni/bin,root,state}
  cp -a /etc/. "$work/etc"
  mkdir -p "$work/etc/cni/net.d" "$PODROUTE_CNI_BIN_DIR" "$PODROUTE_CNI_CONF_DIR"
  mount --bind "$work/etc" /etc
  mount --bind "$work/opt" /opt
  mount --bind "$PODROUTE_CNI_BIN_DIR" /opt/cni/bin
  mount --bind "$PODROUTE_CNI_CONF_DIR" /etc/cni/net.d
  cat >"$work/config.toml" <<TOML
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$CONTAINERD_ADDRESS"
[ttrpc]
  address = "$CONTAINERD_ADDRESS.ttrpc"
TOML
  containerd --config "$work/config.toml" >"$work/log" 2>&1 &
  containerd=$!
  trap 'kill $containerd; wait $containerd || true' EXIT
  wait_for 30 ctr version
}

need_containers() {
  local program
  for program in containerd containerd-shim-runc-v2 ctr runc busybox; do
    command -v "$program" >/dev/null || skip "there is no $program: apt-get install containerd runc busybox-static"
  done
  ((EUID == 0)) || skip "containerd needs root"
  [[ $(head -c 65536 "$(command -v busybox)" | tr -d '\0' | grep -c ld-linux) == 0 ]] ||
    skip "busybox is linked dynamically: apt-get install busybox-static"
  local made=false hierarchy
  while read -r hierarchy; do
    if mkdir "$hierarchy/$group" 2>/dev/null; then made=true; fi
  done < <(hierarchies)
  $made || skip "runc needs control groups, and this process may make none"
}

hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts; }

remove_groups() {  # the innermost first; with the lab their processes have gone
  local hierarchy
  while read -r hierarchy; do
    [[ ! -d $hierarchy/$group ]] || find "$hierarchy/$group" -depth -type d -exec rmdir {} + || true
  done < <(hierarchies)
}
