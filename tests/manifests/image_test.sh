#!/usr/bin/env bash
# The images, run on the lab's nodes by containerd and runc with what the manifests say: arguments,
# environment, volumes, security context and, through the API server, RBAC rules.
# shellcheck source=../lab/test_lib.sh
source "$(dirname "$0")/../lab/test_lib.sh"
# shellcheck source=../lab/containerd_lib.sh
source "$(dirname "$0")/../lab/containerd_lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)

# --- What runs on the node: image_test.sh --on-node GROUP WORK CMD...

# Runs the containers of a pod until standard input ends: WORKLOAD ACCOUNT CONTAINER=IMAGE...
pod_until_end_of_input() {
  local workload=$1 account=$2 container pair
  shift 2
  for pair in "$@"; do
    container=${pair%%=*}
    ctr image import "$images/${pair#*=}.tar" >/dev/null
    python3 "$root/tests/manifests/kubelet.py" "$manifests" "$workload" "$container" --node="$(hostname)" \
      --volumes="$work/volumes" --archive="$images/${pair#*=}.tar" --service-account="$account" >"$work/$container.arguments"
    mapfile -t arguments <"$work/$container.arguments"
    ctr run "${arguments[@]}" </dev/null >"$work/$container.log" 2>&1 &
  done
  cat >/dev/null
  for pair in "$@"; do ctr task kill --signal KILL "${pair%%=*}" || true; done
  wait -n || true
}

if [[ ${1:-} == --on-node ]]; then
  group=$2 work=$3 images=$4 manifests=$5
  shift 5
  start_containerd "$group" "$work"
  "$@"
  exit
fi

# --- The cases.

cluster_up() {  # OVERLAY
  work=$(mktemp -d)
  # shellcheck disable=SC2064,SC2031  # now; and it is this subshell's
  trap "end_labs $LAB_NAME; remove_groups; rm -rf '$work'" EXIT
  need_containers
  cp -rL "$root/manifests" "$work/manifests"
  kubectl kustomize "$work/manifests/overlays/$1" >"$work/all.yaml" 2>/dev/null
  sed -i -E 's/^(  +PODROUTE_CLUSTER_CIDR:).*/&\n  KUBERNETES_SERVICE_HOST: 192.168.0.253\n  KUBERNETES_SERVICE_PORT: "6443"/' "$work/all.yaml"
  PODROUTE_BIN=${PODROUTE_BIN:-} bash "$root/scripts/image.sh" --prebuilt "$work/images"
  lab_up --nodes 2 --mode none
}

TheAgentsImageGivesTheNodesAPodNetwork() {
  cluster_up host
  state=/tmp/podroute-lab-$EUID-$LAB_NAME
  mkdir "$work/account"
  cp "$state/token" "$state/ca.crt" "$work/account"
  echo -n kube-system >"$work/account/namespace"
  for node in master1 worker1; do
    lab exec $node sysctl -qw net.ipv4.ip_forward=0
    mkfifo "$work/end-$node"
    lab exec $node unshare --mount bash "$(realpath "$0")" --on-node "$group" "$work/$node" "$work/images" "$work/all.yaml" \
      pod_until_end_of_input DaemonSet/podroute "$work/account" podroute=podroute <"$work/end-$node" >"$work/$node.out" 2>&1 &
    exec {end}>"$work/end-$node"
  done
  wait_for 20 lab exec master1 test -e /run/cni/net.d/10-podroute.conflist || { cat "$work"/*.out "$work"/*/podroute.log; }
  lab pod master1 a; address=$(lab pod worker1 b)
  lab exec a ping -c1 -W10 "$address"
  lab exec master1 sysctl net.ipv4.ip_forward
  cat "$work"/*.out "$work"/*/*.log
  grep -E "Cap|NoNew|Seccomp" /proc/$(pgrep -f "podroute run --sysctl" | head -1)/status
}

run_tests "$@"
