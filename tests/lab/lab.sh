#!/usr/bin/env bash
# A Kubernetes network on one machine: every node is a network namespace, and podroute's agents, its
# CNI plugin and the in-memory API server run in them as they would on machines of their own.
#
# Everything is inside namespaces of the lab's own (network, mount, process, host name; for an
# ordinary user also a user namespace), so the machine's own network is never changed, labs with
# different names do not see each other, and one signal ends a lab with all that is in it.
#
#           switch (a bridge)  192.168.0.0/24, fd00:192:168::/64
#      ________________|_____________________________________________
#      |              |              |               |              |
#   master1 .1     worker1 .2     worker2 .3 ...   apiserver .253   router .254
#   10.244.1.0/24  10.244.2.0/24  10.244.3.0/24                     (default gateway)
#   fd00:10:244:1::/64 ...
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin  # not in everybody's

usage() {
  cat <<'USAGE'
usage: lab.sh [--name LAB] VERB   (the lab's name: $LAB_NAME, else "podroute")
  up [--nodes N] [--mode host|router|none] [--backend kernel|bird|frr] [--dual-stack]
     [--until-exit-of PID] [-- FLAGS of the agents or the controller...]
                                build the lab and wait until every route, and what the agents install,
                                is there; mode none starts no agent; with a PID the lab ends, at the latest, with that process
  down                          remove all of it and nothing else
  list                          nodes and pods with their addresses
  status                        which of the lab's processes run
  pod NODE NAME [HOSTPORT:PORT[/PROTOCOL]]...
                                attach a pod to NODE with what the agent has installed there;
                                prints its addresses
  pod-delete NODE NAME          detach it
  exec MACHINE|POD CMD...       run CMD there (a machine: a node, router, apiserver), with podroute
                                in the PATH and KUBECONFIG set
  agent MACHINE start [FLAGS]|stop|kill|pid
                                start podroute there, end it with SIGTERM or SIGKILL; with
                                $PODROUTE_BIN set, that build of it
  router-daemon start|kill      BIRD or FRR on the router, with an operator's configuration
  apiserver start [FLAGS]|stop|kill
                                the same for the API server; started again it has the same Nodes
  monitor MACHINE start|stop    watch the routing table there; stop prints every change with its time
  register NODE                 create the NODE's Node object (again)
  readdress NODE ADDRESS        give NODE another address, and its Node that InternalIP
  kubectl ARGS...               kubectl against the lab's API server
  api METHOD PATH [CURL ARGS]   one request to the API server
  kubeconfig                    where that kubeconfig is (for use inside: lab.sh exec)
  logs MACHINE                  what podroute, or the API server, wrote there
USAGE
}

fail() {
  echo "lab.sh: $*" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Next to this file in a built checkout, or in a test's runfiles.
bin=$(cd "$here/../.." && pwd)
[[ -d $bin/bazel-bin ]] && bin=$bin/bazel-bin
bin=${PODROUTE_BIN:-$bin}

name=${LAB_NAME:-podroute}
if [[ ${1:-} == --name ]]; then
  name=${2:-}
  shift 2 || fail "--name needs a value"
fi
[[ $name =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
  fail "'$name' is no name for a lab: use up to 32 lower case letters, digits and hyphens"
state=/tmp/podroute-lab-$EUID-$name

# --- Processes of ours outside the lab: remembered with their start time, since pids are reused.

start_time() {  # of PID, in clock ticks since boot; fails if it is gone
  local stat
  [[ $1 =~ ^[1-9][0-9]*$ ]] || return 1
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086  # split into words: the 20th after the command's closing parenthesis
  set -- ${stat##*) }
  [[ $1 != Z ]] && echo "${20}"
}

remember() { echo "$2 $(start_time "$2")" >"$state/$1"; }

recall() {  # the pid remembered under that name, if that very process still runs
  local pid started
  read -r pid started 2>/dev/null <"$state/$1" || return 1
  [[ $(start_time "$pid") == "$started" ]] && echo "$pid"
}

# --- Up and down. The lock on the state directory is held by every process in the lab: it is free
# exactly when the lab is gone.

take_state() {
  if [[ -e $state || -L $state ]]; then
    [[ -d $state && ! -L $state && -O $state ]] || fail "$state is in the way, and not this user's directory"
  else
    mkdir -m 0700 "$state"
  fi
  exec {lock}<"$state"
}

up() {
  local until_exit_of nodes=3 mode=host backend=kernel dual_stack=false
  while (($# > 0)); do
    case "$1" in
      --nodes) nodes=${2:-} && shift ;;
      --mode) mode=${2:-} && shift ;;
      --backend) backend=${2:-} && shift ;;
      --until-exit-of) until_exit_of=${2:-} && shift ;;
      --dual-stack) dual_stack=true ;;
      --) shift && break ;;
      *) fail "up: unknown argument '$1'; see lab.sh help" ;;
    esac
    shift || fail "up: the last flag has no value"
  done
  # shellcheck disable=SC2015  # fails for either reason
  [[ $nodes =~ ^[1-9][0-9]{0,2}$ ]] && ((nodes <= 250)) ||
    fail "up: --nodes is '$nodes'; it can be 1 to 250"
  [[ $mode =~ ^(host|router|none)$ ]] || fail "up: --mode is '$mode'; it can be host, router or none"
  [[ $backend =~ ^(kernel|bird|frr)$ ]] || fail "up: --backend is '$backend'; it can be kernel, bird or frr"
  [[ -z ${until_exit_of+x} ]] || start_time "$until_exit_of" >/dev/null ||
    fail "up: --until-exit-of is '$until_exit_of'; it can be the pid of a process that runs"
  local program
  for program in tests/apiserver/podroute-apiserver controller/podroute; do
    [[ -x $bin/$program || ($mode == none && $program == controller/*) ]] ||
      fail "$bin/$program is not there: run scripts/setup.sh, or 'bazel build //...'"
  done

  take_state
  flock -n "$lock" || fail "the lab '$name' is up already; 'lab.sh --name $name down' removes it"
  find "$state" -mindepth 1 -delete  # what an earlier lab of this name left when the machine went down
  trap 'down' EXIT                   # until it stands
  local agent_flags=("$@")
  declare -p name bin nodes mode backend dual_stack agent_flags >"$state/config"

  local -a own=(unshare --net --mount --pid --uts --ipc --fork --kill-child)
  "${own[@]}" true 2>/dev/null || own+=(--user --map-root-user)
  if ! "${own[@]}" true 2>"$state/log"; then
    ((EUID != 0)) ||
      fail "this container may not make namespaces ($(head -n1 "$state/log")): start it with --privileged"
    fail "cannot make namespaces ($(head -n1 "$state/log")): run as root, or allow unprivileged user namespaces"
  fi
  local line=""
  read -r line < <(exec setsid "${own[@]}" bash "$here/lab_inside.sh" "$state" hold </dev/null 2>>"$state/log") || true
  [[ $line == ready ]] || { tail -n 5 "$state/log" >&2; fail "the lab '$name' did not come up"; }
  [[ -z ${until_exit_of+x} ]] || watch_over "$until_exit_of"
  trap - EXIT
}

watch_over() {  # ends the lab when the process PID ends, however it ends
  # shellcheck disable=SC2016  # for the inner shell
  setsid bash -c 'tail --pid="$1" -s 0.3 -f /dev/null; exec bash "$2" --name "$3" down' \
    watch "$1" "$here/lab.sh" "$name" </dev/null >/dev/null 2>&1 {lock}<&- &
  remember watcher $!
}

down() {
  trap - EXIT
  [[ -e $state ]] || return 0
  # Our own share of the lock, if this is `up` that failed.
  [[ ! -v lock ]] || exec {lock}<&-
  take_state
  local pid
  # Either may end between the two steps, which is no failure.
  { pid=$(recall watcher) && [[ $pid != "$$" ]] && kill "$pid" 2>/dev/null; } || true
  # Killed while it came up, a lab may take a moment to say who it is.
  for _ in {1..200}; do
    { pid=$(recall holder) && kill -KILL "$pid" 2>/dev/null; } || true
    if flock -w 0.05 "$lock"; then
      rm -rf "$state"
      return 0
    fi
  done
  fail "the lab '$name' does not end; its processes are those that have $state open"
}

# --- Everything else happens inside.

inside() {
  local pid
  pid=$(recall holder) || fail "the lab '$name' is not up; 'lab.sh --name $name up' builds it"
  local -a enter=(nsenter --target "$pid" --root --wd --mount --net --pid --uts --ipc)
  [[ $(readlink /proc/self/ns/user) == "$(readlink "/proc/$pid/ns/user")" ]] ||
    enter+=(--user --preserve-credentials)
  # Ended with us: a signal to lab.sh would otherwise leave the command behind.
  exec "${enter[@]}" setpriv --pdeathsig TERM bash "$here/lab_inside.sh" "$state" "$@"
}

verb=${1:-help}
shift || true
case "$verb" in
  up | down) "$verb" "$@" ;;
  kubeconfig) echo "$state/kubeconfig" ;;
  logs)
    [[ -n ${1:-} ]] || fail "usage: lab.sh logs MACHINE"
    [[ -e $state/machines/$1/log ]] || fail "there is no log of '$1'; 'lab.sh list' shows what there is"
    cat "$state/machines/$1/log"
    ;;
  list | status | pod | pod-delete | exec | agent | apiserver | monitor | register | readdress | \
    router-daemon | kubectl | api)
    inside "$verb" "$@"
    ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    fail "unknown verb '$verb'"
    ;;
esac
