#!/usr/bin/env bash
# The program as a user meets it: verbs, flags, files, exit codes, and one line for each mistake.
set -u
podroute=$1
tmp=$(mktemp -d "${TEST_TMPDIR:-/tmp}/cli.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
unset KUBECONFIG KUBERNETES_SERVICE_HOST NODE_NAME
export HOME=$tmp
failures=0
cases=0

# fails CODE TEXT ARGS...: exit code CODE, nothing on standard output, one line with TEXT on standard error.
fails() {
  local code=$1 text=$2
  shift 2
  cases=$((cases + 1))
  "$podroute" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
  local got=$?
  if [ "$got" != "$code" ] || [ -s "$tmp/out" ] || [ "$(wc -l <"$tmp/err")" != 1 ] ||
    ! grep -qF -- "$text" "$tmp/err"; then
    failures=$((failures + 1))
    echo "FAILED: podroute $*: exit code $got, wanted $code and one line with: $text"
    sed 's/^/  out: /' "$tmp/out" | head -5
    sed 's/^/  err: /' "$tmp/err" | head -5
  fi
}

# prints CODE TEXT ARGS...: exit code CODE, TEXT somewhere on standard output, nothing on standard error.
prints() {
  local code=$1 text=$2
  shift 2
  cases=$((cases + 1))
  "$podroute" "$@" >"$tmp/out" 2>"$tmp/err" <"${input:-/dev/null}"
  local got=$?
  if [ "$got" != "$code" ] || [ -s "$tmp/err" ] || ! grep -qF -- "$text" "$tmp/out"; then
    failures=$((failures + 1))
    echo "FAILED: podroute $*: exit code $got, wanted $code and: $text"
    sed 's/^/  out: /' "$tmp/out" | head -20
    sed 's/^/  err: /' "$tmp/err" | head -5
  fi
}

cat >"$tmp/nodes.json" <<'JSON'
{"apiVersion":"v1","kind":"List","metadata":{},"items":[
 {"kind":"Node","metadata":{"name":"master1","creationTimestamp":"2026-01-01T00:00:01Z"},"spec":{"podCIDR":"10.244.1.0/24"},
  "status":{"addresses":[{"type":"InternalIP","address":"198.18.0.1"}]}},
 {"kind":"Node","metadata":{"name":"worker1","creationTimestamp":"2026-01-01T00:00:02Z"},"spec":{"podCIDR":"10.244.2.0/24"},
  "status":{"addresses":[{"type":"InternalIP","address":"198.18.0.2"}]}},
 {"kind":"Node","metadata":{"name":"worker9","creationTimestamp":"2026-01-01T00:00:09Z"},"spec":{"podCIDR":"10.244.1.0/24"},
  "status":{"addresses":[{"type":"InternalIP","address":"198.18.0.9"}]}}]}
JSON

prints 0 "podroute run" help run
prints 0 "--cluster_cidr" help plan
prints 0 "Verbs:"
prints 0 "podroute 0." version
prints 0 "Flags:" plan --help

plan=(plan "--from_file=$tmp/nodes.json" --node-name=worker1)
prints 0 "ip route add 10.244.1.0/24 via 198.18.0.1 proto 110 metric 110  # master1" "${plan[@]}"
prints 0 "# refused: worker9 OverlapsNode: 10.244.1.0/24 is already master1's" "${plan[@]}"
prints 0 "add     10.244.1.0/24  198.18.0.1" "${plan[@]}" --output=table
prints 0 '"action": "add"' "${plan[@]}" --output=json
prints 2 "ip route add" "${plan[@]}" --detailed_exitcode
prints 0 "10.244.2.0/24 via 198.18.0.2" plan "--from_file=$tmp/nodes.json" --mode=router
input=$tmp/nodes.json prints 0 "ip route add 10.244.1.0/24" plan --from_file=- --node-name=worker1

fails 1 'no Node is named "nobody"; set --node_name to one of master1, worker1, worker9' \
  plan "--from_file=$tmp/nodes.json" --node_name=nobody
fails 1 'open /nonexistent: No such file or directory' plan --from_file=/nonexistent
fails 1 'Is a directory' plan "--from_file=$tmp" --node_name=x
fails 1 'standard input: empty' plan --from_file=- --node_name=x
echo '{"kind":"List","items":[{]}' >"$tmp/bad.json"
fails 1 "$tmp/bad.json" plan "--from_file=$tmp/bad.json" --node_name=x
printf '\0\1\2' >"$tmp/binary"
fails 1 "$tmp/binary" plan "--from_file=$tmp/binary" --node_name=x
head -c 200 "$tmp/nodes.json" >"$tmp/cut.json"
fails 1 "$tmp/cut.json" plan "--from_file=$tmp/cut.json" --node_name=x

fails 1 'unknown verb "rnu"; did you mean run?' rnu
fails 1 'unknown flag --nope' run --nope
fails 1 '--mode=x: not one of host, local, router' run --mode=x
fails 1 'kubeconfig' run --node_name=x
# glog's flags are read from the environment too.
PODROUTE_V=x fails 1 'environment PODROUTE_V: --v=x: not a int32' plan

# A slip in a variable's name is said, and is no failure.
cases=$((cases + 1))
if ! PODROUTE_CLUSTER_CIDRS=10.0.0.0/8 "$podroute" "${plan[@]}" 2>&1 >/dev/null |
  grep -q 'PODROUTE_CLUSTER_CIDRS: no flag.*did you mean PODROUTE_CLUSTER_CIDR?'; then
  failures=$((failures + 1))
  echo "FAILED: nothing was said of a misspelt variable"
fi

fails 1 '/nonexistent' run --node_name=x --kubeconfig=/nonexistent
echo '{{{' >"$tmp/broken"
fails 1 "$tmp/broken" run --node_name=x "--kubeconfig=$tmp/broken"
fails 1 "$tmp/broken" plan --node_name=x "--kubeconfig=$tmp/broken"

# An API server that is not there is one line too, for a verb that is asked once: nobody listens on
# that loopback address.
cat >"$tmp/config" <<'YAML'
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.93.71.5:9"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
YAML
fails 1 '127.93.71.5:9' plan --node_name=x "--kubeconfig=$tmp/config"
fails 1 'nowhere' plan --node_name=x "--kubeconfig=$tmp/config" --context=nowhere

# An agent that may not change routes says so and ends, instead of failing at each of them for ever.
cases=$((cases + 1))
unprivileged=()
[ "$(id -u)" != 0 ] || unprivileged=(setpriv --bounding-set -net_admin)
"${unprivileged[@]}" "$podroute" run --node_name=x "--kubeconfig=$tmp/config" >"$tmp/out" 2>"$tmp/err"
code=$?
if [ "$code" != 1 ] || ! grep -q 'run it as root or with CAP_NET_ADMIN' "$tmp/err"; then
  failures=$((failures + 1))
  echo "FAILED: run without CAP_NET_ADMIN: exit code $code"
  sed 's/^/  err: /' "$tmp/err" | head -5
fi

cases=$((cases + 1))
if [ -w /dev/full ] && "$podroute" "${plan[@]}" >/dev/full 2>"$tmp/err"; then
  failures=$((failures + 1))
  echo "FAILED: output that could not be written was called a success"
fi

echo "$((cases - failures)) passed, $failures failed"
[ "$failures" = 0 ]
