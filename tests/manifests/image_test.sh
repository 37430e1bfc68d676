#!/usr/bin/env bash
# The images, run on the lab's nodes by containerd and runc with what the manifests say: commands,
# environment, volumes, security context and, through the API server, RBAC rules.
#
# PODROUTE_IMAGES=DIR: the archives that scripts/image.sh has written there, instead of images of what is
# built and installed here.
# shellcheck source=../lab/test_lib.sh
source "$(dirname "$0")/../lab/test_lib.sh"
# shellcheck source=../lab/containerd_lib.sh
source "$(dirname "$0")/../lab/containerd_lib.sh"
# shellcheck source=manifests_lib.sh
source "$(dirname "$0")/manifests_lib.sh"

# --- What runs on a node: image_test.sh --on-node GROUP DIR WORKLOAD...

run_pods() {  # GROUP DIR WORKLOAD...: until the lab ends
  local dir=$2 places place workload archive
  start_containerd "$1" "$dir/$(hostname)"
  for archive in "$dir"/images/*.tar; do ctr image import "$archive" >/dev/null; done
  for workload in "${@:3}"; do
    places=$("$python" "$root/tests/manifests/kubelet.py" "$dir/all.yaml" "$workload" --node="$(hostname)" \
      --images="$dir/images" --accounts="$dir/accounts" --output="$dir/$(hostname)/pods")
    for place in $places; do
      mapfile -t arguments <"$place/arguments"
      ctr run --detach --log-uri "file://$place/log" --pid-file "$place/pid" "${arguments[@]}" </dev/null
    done
  done
  sleep infinity
}

if [[ ${1:-} == --on-node ]]; then
  run_pods "${@:2}"
  exit
fi

# --- The cases.

prepare_images() {
  ((EUID == 0)) || skip "building images needs root"
  mkdir "$case_dir/images"
  if [[ -n ${PODROUTE_IMAGES:-} ]]; then
    cp "$PODROUTE_IMAGES"/*.tar "$case_dir/images"
  else
    command -v buildah >/dev/null || skip "there is no buildah: apt-get install buildah"
    bash "$root/scripts/image.sh" --prebuilt "$case_dir/images" >"$case_dir/log" || fail "$(<"$case_dir/log")"
  fi
}

# Nodes without an agent, an API server that holds service accounts to the overlay's rules, and the
# pods of the overlay's workloads on each node.
cluster_up() {  # OVERLAY
  local account
  # shellcheck disable=SC2064,SC2031  # now; and it is this subshell's
  trap "show_logs \$?; end_labs $LAB_NAME; remove_groups" EXIT
  need_containers
  need_kubectl
  prepare_images
  kustomize "overlays/$1" >"$case_dir/all.yaml"
  to_list <"$case_dir/all.yaml" >"$case_dir/rbac.json"
  # What an operator would edit: there is no kube-proxy here.
  sed -i -E 's/^  PODROUTE_CLUSTER_CIDR:.*/&\n  KUBERNETES_SERVICE_HOST: 192.168.0.253\n  KUBERNETES_SERVICE_PORT: "6443"/' \
    "$case_dir/all.yaml"
  lab_up --nodes 2 --mode none
  state=$(dirname "$(lab kubeconfig)")
  for account in podroute podroute-router; do
    mkdir -p "$case_dir/accounts/$account"
    cp "$state/ca.crt" "$case_dir/accounts/$account/ca.crt"
    echo -n "token-of-$account" >"$case_dir/accounts/$account/token"
    echo -n kube-system >"$case_dir/accounts/$account/namespace"
    echo "token-of-$account,system:serviceaccount:kube-system:$account" >>"$case_dir/tokens"
  done
  lab apiserver stop
  lab apiserver start "--rbac_file=$case_dir/rbac.json" "--token_file=$case_dir/tokens"
}

run_on_nodes() {  # WORKLOAD...
  local node
  for node in master1 worker1; do
    # What a node may be like before: the agent, which may write it, has to turn it on.
    lab exec "$node" sysctl -qw net.ipv4.ip_forward=0
    lab exec "$node" unshare --mount bash "$(realpath "$0")" --on-node "$group" "$case_dir" "$@" \
      >"$case_dir/$node.log" 2>&1 &
    disown
  done
  for node in master1 worker1; do
    installed() { lab exec "$node" test -e /run/cni/net.d/10-podroute.conflist; }
    wait_for 30 installed
  done
}

show_logs() {  # EXIT_CODE of the case
  [[ $1 != @(0|77) ]] || return 0
  tail -n 20 "$case_dir"/*.log "$case_dir"/*/pods/*/log 2>/dev/null || true
  lab exec router birdc -s /run/router.ctl show protocols 2>/dev/null || true
}

# Of a container's first process, whose number is the one that the lab's own /proc knows it by.
process_status() {  # NODE CONTAINER FIELD
  # shellcheck disable=SC2016  # awk's own variables
  lab exec "$1" awk -v "field=$3:" '$1 == field { print $2 }' "/proc/$(<"$case_dir/$1/pods/$2/pid")/status"
}

# CAPABILITIES as /proc has them: bit 10 is NET_BIND_SERVICE, 12 NET_ADMIN, 13 NET_RAW, 21 SYS_ADMIN.
expect_confined() {  # CONTAINER CAPABILITIES
  local field
  for field in CapPrm CapBnd; do
    expect_eq "$field of $1" "$2" "$(process_status master1 "$1" "$field")"
  done
  expect_eq "no_new_privs of $1" 1 "$(process_status master1 "$1" NoNewPrivs)"
  expect_eq "a seccomp filter of $1" 2 "$(process_status master1 "$1" Seccomp)"
}

expect_probes_to_succeed() {
  local place container url
  for place in "$case_dir"/master1/pods/*/command; do
    place=${place%/command}
    container=$(basename "$place")
    mapfile -t command <"$place/command"
    if ((${#command[@]} > 0)); then
      in_container master1 "$container" "${command[@]}" >"$place/answer" 2>&1 || fail "$container: $(<"$place/answer")"
    fi
    while read -r url; do
      answers() { lab exec master1 curl -sSf --noproxy '*' "$url"; }
      wait_for 30 answers
    done <"$place/urls"
  done
}

in_container() {  # NODE CONTAINER CMD...
  lab exec "$1" ctr --address "$case_dir/$1/containerd.sock" --namespace "$group" task exec --exec-id probe "${@:2}" </dev/null
}

pods_reach_each_other() {
  local address
  lab pod master1 here >/dev/null
  address=$(lab pod worker1 there)
  reaches() { lab exec here ping -c1 -W1 "$address"; }
  wait_for 30 reaches
}

# On a copy of /etc, which buildah would put its lock into: that directory is a node's.
BuildingThemLeavesNothingInEtcCni() {
  ((EUID == 0)) || skip "building images needs root"
  command -v buildah >/dev/null || skip "there is no buildah: apt-get install buildah"
  cp -a /etc "$case_dir/etc"
  rm -rf "$case_dir/etc/cni"
  # shellcheck disable=SC2016  # for the inner shell
  unshare --mount bash -c 'mount --bind "$1/etc" /etc && bash "$2/scripts/image.sh" --prebuilt "$1/images"' \
    build "$case_dir" "$root" >"$case_dir/log" 2>&1 || fail "$(<"$case_dir/log")"
  [[ ! -e $case_dir/etc/cni ]] || fail "left: $(find "$case_dir/etc/cni")"
}

ImagesAreSmallAndHaveNoShell() {
  need_kubectl
  prepare_images
  local archive manifest layer files bytes sanitized
  for archive in "$case_dir"/images/*.tar; do
    mkdir "$case_dir/image"
    tar -C "$case_dir/image" -xf "$archive"
    manifest=$(jq -r '.manifests[0].digest' "$case_dir/image/index.json")
    bytes=0 sanitized=false
    while read -r layer; do
      layer=$case_dir/image/blobs/${layer/://}
      bytes=$((bytes + $(gzip -dc "$layer" | wc -c)))
      files=$(tar -tzf "$layer")
      expect_eq "shells in $archive" "" "$(grep -E '(^|/)(sh|bash|dash|busybox)$' <<<"$files" || true)"
      [[ $files != *lib[at]san.so* ]] || sanitized=true
    done < <(jq -r '.layers[].digest' "$case_dir/image/blobs/${manifest/://}")
    echo "$(basename "$archive"): $((bytes / 1000000)) MB"
    # With a sanitizer everything is larger.
    $sanitized || ((bytes < 60 * 1000 * 1000)) || fail "$archive: $bytes bytes, and 60 MB are allowed"
    rm -rf "$case_dir/image"
  done
}

TheAgentGivesTheNodesAPodNetwork() {
  cluster_up host
  run_on_nodes DaemonSet/podroute
  expect_confined agent-podroute 0000000000001000
  expect_eq "forwarding" 1 "$(lab exec master1 sysctl -n net.ipv4.ip_forward)"
  expect_eq "routes" "10.244.2.0/24 via 192.168.0.2" \
    "$(lab exec master1 ip route show proto 110 | grep -oE '^10\S+|via \S+' | paste -sd' ')"
  pods_reach_each_other
  expect_probes_to_succeed
  the_agents_pod_examines_its_node
  expect_eq "refused by the API server" "[]" "$(lab api GET /_test/rbac | jq -c .denied)"
}

# With what is in the image, and with the pod's capabilities and volumes.
the_agents_pod_examines_its_node() {
  # As systemd sets it. Without it a container that has not NET_RAW cannot send ICMP echo requests.
  lab exec master1 sysctl -qw net.ipv4.ping_group_range="0 2147483647"
  examine() { in_container master1 agent-podroute /usr/bin/podroute check --output=json; }
  wait_for 30 examine
  expect_eq "findings" "[]" "$(examine | jq -c .findings)"
  # The node's /run and /etc are no part of the pod.
  expect_eq "not looked at" '["systemd-networkd"]' "$(examine | jq -c '[.skipped[].what]')"
  lab exec master1 nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; }; }'
  expect_eq "findings" '["ForwardPolicyDrop"]' "$(examine | jq -c '[.findings[].id]')"
  lab exec master1 nft delete table inet t
}

# Why the host's /proc/sys/net is mounted, and --sysctl_dir given.
AContainersOwnKernelSettingsAreReadOnly() {
  cluster_up host
  sed -i '/--sysctl_dir=/d' "$case_dir/all.yaml"
  run_on_nodes DaemonSet/podroute
  wait_for 10 grep -F 'run: sysctl -w net.ipv4.ip_forward=1 error="set /proc/sys/net/ipv4/ip_forward to 1: Read-only file system"' \
    "$case_dir/master1/pods/agent-podroute/log"
  expect_eq "forwarding" 0 "$(lab exec master1 sysctl -n net.ipv4.ip_forward)"
}

# The nodes' router of the overlays: it takes what its two neighbours tell it, and forwards.
start_router() {
  cat >"$case_dir/router.conf" <<'CONF'
router id 192.168.0.254;
protocol device {}
protocol direct { ipv4; interface "eth0"; }
protocol kernel { ipv4 { export all; }; }
template bgp replica { local 192.168.0.254 as 64512; passive; error wait time 1, 2; ipv4 { import all; export none; }; }
protocol bgp master1 from replica { neighbor 192.168.0.1 as 64512; }
protocol bgp worker1 from replica { neighbor 192.168.0.2 as 64512; }
CONF
  lab exec router bird -f -c "$case_dir/router.conf" -s /run/router.ctl -P /run/router.pid >"$case_dir/router.log" 2>&1 &
  disown
}

# What the router has from one replica. Next hop included: "10.244.1.0/24 192.168.0.1".
told_by() {
  lab exec router birdc -s /run/router.ctl show route protocol "$1" |
    awk '/^10\./ { prefix = $1 } $1 == "via" { print prefix, $2 }' | sort
}
everything_told_by() { [[ $(told_by "$1") == $'10.244.1.0/24 192.168.0.1\n10.244.2.0/24 192.168.0.2' ]]; }

behind_a_router() {  # OVERLAY
  command -v bird >/dev/null || skip "no bird (package bird2)"
  cluster_up "$1"
  start_router
  run_on_nodes DaemonSet/podroute Deployment/podroute-router
  pods_reach_each_other
  for node in master1 worker1; do
    wait_for 30 everything_told_by $node
  done
  expect_confined agent-podroute 0000000000001000
  expect_confined router-podroute 0000000000000000
  expect_probes_to_succeed
  expect_eq "refused by the API server" "[]" "$(lab api GET /_test/rbac | jq -c .denied)"
}

BehindARouterTheReplicasTellItAllByBird() {
  behind_a_router router-bird
  expect_confined router-bird 0000000000000400
}

BehindARouterTheReplicasTellItAllByFrr() {
  [[ -x /usr/lib/frr/zebra ]] || skip "no FRR (package frr)"
  behind_a_router router-frr
  expect_confined router-staticd 0000000000000000
  expect_confined router-zebra 0000000000203000
  expect_confined router-bgpd 0000000000203400
}

run_tests "$@"
