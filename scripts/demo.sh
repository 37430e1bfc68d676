#!/usr/bin/env bash
# A three-node cluster on this machine, and what podroute does in it; about a minute once it is built.
# Usage: scripts/demo.sh
#
# Everything happens in namespaces of its own and is gone at the end, also after Ctrl-C. It checks what
# it claims: the exit code is 0 only if all of it was so. As root, or as anybody where unprivileged user
# namespaces are allowed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

export LAB_NAME=demo-$$
lab() { bash tests/lab/lab.sh "$@"; }
pings=$(mktemp)
trap 'rm -f "$pings"; lab down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/setup.sh

# --- What the demo is told with.

heading() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[[ -t 1 ]] || heading() { printf '\n== %s\n' "$*"; }

run() {  # shows a command of the lab as one would type it, and runs it
  echo "\$ lab.sh $*"
  lab "$@"
}

broken() {
  echo "  NOT SO: $*" >&2
  exit 1
}

check() {  # WHAT CMD...: that CMD succeeds, within ten seconds
  local what=$1 deadline=$((SECONDS + 10))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || broken "$what"
    sleep 0.01
  done
  echo "  ok: $what"
}

not() { ! "$@"; }
has_route() { lab exec "$1" ip route show proto 110 | grep -qF -- "$2"; }  # MACHINE PART
nodes=(master1 worker1 worker2)

now_us() { echo "${EPOCHREALTIME/./}"; }

# The time in microseconds of the last line that matches PATTERN in what `monitor stop` printed.
seen_us() {
  local stamp
  stamp=$(grep -E -- "$1" <<<"$changes" | tail -n1 | grep -oE '^\[[^]]+\]' | tr -d '[]')
  [[ -n $stamp ]] || broken "the routing table never showed: $1"
  echo $(($(date -d "${stamp%.*}" +%s) * 1000000 + 10#${stamp#*.}))
}

timings=()
timing() {  # WHAT FROM_US TO_US
  timings+=("$(printf '  %-66s %8.1f ms' "$1" "$(awk "BEGIN { print ($3 - $2) / 1000 }")")")
}

show_changes() {
  changes=$(lab monitor "$1" stop | grep "proto 110")
  echo "  what the kernel on $1 saw:"
  sed -E 's/^\[[^T]*T([^]]+)\]/\1 /; s/^/    /; s/[ \t]+$//' <<<"$changes"
}

# --- The story.

heading "Three nodes, each with a pod network of its own"
before=$(now_us)
run up --nodes 3 --until-exit-of $$
timing "cluster of three from nothing to all routes, API server and agents" "$before" "$(now_us)"
run kubectl get nodes -o custom-columns=NAME:.metadata.name,ADDRESS:.status.addresses[0].address,PODS:.spec.podCIDR

heading "podroute has made them one network: a direct route to every other node's pods"
for node in "${nodes[@]}"; do
  run exec "$node" ip route show proto 110
  [[ $(lab exec "$node" ip route show proto 110 | wc -l) == 2 ]] || broken "$node has a route to each other node"
done

heading "It can say what it would do without doing it, as a table or as commands"
run exec worker1 podroute plan --output=table
run exec worker1 podroute plan --output=ip --against=nothing

heading "A pod on each node, attached by the CNI plugin; everyone reaches everyone"
declare -A address
for i in 1 2 3; do
  echo "\$ lab.sh pod ${nodes[i - 1]} pod$i"
  address[pod$i]=$(lab pod "${nodes[i - 1]}" "pod$i" | head -n1)
  echo "${address[pod$i]}"
done
for from in pod1 pod2 pod3; do
  for to in pod1 pod2 pod3; do
    [[ $from == "$to" ]] || check "$from reaches $to at ${address[$to]}" lab exec "$from" ping -c1 -W2 "${address[$to]}"
  done
done

heading "A web server in a pod, by the pod's address and by a port of its node's"
greeting="hello from web, a pod on worker1"
echo "\$ lab.sh pod worker1 web 8080:80"
address[web]=$(lab pod worker1 web 8080:80 | head -n1)
echo "${address[web]}"
bash tests/lab/lab.sh exec web python3 "$PWD/tests/lab/web_server.py" 80 "$greeting" &
disown  # It ends with the lab, which is no news.
fetches() { [[ $(lab exec "$1" curl -sS --noproxy '*' --max-time 5 "http://$2/") == "$greeting" ]]; }
for from in pod1 pod3; do
  check "$from fetches http://${address[web]}/" fetches "$from" "${address[web]}"
  check "$from fetches http://192.168.0.2:8080/" fetches "$from" 192.168.0.2:8080
done
check "so does web itself, by the port of its own node" fetches web 192.168.0.2:8080
run exec worker1 nft list map inet podroute-cni hostport4

heading "A node is deleted, and comes back"
lab monitor master1 start
before=$(now_us)
run kubectl delete node worker2
check "master1 has no route to worker2's pods" not has_route master1 10.244.3.0/24
check "nor has worker1" not has_route worker1 10.244.3.0/24
show_changes master1
timing "node deleted (kubectl starts) to its route gone" "$before" "$(seen_us 'Deleted 10\.244\.3\.0/24')"
lab monitor master1 start
before=$(now_us)
run register worker2
check "master1 has it again" has_route master1 "10.244.3.0/24"
check "so has worker1" has_route worker1 "10.244.3.0/24"
show_changes master1
timing "node created (curl starts) to its route in the kernel" "$before" "$(seen_us '\] 10\.244\.3\.0/24')"

heading "A node changes its address under a ping every millisecond"
echo "\$ lab.sh exec pod1 ping -i 0.001 -c 2000 ${address[pod2]} &"
lab exec pod1 ping -i 0.001 -c 2000 "${address[pod2]}" >"$pings" 2>&1 &
ping_pid=$!
check "it is under way" grep -q 'icmp_seq=100 ' "$pings"
run readdress worker1 192.168.0.102
check "master1 reaches worker1's pods over the new address" has_route master1 "via 192.168.0.102 "
wait $ping_pid || true
result=$(grep 'packets transmitted' "$pings") || broken "ping ends with a summary; it said: $(tail -n1 "$pings")"
echo "  $result"
[[ $result == "2000 packets transmitted, 2000 received, 0% packet loss"* ]] || broken "not one ping was lost"

heading "Somebody deletes a route by hand"
lab monitor worker2 start
run exec worker2 ip route delete 10.244.1.0/24 proto 110 metric 110
check "it is back" has_route worker2 10.244.1.0/24
show_changes worker2
timing "route deleted by hand to its being back" "$(seen_us 'Deleted 10\.244\.1\.0/24')" "$(seen_us '\] 10\.244\.1\.0/24')"

heading "An agent is down while a node goes; somebody else's route is not touched"
run agent master1 stop
run exec master1 ip route add 10.99.0.0/16 via 192.168.0.3 proto static
run kubectl delete node worker2
check "without an agent master1 still has its routes" has_route master1 10.244.3.0/24
lab monitor master1 start
before=$(now_us)
run agent master1 start
check "with it, the route to worker2's pods is gone" not has_route master1 10.244.3.0/24
show_changes master1
timing "agent started to the route of a node that went meanwhile gone" "$before" "$(seen_us 'Deleted 10\.244\.3\.0/24')"
[[ -n $(lab exec master1 ip route show 10.99.0.0/16) ]] || broken "the static route is still there"
echo "  ok: the static route is still there"

heading "Router mode: the nodes have a default route and nothing else, a router that runs BIRD has the rest"
lab down
run up --nodes 3 --mode router --backend bird --until-exit-of $$
for i in 1 2 3; do
  echo "\$ lab.sh pod ${nodes[i - 1]} pod$i"
  address[pod$i]=$(lab pod "${nodes[i - 1]}" "pod$i" | head -n1)
  echo "${address[pod$i]}"
done
run exec router birdc -s /run/bird/bird.ctl show route protocol podroute4
run exec worker1 ip route show
for node in "${nodes[@]}"; do
  [[ -z $(lab exec "$node" ip route show | grep '^10.244.*via' || true) ]] || broken "$node has no route to other nodes' pods"
done
for from in pod1 pod2 pod3; do
  for to in pod1 pod2 pod3; do
    [[ $from == "$to" ]] || check "$from reaches $to at ${address[$to]} through the router" lab exec "$from" ping -c1 -W2 "${address[$to]}"
  done
done
routed() { lab exec router ip route show proto bird | grep -qF "$1"; }
run kubectl delete node worker2
check "the router has no route to worker2's pods" not routed 10.244.3.0/24
run register worker2
check "the router has it again" routed 10.244.3.0/24
run exec router podroute plan --mode=router --output=bird

heading "Measured just now"
printf '%s\n' "${timings[@]}"
echo
echo "All of it was as it should be; the cluster is being removed."
