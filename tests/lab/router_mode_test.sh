#!/usr/bin/env bash
# Router mode in the lab: the nodes have a default route and nothing else, the router has the pods' routes.
# shellcheck source=tests/lab/test_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_lib.sh"
# shellcheck source=tests/lab/ping_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/ping_lib.sh"

pod_routes() { lab exec "$1" ip -4 route show | grep -oE '^10\.244\.[0-9]+\.0/24 .*via [0-9.]+' | sed -E 's/ .*via / /' | sort; }
pod_routes_are() { [[ $(pod_routes "$1") == "$2" ]]; }

all_three=$'10.244.1.0/24 192.168.0.1\n10.244.2.0/24 192.168.0.2\n10.244.3.0/24 192.168.0.3'
first_two=$'10.244.1.0/24 192.168.0.1\n10.244.2.0/24 192.168.0.2'

needs_bird() { command -v bird >/dev/null || skip "no bird (package bird2)"; }
needs_frr() {
  [[ -x /usr/lib/frr/zebra ]] || skip "no FRR (package frr)"
  ((EUID == 0)) || skip "FRR's daemons need root"
}

router_is_ready() { lab exec router curl -fsS --noproxy '*' http://127.0.0.1:9434/readyz; }

# The story that every backend has to tell.
pods_reach_each_other() {  # BACKEND
  lab_up --nodes 3 --dual-stack --mode router --backend "$1"
  local node from to
  for node in master1 worker1 worker2; do
    lab pod "$node" "pod-$node" >/dev/null
    expect_eq "pod routes on $node" "" "$(pod_routes "$node")"
  done
  expect_eq "the router's" "$all_three" "$(pod_routes router)"
  for from in master1 worker1 worker2; do
    for to in $(lab list | sed -n 's/^pod .*: //p'); do
      lab exec "pod-$from" ping -c1 -W5 "${to%/*}" >/dev/null || fail "pod-$from does not reach $to"
    done
  done

  # A node leaves and comes back under somebody else's ping, which loses nothing.
  start_ping moved pod-master1 10.244.2.2
  lab kubectl delete node worker2
  wait_for 10 pod_routes_are router "$first_two"
  lab register worker2
  wait_for 10 pod_routes_are router "$all_three"
  # So it is when the controller is killed and started again.
  lab agent router kill
  lab agent router start --leader_elect=false
  wait_for 30 router_is_ready
  end_pings
  expect_eq "the router's" "$all_three" "$(pod_routes router)"

  # Stopped, it leaves the routes; cleaned up, it takes them, and the nodes' default route stays.
  lab agent router stop
  expect_eq "the router's" "$all_three" "$(pod_routes router)"
}

PodsReachEachOtherThroughALinuxRouter() { pods_reach_each_other kernel; }
PodsReachEachOtherThroughBird() { needs_bird && pods_reach_each_other bird; }
PodsReachEachOtherThroughFrr() { needs_frr && pods_reach_each_other frr; }

# Two replicas whose writes are recorded as they begin and end. The time that wait_for has is what is promised:
# --lease_duration, and two seconds.
ALeaderThatIsKilledIsFollowedWithoutAPacketLost() {
  local scratch podroute
  local -a flags=(--backend=exec --format=ip "--read_command=ip route")
  podroute=$(cd "$(dirname "$lab_sh")/../../controller" && pwd)/podroute
  lab_up --nodes 3 --mode router --backend kernel
  lab pod master1 pod-master1 >/dev/null
  lab pod worker1 pod-worker1 >/dev/null
  lab agent router stop
  lab exec router "$podroute" cleanup --mode=router
  scratch=$(mktemp -d)
  cat >"$scratch/push" <<'PUSH'
#!/bin/sh
echo "$1 begins" >>"$0.record"
sh -e
code=$?
echo "$1 ends" >>"$0.record"
exit $code
PUSH
  chmod +x "$scratch/push"
  lab agent router start "${flags[@]}" "--push_command=$scratch/push first"
  wait_for 15 pod_routes_are router "$all_three"
  lab kubectl delete node worker2
  wait_for 15 pod_routes_are router "$first_two"
  lab exec router "$podroute" run --mode=router "--kubeconfig=$(lab kubeconfig)" --metrics_address= "${flags[@]}" \
    "--push_command=$scratch/push second" 2>"$scratch/log" &
  wait_for 15 grep -q 'stands by' "$scratch/log"

  start_ping failover pod-master1 10.244.2.2
  lab agent router kill
  lab register worker2
  wait_for 17 pod_routes_are router "$all_three"
  end_pings
  wait_for 30 grep -q 'second ends' "$scratch/push.record"
  expect_eq "writes" $'first begins first ends\nsecond begins second ends' \
    "$(paste -d' ' - - <"$scratch/push.record" | uniq)"
  rm -r "$scratch"
}

BirdThatIsKilledAndStartedAgainHasItsRoutesBack() {
  needs_bird
  lab_up --nodes 3 --mode router --backend bird
  lab router-daemon kill
  lab router-daemon start
  wait_for 10 pod_routes_are router "$all_three"
}

configured_in_frr() {
  lab exec router vtysh --vty_socket /run/frr -c 'show running-config' |
    sed -nE 's/^ip route (\S+) (\S+) tag 110$/\1 \2/p' | sort
}
frr_is_configured_with() { [[ $(configured_in_frr) == "$1" ]]; }

FrrThatIsKilledAndStartedEmptyHasItsRoutesBack() {
  needs_frr
  lab_up --nodes 3 --mode router --backend frr
  wait_for 10 frr_is_configured_with "$all_three"
  # What is in the kernel says nothing now: zebra, killed, may have had the time to take staticd's routes
  # out of it, or not.
  lab router-daemon kill
  lab router-daemon start
  wait_for 15 frr_is_configured_with "$all_three"
  wait_for 15 pod_routes_are router "$all_three"
}

run_tests "$@"
