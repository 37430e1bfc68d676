#!/usr/bin/env bash
# Pods that talk do not notice what happens to the agents and to the API server: pings every millisecond
# between two nodes, both ways and in both families, of which none is lost. And a node that joins.
# PODROUTE_FULL_PROOFS=1: the API server is down for a minute instead of ten seconds.
# shellcheck disable=SC2031  # LAB_NAME is each test case's own
# shellcheck source=test_lib.sh
source "$(dirname "$0")/test_lib.sh"
# shellcheck source=ping_lib.sh
source "$(dirname "$0")/ping_lib.sh"

state() { echo "/tmp/podroute-lab-$EUID-$LAB_NAME"; }

# Three nodes, pod `a` on master1 and `b` on worker1, which ping each other.
pods_that_talk() {
  lab_up --nodes 3 --dual-stack
  local a4 a6 b4 b6
  { read -r a4 && read -r a6; } < <(lab pod master1 a)
  { read -r b4 && read -r b6; } < <(lab pod worker1 b)
  start_ping a-b-4 a "$b4"
  start_ping a-b-6 a "$b6"
  start_ping b-a-4 b "$a4"
  start_ping b-a-6 b "$a6"
}

# A pod that starts now, on each of the two nodes, reaches the other node's.
new_pods_work() {  # SUFFIX of their names
  local -a on_master on_worker
  mapfile -t on_master < <(lab pod master1 "new-master$1")
  mapfile -t on_worker < <(lab pod worker1 "new-worker$1")
  expect_eq "addresses of new pods" "2 2" "${#on_master[@]} ${#on_worker[@]}"
  local to
  for to in "${on_worker[@]}"; do lab exec "new-master$1" ping -c1 -W5 "$to" >/dev/null || fail "no way to $to"; done
  for to in "${on_master[@]}"; do lab exec "new-worker$1" ping -c1 -W5 "$to" >/dev/null || fail "no way to $to"; done
}

is_ready() { lab exec "$1" curl -fsS --noproxy '*' http://127.0.0.1:9434/readyz; }

has_route() { [[ $(lab exec "$1" ip route show proto 110) == *"$2"* ]]; }  # MACHINE PART

# As DaemonSets do it, one after the other, and then both at once.
restart_agents() {  # stop|kill
  local node
  for node in master1 worker1; do
    lab agent "$node" "$1"
    ping_goes_on a-b-4
    lab agent "$node" start
    wait_for 30 is_ready "$node"
  done
  for node in master1 worker1; do lab agent "$node" "$1"; done
  new_pods_work 1  # no agent has to be there for that
  for node in master1 worker1; do lab agent "$node" start; done
  for node in master1 worker1; do wait_for 30 is_ready "$node"; done
  new_pods_work 2
}

# What the other cases rest on.
LostAndDoubledRepliesAreCountedAcrossTheEndOfTheirNumbers() {
  reply() { echo "64 bytes from 10.244.2.2: icmp_seq=$1 ttl=62 time=0.05 ms"; }
  for ((i = 1; i <= 65540; i++)); do
    case $i in
      3 | 4 | 65537) ;;
      70) reply 70 && echo "64 bytes from 10.244.2.2: icmp_seq=70 ttl=62 time=0.06 ms (DUP!)" ;;
      80) ;;
      81) reply 81 && reply 80 ;;
      *) reply $((i % 65536)) ;;
    esac
  done >"$case_dir/pings"
  echo -n "64 bytes from 10.244.2.2: icmp_s" >>"$case_dir/pings"  # it was just writing
  expect_eq "answered, lost, doubled" "65537 3 1" "$(judge_ping "$case_dir/pings")"
}

AgentsThatAreRestartedLoseNoPacket() {
  pods_that_talk
  restart_agents stop
  end_pings
}

AgentsThatAreKilledLoseNoPacket() {
  pods_that_talk
  restart_agents kill
  end_pings
}

# The same programs with other bytes, as another version has.
another_build() {  # DIRECTORY
  local from=${lab_sh%/*}/../..
  [[ -d $from/bazel-bin ]] && from=$from/bazel-bin
  mkdir -p "$1/controller" "$1/cni"
  cp "$from/controller/podroute" "$1/controller"
  cp "$from/cni/podroute-cni" "$1/cni"
  chmod u+w "$1"/*/*
  echo "another build" | tee -a "$1/controller/podroute" >>"$1/cni/podroute-cni"
}

has_plugin_of() { lab exec "$1" cmp -s "$2/cni/podroute-cni" /run/cni/bin/podroute-cni; }  # NODE BUILD

AnUpgradeLosesNoPacket() {
  local new=$case_dir/new node
  another_build "$new"
  pods_that_talk
  ! has_plugin_of master1 "$new" || fail "this is no other build"
  for node in master1 worker1; do
    lab agent "$node" stop
    PODROUTE_BIN=$new lab agent "$node" start
    wait_for 30 is_ready "$node"
    wait_for 30 has_plugin_of "$node" "$new"
    # By the file: in a chroot its path there is not the one here.
    [[ /proc/$(agent_pid "$node")/exe -ef $new/controller/podroute ]] || fail "$node does not run the new build"
  done
  new_pods_work 1
  # What the old plugin made the new one takes away.
  lab pod master1 passing
  lab pod-delete master1 passing
  end_pings
  lab pod-delete master1 a
  lab pod-delete worker1 b
  # And back again.
  lab agent master1 stop
  lab agent master1 start
  wait_for 30 not has_plugin_of master1 "$new"
  new_pods_work 2
}

# As this process sees it; fails when it does not run.
agent_pid() { lab agent "$1" pid >/dev/null && pgrep -f -- "podroute run .*$LAB_NAME/.*--node_name=$1" | head -n1; }

WithoutTheApiServerNoPacketIsLostAndWhatChangedMeanwhileIsCaughtUpWith() {
  local seconds=10
  [[ ${PODROUTE_FULL_PROOFS:-} != 1 ]] || seconds=60
  pods_that_talk
  lab apiserver kill
  local end=$((SECONDS + seconds))
  # Somebody else's API server serves on: worker2 goes, another node comes.
  jq '.items |= map(select(.metadata.name != "worker2")) + [(.[0] | .metadata.name = "later" | del(.metadata.uid) |
      .spec = {podCIDR: "10.244.50.0/24", podCIDRs: ["10.244.50.0/24"]} |
      .status.addresses = [{type: "InternalIP", address: "192.168.0.50"}])]' \
    "$(state)/nodes.json" >"$case_dir/nodes.json"
  cp "$case_dir/nodes.json" "$(state)/nodes.json"
  lab agent worker1 kill
  lab agent worker1 start  # and has nobody to ask
  new_pods_work 1
  lab exec master1 ip route delete 10.244.3.0/24 proto 110 metric 110
  wait_for 30 has_route master1 10.244.3.0/24
  # This long it is down, whatever happens.
  while ((SECONDS < end)); do ping_goes_on a-b-4; done
  has_route worker1 10.244.3.0/24 || fail "a route went while there was no API server"
  # Its history does not reach back: watches are told that they are too old, as after a long time.
  lab apiserver start --history=1
  local node
  for node in master1 worker1; do
    wait_for 120 has_route "$node" "10.244.50.0/24 "
    wait_for 120 not has_route "$node" "10.244.3.0/24 "
  done
  new_pods_work 2
  end_pings
}

now_us() { echo "${EPOCHREALTIME/./}"; }

condition() {  # NODE: the status and the reason of NetworkUnavailable
  lab kubectl get node "$1" -o json |
    jq -r '.status.conditions[]? | select(.type == "NetworkUnavailable") | "\(.status) \(.reason)"'
}

has_condition() { [[ $(condition "$1") == "$2"* ]]; }

# A kubelet registers its Node without a podCIDR and calls it NotReady until there is a conflist.
ANodeThatJoinsHasItsRoutesBeforeItsConflist() {
  lab_up --nodes 3 --dual-stack --mode none
  local node
  lab kubectl delete node worker2
  lab api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary \
    '{"apiVersion":"v1","kind":"Node","metadata":{"name":"worker2"},"spec":{},"status":{"addresses":[
      {"type":"InternalIP","address":"192.168.0.3"},{"type":"InternalIP","address":"fd00:192:168::3"}]}}'
  lab exec worker2 mkdir -p /run/cni/net.d
  # No `lab.sh agent`: without --mode host there it would be another mode's.
  for node in master1 worker1 worker2; do lab agent "$node" start --mode=host; done
  wait_for 30 has_route worker2 10.244.2.0/24
  wait_for 30 test -x "$(state)/machines/worker2/run/cni/bin/podroute-cni"
  wait_for 30 is_ready worker2
  ! lab exec worker2 test -e /run/cni/net.d/10-podroute.conflist || fail "a conflist without a podCIDR"

  bash "$lab_sh" --name "$LAB_NAME" exec worker2 python3 "${lab_sh%/*}/join_watch.py" \
    /run/cni/net.d/10-podroute.conflist "$(lab agent worker2 pid)" \
    bash -c 'ip -4 route show proto 110; ip -6 route show proto 110' >"$case_dir/seen" &
  local watcher=$! begun
  wait_for 30 grep -q watching "$case_dir/seen"
  begun=$(now_us)
  lab api PATCH /api/v1/nodes/worker2 -o /dev/null -H 'Content-Type: application/merge-patch+json' --data-binary \
    '{"spec":{"podCIDR":"10.244.3.0/24","podCIDRs":["10.244.3.0/24","fd00:10:244:3::/64"]}}'
  wait $watcher || fail "no conflist: $(lab logs worker2 | tail -n 3)"
  local seen
  seen=$(sed 1,2d "$case_dir/seen")
  wait_for 30 has_condition worker2 "False"
  echo "podCIDR set (curl starts) to the conflist there: $(($(sed -n 2p "$case_dir/seen") - begun)) us;" \
    "to NetworkUnavailable=$(condition worker2), as somebody sees it who asks: $(($(now_us) - begun)) us"
  local dst
  for dst in 10.244.1.0/24 10.244.2.0/24 fd00:10:244:1::/64 fd00:10:244:2::/64; do
    expect_contains "worker2's routes when the conflist came" "$dst " "$seen"
  done
  for node in master1 worker1; do wait_for 30 has_route "$node" 10.244.3.0/24; done
  lab pod worker2 joined
  lab pod master1 there
  lab exec joined ping -c1 -W5 10.244.1.2
}

run_tests "$@"
