#!/usr/bin/env bash
# The lab itself: it comes, it is what it says, and it goes without a trace.
# shellcheck disable=SC2031  # LAB_NAME is each test case's own
# shellcheck source=test_lib.sh
source "$(dirname "$0")/test_lib.sh"

state() { echo "/tmp/podroute-lab-$EUID-$LAB_NAME"; }

# The processes outside the test that have anything to do with this lab.
left_behind() {
  local file
  [[ ! -e $(state) ]] || { state; return; }
  for file in /proc/[0-9]*/cmdline; do
    tr '\0' ' ' 2>/dev/null <"$file" | grep -F -- "podroute-lab-$EUID-$LAB_NAME" || true
  done
}

# What must stay as it is in the machine's own namespaces. What routers advertise has an age.
machine_view() {
  ip -o link | cut -d: -f2
  ip route show table all | sed -E 's/ expires [0-9]+sec//; s/ (linkdown|dead)\b//g'
  ip netns list
  grep -c podroute-lab /proc/mounts || true
}

NodesReachEachOtherAndTheRouter() {
  lab_up --mode none --nodes 4 --dual-stack
  local to
  for to in 192.168.0.1 192.168.0.3 192.168.0.4 192.168.0.253 192.168.0.254 fd00:192:168::4 fd00:192:168::fe; do
    lab exec worker1 ping -c1 -W5 "$to"
  done
  expect_eq "the host name" worker1 "$(lab exec worker1 hostname)"
  expect_contains "the default route" "via 192.168.0.254" "$(lab exec worker3 ip route show default)"
}

EveryNodeIsRegisteredWithItsAddressAndPodCidr() {
  lab_up --mode none --nodes 3
  local nodes
  nodes=$(lab kubectl get nodes -o json |
    jq -c '[.items[] | [.metadata.name, .spec.podCIDR, (.status.addresses[] | select(.type == "InternalIP").address)]]')
  expect_eq nodes '[["master1","10.244.1.0/24","192.168.0.1"],["worker1","10.244.2.0/24","192.168.0.2"],["worker2","10.244.3.0/24","192.168.0.3"]]' "$nodes"
  expect_contains kubectl "worker2" "$(lab kubectl get nodes)"
}

ReaddressGivesTheNodeAndItsObjectTheNewAddress() {
  lab_up --mode none --nodes 2
  lab readdress worker1 192.168.0.77
  lab exec master1 ping -c1 -W5 192.168.0.77
  expect_eq "InternalIP" 192.168.0.77 \
    "$(lab kubectl get node worker1 -o json | jq -r '.status.addresses[] | select(.type == "InternalIP").address')"
}

TheMachinesOwnNetworkNeverChanges() {
  local before
  before=$(machine_view)
  lab_up --mode none --nodes 3
  expect_eq "with a lab" "$before" "$(machine_view)"
  lab down
  expect_eq "after it" "$before" "$(machine_view)"
}

DownLeavesNothing() {
  lab_up --mode none --nodes 2
  [[ -n $(left_behind) ]] || fail "this test sees no processes of a lab"
  lab down
  expect_eq "left behind" "" "$(left_behind)"
  lab down  # and is content with nothing
}

TwoLabsDoNotSeeEachOther() {
  lab_up --mode none --nodes 2
  local second=$LAB_NAME-b
  LAB_NAME=$second lab_up --mode none --nodes 2
  LAB_NAME=$second lab kubectl delete node worker1
  expect_contains "the first lab's nodes" worker1 "$(lab kubectl get nodes)"
  LAB_NAME=$second lab exec worker1 ip link set eth0 down
  lab exec master1 ping -c1 -W5 192.168.0.2
  LAB_NAME=$second lab down
  lab exec master1 ping -c1 -W5 192.168.0.2
}

ASecondUpOfTheSameNameIsRefused() {
  lab_up --mode none --nodes 1
  local message
  message=$(lab up --mode none 2>&1) && fail "it came up twice"
  expect_contains "the message" "is up already" "$message"
  lab exec master1 true
}

DownEndsALabThatWasKilledWhileItCameUp() {
  local delay_ms
  for delay_ms in 0 5 10 20 40 80 160 320; do
    bash "$lab_sh" --name "$LAB_NAME" up --mode none --nodes 3 &
    local pid=$!
    # Not waiting for anything: somewhere in the middle is what is wanted.
    sleep "$(printf '0.%03d' $delay_ms)"
    kill -KILL $pid 2>/dev/null || true
    wait $pid || true
    lab down
    expect_eq "left behind after $delay_ms ms" "" "$(left_behind)"
  done
}

DownEndsALabWhoseFirstProcessWasKilled() {
  lab_up --mode none --nodes 2
  kill -KILL "$(cut -d' ' -f1 "$(state)/holder")"
  lab down
  expect_eq "left behind" "" "$(left_behind)"
}

UpReplacesWhatADeadLabLeft() {
  lab_up --mode none --nodes 2
  kill -KILL "$(cut -d' ' -f1 "$(state)/holder")"
  lab_up_again() { lab up --mode none --nodes 1; }
  wait_for 10 lab_up_again
  expect_eq nodes "node master1: 192.168.0.1/24" "$(lab list)"
}

TheLabEndsWithTheProcessItWasMadeFor() {
  sleep infinity &
  local owner=$!
  lab up --mode none --nodes 1 --until-exit-of $owner
  kill -KILL $owner
  wait_for 10 test ! -e "$(state)"
  nothing_left() { [[ -z $(left_behind) ]]; }
  wait_for 10 nothing_left
}

AKilledExecTakesItsCommandWithIt() {
  lab_up --mode none --nodes 1
  bash "$lab_sh" --name "$LAB_NAME" exec master1 sleep 4711 &
  local pid=$!
  running() { lab exec master1 pgrep -f '^sleep 4711$'; }
  wait_for 10 running
  kill $pid
  wait_for 10 not running
}

WithoutNamespacesUpSaysWhatWouldHelp() {
  local message
  unshare --user --map-root-user true || skip "no user namespaces to play a container in"
  # As root in a container that has neither the capability nor user namespaces.
  # shellcheck disable=SC2016  # for the inner shell
  message=$(unshare --user --map-root-user bash -c '
    echo 0 >/proc/sys/user/max_user_namespaces
    exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin bash "$1" --name "$2" up --mode none' \
    inner "$lab_sh" "$LAB_NAME" 2>&1) && fail "it came up"
  expect_contains "the message" "this container may not make namespaces" "$message"
  expect_contains "the message" "start it with --privileged" "$message"
  expect_eq "lines" 1 "$(wc -l <<<"$message")"
}

BadArgumentsWithinALabGetOneClearLine() {
  lab_up --mode none --nodes 2
  one_clear_line <<'TABLE'
agent nope start|no node is named 'nope'; there are master1 worker1
pod nope x|no node is named 'nope'; there are master1 worker1
readdress nope 1.1.1.1|no node is named 'nope'; there are master1 worker1
register nope|no node is named 'nope'; there are master1 worker1
register|usage: lab.sh register NODE
agent|usage: lab.sh agent MACHINE
agent master1|usage: lab.sh agent MACHINE
agent master1 jump|usage: lab.sh agent MACHINE
apiserver|usage: lab.sh apiserver start
monitor|usage: lab.sh monitor MACHINE
monitor nope start|there is no machine 'nope'
pod|usage: lab.sh pod NODE NAME
pod-delete|usage: lab.sh pod-delete NODE NAME
pod-delete master1 nope|there is no pod 'nope' on 'master1'
readdress master1|usage: lab.sh readdress NODE ADDRESS
api|usage: lab.sh api METHOD PATH
api GET|usage: lab.sh api METHOD PATH
exec|usage: lab.sh exec MACHINE
exec nope true|there is no machine 'nope'
logs nope|there is no log of 'nope'
TABLE
}

AnApiServerStoppedTwiceStillHasItsNodes() {
  lab_up --mode none --nodes 2
  lab apiserver stop
  lab apiserver stop
  lab apiserver kill
  lab apiserver start
  expect_contains "the nodes" worker1 "$(lab kubectl get nodes)"
}

one_clear_line() {  # for each "arguments|part of the message" on standard input
  local line arguments expected
  while IFS='|' read -r arguments expected; do
    # shellcheck disable=SC2086  # words
    line=$(lab $arguments </dev/null 2>&1 >/dev/null) && fail "accepted: $arguments"
    expect_contains "'$arguments'" "$expected" "$line"
    expect_eq "'$arguments': lines" 1 "$(wc -l <<<"$line")"
  done
}

BadArgumentsGetOneClearLine() {
  one_clear_line <<'TABLE'
up --nodes 0|--nodes is '0'; it can be 1 to 250
up --nodes many|--nodes is 'many'
up --mode bridge|--mode is 'bridge'; it can be host, router or none
up --backend|no value
up --frobnicate|unknown argument '--frobnicate'
up --until-exit-of abc|--until-exit-of is 'abc'; it can be the pid of a process that runs
up --until-exit-of 4194305|--until-exit-of is '4194305'
logs|usage: lab.sh logs MACHINE
exec master1 true|is not up
TABLE
  local line
  line=$(LAB_NAME=../../etc lab up 2>&1) && fail "a lab's name is no path"
  expect_contains "the message" "is no name for a lab" "$line"
}

run_tests "$@"
