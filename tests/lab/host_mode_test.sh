#!/usr/bin/env bash
# Host mode in a cluster: the real agents, API server and plugin, as an operator would meet them.
# shellcheck source=test_lib.sh
source "$(dirname "$0")/test_lib.sh"
# shellcheck source=ping_lib.sh
source "$(dirname "$0")/ping_lib.sh"

# MACHINE: our routes there, one a line, as "destination gateway".
routes() { lab exec "$1" ip -j "${2:--4}" route show proto 110 | jq -r '.[] | "\(.dst) \(.gateway)"' | sort; }

has_route() { routes "$1" "${3:--4}" | grep -qF -- "$2"; }  # MACHINE PART [-6]

routes_are() { [[ $(routes "$1") == "$2" ]]; }  # MACHINE EXPECTED

node() {  # NAME POD_CIDR ADDRESS: a Node as `kubectl create -f -` takes it
  jq -n --arg name "$1" --arg cidr "$2" --arg address "$3" '
    {apiVersion: "v1", kind: "Node", metadata: {name: $name}, spec: {podCIDR: $cidr, podCIDRs: [$cidr]},
     status: {addresses: [{type: "InternalIP", address: $address}]}}'
}

create() { node "$@" | lab api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary @-; }

# As Kubernetes counts: whole seconds. What is created after this is younger than what was before.
next_second() {
  local now
  now=$(date +%s)
  while [[ $(date +%s) == "$now" ]]; do sleep 0.05; done
}

EveryNodeHasOneRouteToEachOtherNode() {
  lab_up --nodes 3 --dual-stack
  expect_eq master1 $'10.244.2.0/24 192.168.0.2\n10.244.3.0/24 192.168.0.3' "$(routes master1)"
  expect_eq worker1 $'10.244.1.0/24 192.168.0.1\n10.244.3.0/24 192.168.0.3' "$(routes worker1)"
  expect_eq "worker2, IPv6" $'fd00:10:244:1::/64 fd00:192:168::1\nfd00:10:244:2::/64 fd00:192:168::2' \
    "$(routes worker2 -6)"
  expect_eq "the router" "" "$(routes router)"
}

PodsReachEachOtherAcrossNodesInBothFamilies() {
  lab_up --nodes 3 --dual-stack
  local node from to
  for node in master1 worker1 worker2; do
    lab pod "$node" "pod-$node"
  done
  for from in master1 worker1 worker2; do
    for to in $(lab list | sed -n 's/^pod .*: //p'); do
      lab exec "pod-$from" ping -c1 -W5 "${to%/*}" >/dev/null || fail "pod-$from does not reach $to"
    done
  done
}

pings() { lab exec "$1" ping -c1 -W"$3" "$2" >/dev/null; }  # FROM TO SECONDS

# The router knows nodes and no pods.
PodsReachWhatIsOutsideWithTheirNodesAddress() {
  lab_up --nodes 2 --dual-stack
  lab pod master1 inside >/dev/null
  local address
  for address in 192.168.0.254 fd00:192:168::fe; do
    pings inside "$address" 5 || fail "no answer from $address"
  done
  lab exec master1 nft flush ruleset
  for address in 192.168.0.254 fd00:192:168::fe; do
    wait_for 10 pings inside "$address" 1
  done
  lab agent master1 stop
  lab exec master1 nft delete table inet podroute
  ! pings inside 192.168.0.254 1 || fail "the router knows the pods"
  lab agent master1 start
  wait_for 10 pings inside 192.168.0.254 1
}

fetch() { lab exec "$1" curl -gsS --noproxy '*' --max-time 5 "$2"; }  # FROM URL

PodsFetchFromEachOtherByPodAddressAndByHostPort() {
  lab_up --nodes 3 --dual-stack
  lab pod master1 client
  lab pod worker1 neighbour
  local pod4 pod6
  { read -r pod4 && read -r pod6; } < <(lab pod worker1 server 8080:80)
  # shellcheck disable=SC2031  # every case has a name of its own
  bash "$lab_sh" --name "$LAB_NAME" exec server python3 "${lab_sh%/*}/web_server.py" 80 "hello from server" &
  disown
  local url from
  wait_for 10 fetch client "http://$pod4/"
  # Of another node, of the same one, of the server itself; by its address, and by both of its node's.
  for url in "$pod4" "[$pod6]" 192.168.0.2:8080 "[fd00:192:168::2]:8080"; do
    for from in client neighbour server master1 worker2; do
      expect_eq "$from at $url" "hello from server" "$(fetch "$from" "http://$url/")"
    done
  done
  expect_eq "localhost" "hello from server" "$(fetch worker1 http://127.0.0.1:8080/)"
  lab pod-delete worker1 server
  ! fetch client http://192.168.0.2:8080/ 2>/dev/null || fail "the port is still mapped"
}

ANewNodeIsReachedByAllAndADeletedOneByNone() {
  lab_up --nodes 3
  lab kubectl delete node worker2
  wait_for 10 routes_are master1 "10.244.2.0/24 192.168.0.2"
  wait_for 10 routes_are worker1 "10.244.1.0/24 192.168.0.1"
  lab register worker2
  wait_for 10 has_route master1 "10.244.3.0/24 192.168.0.3"
  wait_for 10 has_route worker1 "10.244.3.0/24 192.168.0.3"
}

ANodeThatChangesItsInternalIpUnderAPingEveryMillisecondLosesNothing() {
  lab_up --nodes 2
  local to
  lab pod master1 from
  to=$(lab pod worker1 to)
  start_ping moved from "$to"
  lab readdress worker1 192.168.0.102
  wait_for 10 has_route master1 "10.244.2.0/24 192.168.0.102"
  ping_goes_on moved
  # And back again, to an address that the neighbour table knows already.
  lab readdress worker1 192.168.0.2
  wait_for 10 has_route master1 "10.244.2.0/24 192.168.0.2"
  end_pings
}

ARouteThatSomebodyDeletesComesBack() {
  lab_up --nodes 3
  lab exec master1 ip route delete 10.244.3.0/24 proto 110 metric 110
  wait_for 10 has_route master1 "10.244.3.0/24 192.168.0.3"
}

RoutesComeBackAfterTheLinkWasDown() {
  lab_up --nodes 3
  lab exec master1 ip link set eth0 down
  wait_for 10 routes_are master1 ""
  lab exec master1 ip link set eth0 up
  wait_for 10 routes_are master1 $'10.244.2.0/24 192.168.0.2\n10.244.3.0/24 192.168.0.3'
}

NodesDeletedWhileTheAgentWasDownLoseTheirRoutesAndNobodyElseDoes() {
  lab_up --nodes 4
  lab agent master1 stop
  # Somebody else's: another protocol, with and without our metric, a destination of ours and of nobody.
  lab exec master1 ip route add 10.244.3.0/24 via 192.168.0.4 proto static metric 50
  lab exec master1 ip route add 10.244.77.0/24 via 192.168.0.4 proto bird metric 110
  lab exec master1 ip route add 10.99.0.0/16 via 192.168.0.4
  foreign() { all_routes master1 | grep -v 'proto 110'; }
  local before
  before=$(foreign)
  lab kubectl delete node worker2
  wait_for 10 not has_route worker1 10.244.3.0/24
  has_route master1 "10.244.3.0/24 192.168.0.3" || fail "a route went while no agent ran"
  lab agent master1 start
  wait_for 10 routes_are master1 $'10.244.2.0/24 192.168.0.2\n10.244.4.0/24 192.168.0.4'
  expect_eq "foreign routes" "$before" "$(foreign)"
}

SigtermEndsTheAgentAndLeavesItsRoutes() {
  lab_up --nodes 3
  local before
  before=$(routes master1)
  lab monitor master1 start
  lab agent master1 stop
  expect_eq routes "$before" "$(routes master1)"
  lab agent master1 start
  create probe 10.244.50.0/24 192.168.0.50
  wait_for 10 has_route master1 "10.244.50.0/24 192.168.0.50"
  # The new agent has taken the old one's routes over as they were.
  expect_eq "changes to the old routes" "" "$(lab monitor master1 stop | grep -E '10\.244\.[123]\.' || true)"
}

WithoutTheApiServerRoutesStayAndItRecovers() {
  lab_up --nodes 3
  local before
  before=$(routes master1)
  lab monitor master1 start
  lab apiserver kill
  lab exec master1 ip route delete 10.244.3.0/24 proto 110 metric 110
  wait_for 10 has_route master1 "10.244.3.0/24 192.168.0.3"  # the agent still does its work
  expect_eq routes "$before" "$(routes master1)"
  lab apiserver start
  create later 10.244.50.0/24 192.168.0.50
  wait_for 60 has_route master1 "10.244.50.0/24 192.168.0.50"
  expect_eq "deletions" 1 "$(lab monitor master1 stop | grep -c 'Deleted 10\.244\.')"
}

TheOlderOfTwoNodesKeepsAPodCidrAndTheSurvivorTakesItOver() {
  lab_up --nodes 3
  next_second
  create younger 10.244.3.0/24 192.168.0.50
  create witness 10.244.60.0/24 192.168.0.60
  wait_for 10 has_route master1 "10.244.60.0/24"
  has_route master1 "10.244.3.0/24 192.168.0.3" || fail "the older node lost its podCIDR"
  expect_contains "the plan" OverlapsNode \
    "$(lab exec master1 podroute plan --output=json | jq -c '.refused[] | select(.node == "younger") | .reason')"
  lab kubectl delete node worker2
  wait_for 10 has_route master1 "10.244.3.0/24 192.168.0.50"
  next_second
  lab register worker2
  lab kubectl delete node witness
  wait_for 10 not has_route master1 "10.244.60.0/24"
  has_route master1 "10.244.3.0/24 192.168.0.50" || fail "the newcomer took it back"
}

HostileNodesAreRefusedAndTheOthersServed() {
  lab_up --nodes 2
  local before
  before=$(all_routes master1 | grep -v 'proto 110')
  create hostile-default 0.0.0.0/0 192.168.0.50
  create hostile-lan 192.168.0.0/24 192.168.0.50
  create hostile-apiserver 192.168.0.253/32 192.168.0.50
  create hostile-wide 8.0.0.0/6 192.168.0.50
  create hostile-loopback 127.0.0.0/8 192.168.0.50
  create hostile-hop 10.244.70.0/24 203.0.113.9
  create good 10.244.60.0/24 192.168.0.60
  wait_for 10 has_route master1 "10.244.60.0/24 192.168.0.60"
  expect_eq "our routes" $'10.244.2.0/24 192.168.0.2\n10.244.60.0/24 192.168.0.60' "$(routes master1)"
  expect_eq "all others" "$before" "$(all_routes master1 | grep -v 'proto 110')"
  expect_eq "refused" 6 "$(lab exec master1 podroute plan --output=json | jq '[.refused[] | select(.reason | length > 0)] | length')"
}

PlanSaysThatThereIsNothingToDoWhenTheAgentHasDoneIt() {
  lab_up --nodes 3
  lab exec master1 podroute plan --detailed_exitcode --output=json >/dev/null
  expect_eq actions '["keep","keep"]' "$(lab exec master1 podroute plan --output=json | jq -c '[.routes[].action]')"
  lab agent master1 stop
  lab kubectl delete node worker2
  local code=0
  lab exec master1 podroute plan --detailed_exitcode >/dev/null || code=$?
  expect_eq "exit code with something to do" 2 "$code"
}

CleanupRemovesWhatIsOursAndNothingElse() {
  lab_up --nodes 3
  lab pod master1 pod >/dev/null
  lab exec master1 ip route add 10.99.0.0/16 via 192.168.0.3 metric 110
  local all before code=0 output
  # The agent would put it back, and another container sees that it runs.
  all=$(all_routes master1)
  output=$(lab exec master1 unshare --mount --pid --fork podroute cleanup 2>&1) || code=$?
  expect_eq "exit code beside an agent" 1 "$code"
  expect_contains "what it says" "stop it first" "$output"
  expect_eq "all routes beside an agent" "$all" "$(all_routes master1)"
  # While a pod is attached what its deletion needs stays.
  lab agent master1 stop
  code=0
  output=$(lab exec master1 podroute cleanup 2>&1) || code=$?
  expect_eq "exit code with a pod" 1 "$code"
  expect_contains "what it says" "left cni0 and the plugin: 1 pod is attached still" "$output"
  lab pod-delete master1 pod
  before=$(all_routes master1 | grep -v 'dev cni0')
  lab exec master1 podroute cleanup
  expect_eq "all routes" "$before" "$(all_routes master1)"
  expect_eq "nexthop objects" "" "$(lab exec master1 ip nexthop show)"
  expect_eq "files" "" "$(lab exec master1 find /run/cni /run/cni-ipam-state ! -type d 2>/dev/null)"
  expect_eq "a second time" "nothing of podroute's is left here" "$(lab exec master1 podroute cleanup)"
}

run_tests "$@"
