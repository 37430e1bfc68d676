#!/usr/bin/env bash
# The half of lab.sh that runs inside the lab's namespaces. Usage: lab_inside.sh STATE VERB ARGS...
#
# STATE holds: config; kubeconfig, ca.crt, token; machines/NAME/{pid,log,run/,node.json}; pods/NAME.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cd /

state=$1
shift
# shellcheck source=/dev/null
source "$state/config"
declare -a agent_flags
: "${name:?}" "${bin:?}" "${nodes:?}" "${mode:?}" "${backend:?}" "${dual_stack:?}"
bin=${PODROUTE_BIN:-$bin}
machines=$state/machines
api_address=192.168.0.253
# On a machine of the lab, which has a /run of its own; the rest of the file system is the real one's.
cni_bin_dir=/run/cni/bin
cni_conf_dir=/run/cni/net.d
api_url=https://$api_address:6443

fail() {
  echo "lab.sh: $*" >&2
  exit 1
}

wait_for() {  # SECONDS CMD...: until CMD succeeds
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@" >/dev/null 2>&1; do
    ((${EPOCHREALTIME/./} < deadline)) || return 1
    sleep 0.02
  done
}

not() { ! "$@"; }

# --- Machines: a process that sleeps, with network, mount and host name namespaces of its own.

node_names() { cat "$state/nodes"; }

index_of() {  # NODE's number: the last part of its addresses
  local index
  index=$(grep -nxF -- "$1" "$state/nodes" | cut -d: -f1) ||
    fail "no node is named '$1'; there are $(node_names | paste -sd' ')"
  echo "$index"
}

in_machine() {
  [[ -n $1 && -f $machines/$1/pid ]] || fail "there is no machine '$1'; 'lab.sh list' shows what there is"
  nsenter --target "$(<"$machines/$1/pid")" --root --wd --net --mount --uts -- "${@:2}"
}

# The same instead of this shell, so that a signal reaches the command; podroute and kubectl work there.
exec_in_machine() {
  export PATH=$bin/controller:$PATH KUBECONFIG=$state/kubeconfig
  export PODROUTE_CNI_BIN_DIR=$cni_bin_dir PODROUTE_CNI_CONF_DIR=$cni_conf_dir
  nsenter() { exec nsenter "$@"; }
  in_machine "$@"
}

machine_init() {  # runs as the machine's first process
  local machine=$1 pid
  # As /proc shows it, which is not $$ where /proc could not be mounted anew.
  read -r pid _ </proc/self/stat
  mount --bind "$machines/$machine/run" /run
  mount -t sysfs sysfs /sys 2>/dev/null || true
  hostname "$machine"
  ip link set lo up
  sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  echo "$pid"
  exec >&2 sleep infinity
}

add_machine() {  # NAME NUMBER: plugs it into the switch with the addresses that end in NUMBER
  local machine=$1 number=$2 pid
  mkdir -p "$machines/$machine/run/netns"
  read -r pid < <(exec unshare --net --mount --uts bash "${BASH_SOURCE[0]}" "$state" machine_init "$machine") ||
    fail "the machine $machine did not start"
  echo "$pid" >"$machines/$machine/pid"
  ip link add "port$number" type veth peer name eth0 netns "/proc/$pid/ns/net"
  ip link set "port$number" master switch up
  # Link-local addresses are there at once, as on a machine that has been up for a while.
  in_machine "$machine" sysctl -qw net.ipv6.conf.eth0.accept_dad=0
  in_machine "$machine" ip -batch - <<BATCH
link set eth0 up
address add 192.168.0.$number/24 dev eth0
$($dual_stack && echo "address add fd00:192:168::$(printf %x "$number")/64 dev eth0 nodad")
BATCH
  [[ $machine == router ]] && return
  in_machine "$machine" ip route add default via 192.168.0.254
  ! $dual_stack || in_machine "$machine" ip -6 route add default via fd00:192:168::fe
}

# --- What runs on them.

pid_of() {  # FILE: the pid in it, if it runs
  local pid
  read -r pid 2>/dev/null <"$1" && [[ -d /proc/$pid ]] && [[ $(ps -o stat= -p "$pid") != Z* ]] && echo "$pid"
}

start() {  # MACHINE PIDFILE CMD...
  local machine=$1 pid_file=$2
  shift 2
  ! pid_of "$pid_file" >/dev/null || fail "it runs already on $machine"
  # shellcheck disable=SC2016  # for the inner shell
  in_machine "$machine" setsid bash -c 'read -r pid _ </proc/self/stat; echo "$pid" >"$1"; shift; exec "$@"' \
    start "$pid_file" "$@" </dev/null >>"$machines/$machine/log" 2>&1 &
  wait_for 5 test -s "$pid_file" || fail "it did not start on $machine"
}

end() {  # PIDFILE SIGNAL: and wait until it is gone
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid"
  wait_for 5 not pid_of "$1" || fail "process $pid does not end on SIG$2"
  rm "$1"
}

apiserver() {
  local action=${1:-} pid_file=$machines/apiserver/apiserver.pid
  shift || true
  case "$action" in
    start)
      local -a command=("$bin/tests/apiserver/podroute-apiserver" "--address=$api_address" --port=6443
        "--token=$(<"$state/token")" --control)
      # It keeps everything in memory: started again it gets its certificate and its Nodes back.
      if [[ -e $state/nodes.json ]]; then
        command+=("--tls_cert=$state/tls.crt" "--tls_key=$state/tls.key" "--nodes_file=$state/nodes.json")
      else
        command+=("--self_signed_dir=$state")
      fi
      start apiserver "$pid_file" "${command[@]}" "$@"
      wait_for 10 api GET /readyz || fail "the API server does not answer: $(tail -n1 "$machines/apiserver/log")"
      ;;
    stop | kill)
      pid_of "$pid_file" >/dev/null || return 0
      # One that does not answer any more has the Nodes that it was last stopped with.
      if api GET /api/v1/nodes >"$state/nodes.json.new"; then mv "$state/nodes.json.new" "$state/nodes.json"; fi
      end "$pid_file" "$([[ $action == stop ]] && echo TERM || echo KILL)"
      ;;
    *) fail "usage: lab.sh apiserver start [FLAGS]|stop|kill" ;;
  esac
}

# Sockets in MACHINE that listen for changes of its IPv4 routes (RTNLGRP_IPV4_ROUTE, bit 6).
route_listeners() {
  local protocol groups count=0
  while read -r _ protocol _ groups _; do
    [[ $protocol == 0 ]] && ((0x$groups & 0x40)) && count=$((count + 1))
  done < <(in_machine "$1" tail -n +2 /proc/net/netlink)
  echo "$count"
}

monitor() {
  local machine=${1:-} pid_file=$machines/${1:-}/monitor.pid output=$machines/${1:-}/monitor before
  [[ -n $machine ]] || fail "usage: lab.sh monitor MACHINE start|stop"
  in_machine "$machine" true
  case "${2:-}" in
    start)
      before=$(route_listeners "$machine")
      # shellcheck disable=SC2016  # for the inner shell
      start "$machine" "$pid_file" bash -c 'exec ip -tshort -oneline monitor route nexthop >"$1"' monitor "$output"
      listening() { (($(route_listeners "$machine") > before)); }
      wait_for 5 listening || fail "ip monitor does not start on $machine"
      ;;
    stop)
      end "$pid_file" TERM
      cat "$output"
      ;;
    *) fail "usage: lab.sh monitor MACHINE start|stop" ;;
  esac
}

agent() {
  local machine=${1:-} action=${2:-}
  shift 2 || fail "usage: lab.sh agent MACHINE start|stop|kill|pid"
  local pid_file=$machines/$machine/agent.pid
  local -a command=("$bin/controller/podroute" run "--kubeconfig=$state/kubeconfig"
    "--cni_bin_dir=$cni_bin_dir" "--cni_conf_dir=$cni_conf_dir")
  if [[ $machine == router ]]; then
    command+=(--mode=router "--backend=$backend")
    case "$backend" in
      bird) command+=(--bird_socket=/run/bird/bird.ctl --bird_file=/run/bird/podroute.conf) ;;
      frr) command+=(--frr_vty_socket=/run/frr) ;;
    esac
  else
    index_of "$machine" >/dev/null
    [[ $mode == router ]] && command+=(--mode=local) || command+=(--mode=host)
    command+=("--node_name=$machine")
  fi
  case "$action" in
    start) start "$machine" "$pid_file" "${command[@]}" "${agent_flags[@]}" "$@" ;;
    stop) end "$pid_file" TERM ;;
    kill) end "$pid_file" KILL ;;
    pid) pid_of "$pid_file" || fail "podroute does not run on $machine" ;;
    *) fail "usage: lab.sh agent MACHINE start|stop|kill|pid" ;;
  esac
}

router-daemon() {  # start|kill: what --backend is about, on the router
  local daemon
  if [[ ${1:-} == kill ]]; then
    for daemon in bird staticd zebra; do end "$machines/router/$daemon.pid" KILL; done
    return
  fi
  [[ ${1:-} == start ]] || fail "usage: lab.sh router-daemon start|kill"
  case "$backend" in
    bird)
      mkdir -p "$machines/router/run/bird"
      cat >"$machines/router/run/bird/bird.conf" <<'CONF'
router id 192.168.0.254;
protocol device {}
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
include "/run/bird/podroute[.]conf";
CONF
      start router "$machines/router/bird.pid" bird -f -c /run/bird/bird.conf -s /run/bird/bird.ctl -P /run/bird/bird.pid
      ;;
    frr)
      install -d -o frr -g frr "$machines/router/run/frr"
      for daemon in zebra staticd; do
        install -o frr -g frr -m 640 /dev/null "$machines/router/run/frr/$daemon.conf"
        start router "$machines/router/$daemon.pid" "/usr/lib/frr/$daemon" --vty_socket /run/frr -z /run/frr/zserv.api \
          -i "/run/frr/$daemon.pid" -f "/run/frr/$daemon.conf" -A 127.0.0.1 -P 0 --log stdout
        wait_for 5 test -S "$machines/router/run/frr/$daemon.vty" || fail "$daemon does not answer"
      done
      ;;
  esac
}

# --- The cluster.

kubectl() {
  exec_in_machine apiserver kubectl --cache-dir="$state/kubectl-cache" "$@"
}

api() {
  local method=${1:-} path=${2:-}
  [[ $method =~ ^[A-Z]+$ && $path == /* ]] || fail "usage: lab.sh api METHOD PATH [CURL ARGS]"
  shift 2
  in_machine apiserver curl -sS --fail-with-body --noproxy '*' --cacert "$state/ca.crt" \
    -H "Authorization: Bearer $(<"$state/token")" -X "$method" "$api_url$path" "$@"
}

node_json() {  # NODE: as its kubelet and the controller manager would have filled it in
  local index
  index=$(index_of "$1") || return
  jq -n --arg name "$1" --arg index "$index" --arg hex "$(printf %x "$index")" --argjson dual "$dual_stack" '
    ["10.244.\($index).0/24"] + if $dual then ["fd00:10:244:\($hex)::/64"] else [] end | . as $cidrs |
    ["192.168.0.\($index)"] + if $dual then ["fd00:192:168::\($hex)"] else [] end | . as $addresses |
    {apiVersion: "v1", kind: "Node", metadata: {name: $name, labels: {"kubernetes.io/hostname": $name}},
     spec: {podCIDR: $cidrs[0], podCIDRs: $cidrs},
     status: {addresses: ([$addresses[] | {type: "InternalIP", address: .}] + [{type: "Hostname", address: $name}]),
              conditions: [{type: "Ready", status: "True", reason: "KubeletReady", message: "the lab says so"}]}}'
}

register() {
  [[ -n ${1:-} ]] || fail "usage: lab.sh register NODE"
  local json
  json=$(node_json "$1")
  api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary @- <<<"$json"
}

readdress() {
  local node=${1:-} address=${2:-} prefix=24 old
  [[ $address =~ ^[0-9a-fA-F.:]+$ ]] || fail "usage: lab.sh readdress NODE ADDRESS"
  [[ $address != *:* ]] || prefix=64
  index_of "$node" >/dev/null
  local -a command=(ip address replace "$address/$prefix" dev eth0)
  [[ $prefix == 24 ]] || command+=(nodad)
  in_machine "$node" "${command[@]}"
  old=$(api GET "/api/v1/nodes/$node")
  # The list is merged by type in a strategic merge patch, as everywhere in Kubernetes: replace it whole.
  jq --arg address "$address" '
    {status: {addresses: [.status.addresses[] |
      if .type == "InternalIP" and (.address | contains(":")) == ($address | contains(":"))
      then .address = $address else . end]}}' <<<"$old" |
    api PATCH "/api/v1/nodes/$node/status" -o /dev/null -H 'Content-Type: application/merge-patch+json' --data-binary @-
}

network_is_there() {  # on MACHINE: a route to each other node's pods, or what a local agent installs
  local machine=$1 families=1 others=$nodes
  $dual_stack && families=2
  [[ $machine == router ]] || others=$((nodes - 1))
  if [[ $machine != router && $mode == router ]]; then
    conflist_is_there "$machine"
  else
    # The conflist is an agent's last: the bridge is there before.
    [[ $machine == router ]] || conflist_is_there "$machine" || return
    (($({ in_machine "$machine" ip -4 route show; in_machine "$machine" ip -6 route show; } |
      grep -cE '^(10\.244\.|fd00:10:244:).* via ') >= others * families))
  fi
}

# --- Pods.

# The lab is the container runtime here: it takes the conflist that the agent has installed on the node,
# and calls the plugin that the agent has installed there.

conflist_is_there() { in_machine "$1" test -e "$cni_conf_dir/10-podroute.conflist"; }

pod_config() {  # NODE PORTS: one plugin's configuration; PORTS: runtimeConfig.portMappings
  wait_for 15 conflist_is_there "$1" || fail "no agent has installed $cni_conf_dir/10-podroute.conflist on $1"
  in_machine "$1" cat "$cni_conf_dir/10-podroute.conflist" |
    jq --argjson ports "$2" '
      if (.plugins | length) != 1 then error("the lab can call one plugin only") else . end |
      . as $list | .plugins[0] + {cniVersion: $list.cniVersion, name: $list.name} |
      if .capabilities.portMappings then .runtimeConfig.portMappings = $ports else . end'
}

port_mappings() {  # HOSTPORT:PORT[/PROTOCOL]...: as a container runtime passes them on
  local mapping
  for mapping in "$@"; do
    [[ $mapping =~ ^([0-9]{1,5}):([0-9]{1,5})(/(tcp|udp|sctp))?$ ]] ||
      fail "'$mapping' is no port mapping; one looks like 8080:80 or 8053:53/udp"
    jq -n --argjson host "$((10#${BASH_REMATCH[1]}))" --argjson pod "$((10#${BASH_REMATCH[2]}))" \
      --arg protocol "${BASH_REMATCH[4]:-tcp}" '{hostPort: $host, containerPort: $pod, protocol: $protocol}'
  done | jq -sc .
}

plugin() {  # COMMAND NODE POD: configuration on standard input
  in_machine "$2" env CNI_COMMAND="$1" CNI_CONTAINERID="lab-$3" CNI_NETNS="/run/netns/$3" CNI_IFNAME=eth0 \
    CNI_PATH="$cni_bin_dir" CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$3" "$cni_bin_dir/podroute-cni"
}

pod() {
  local node=${1:-} pod=${2:-} result
  [[ $pod =~ ^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$ ]] ||
    fail "usage: lab.sh pod NODE NAME [HOSTPORT:PORT[/PROTOCOL]]... (lower case letters, digits, hyphens)"
  index_of "$node" >/dev/null
  [[ ! -e $state/pods/$pod && ! -e $machines/$pod ]] || fail "there is a '$pod' already"
  local config ports
  ports=$(port_mappings "${@:3}") || exit
  config=$(pod_config "$node" "$ports")
  in_machine "$node" ip netns add "$pod"
  in_machine "$node" ip -n "$pod" link set lo up
  if ! result=$(plugin ADD "$node" "$pod" <<<"$config"); then
    in_machine "$node" ip netns delete "$pod"
    fail "podroute-cni: $(jq -r '[.msg, .details] | map(select(. != null)) | join(": ")' <<<"$result")"
  fi
  echo "$config" >"$state/pods/$pod.conf"
  jq -n --arg node "$node" --argjson result "$result" '{node: $node, result: $result}' >"$state/pods/$pod"
  jq -r '.ips[].address | split("/")[0]' <<<"$result"
}

pod-delete() {
  local node=${1:-} pod=${2:-}
  [[ -n $pod ]] || fail "usage: lab.sh pod-delete NODE NAME"
  [[ -e $state/pods/$pod && $(jq -r .node "$state/pods/$pod") == "$node" ]] || fail "there is no pod '$pod' on '$node'"
  plugin DEL "$node" "$pod" <"$state/pods/$pod.conf"
  in_machine "$node" ip netns delete "$pod"
  rm "$state/pods/$pod" "$state/pods/$pod.conf"
}

exec_in() {
  local place=${1:-}
  [[ -n $place ]] || fail "usage: lab.sh exec MACHINE|POD CMD..."
  shift
  if [[ -e $state/pods/$place ]]; then
    exec_in_machine "$(jq -r .node "$state/pods/$place")" nsenter --net="/run/netns/$place" -- "$@"
  else
    exec_in_machine "$place" "$@"
  fi
}

list() {
  local node pod
  while read -r node; do
    echo "node $node: $(in_machine "$node" ip -o address show dev eth0 scope global | awk '{print $4}' | paste -sd' ')"
  done < <(node_names)
  for pod in "$state"/pods/*.conf; do
    [[ -e $pod ]] || continue
    pod=${pod%.conf}
    jq -r --arg pod "${pod##*/}" '"pod \($pod) on \(.node): \([.result.ips[].address] | join(" "))"' "$pod"
  done
}

status() {
  local file
  for file in "$machines"/*/*.pid; do
    [[ -e $file ]] || continue
    echo "$(basename "$(dirname "$file")") $(basename "${file%.pid}"): $(pid_of "$file" >/dev/null && echo running || echo dead)"
  done
}

# --- The lab's first process: builds everything, says "ready", and then only keeps it alive.

hold() {
  local pid started stat machine
  # As the outside sees it, so before a /proc of our own is mounted.
  read -r stat </proc/self/stat
  pid=${stat%% *}
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  started=${20}
  echo "$pid $started" >"$state/holder.new" && mv "$state/holder.new" "$state/holder"
  mount -t proc proc /proc 2>/dev/null || true

  mkdir -p "$machines" "$state/pods"
  { echo master1; for ((i = 1; i < nodes; i++)); do echo "worker$i"; done; } >"$state/nodes"
  head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$state/token"

  ip link set lo up
  ip link add switch type bridge forward_delay 0
  ip link set switch addrgenmode none up
  add_machine router 254
  add_machine apiserver 253
  while read -r machine; do
    add_machine "$machine" "$(index_of "$machine")"
  done < <(node_names)

  apiserver start
  local -a run_on=()
  while read -r machine; do
    register "$machine"
    [[ $mode == none ]] || run_on+=("$machine")
  done < <(node_names)
  if [[ $mode == router ]]; then
    router-daemon start
    run_on+=(router)
  fi
  for machine in "${run_on[@]}"; do
    agent "$machine" start
  done
  for machine in "${run_on[@]}"; do
    wait_for 15 network_is_there "$machine" ||
      fail "no pod network on $machine after 15 s: $(tail -n1 "$machines/$machine/log")"
  done
  echo ready
  exec >&2
  # Orphans end up here; the shell reaps them while it waits.
  while :; do
    sleep infinity &
    wait $! || true
  done
}

verb=$1
shift
case "$verb" in
  exec) exec_in "$@" ;;
  *) "$verb" "$@" ;;
esac
