#!/usr/bin/env bash
# podroute under the rules of the manifests: nothing is refused, and nothing is granted that it does not use.
# shellcheck source=../lab/test_lib.sh
source "$(dirname "$0")/../lab/test_lib.sh"
# shellcheck source=manifests_lib.sh
source "$(dirname "$0")/manifests_lib.sh"

agent=system:serviceaccount:kube-system:podroute

# A lab whose API server holds service accounts to the rules of these folders. One Node has the start-up
# taint, and one claims the podCIDR of another.
cluster_up() {  # FOLDER...
  local folder account
  need_kubectl
  lab_up --nodes 2 --mode none
  state=$(dirname "$(lab kubeconfig)")
  for folder in "$@"; do
    kustomize "$folder"
    echo "---"
  done | to_list >"$state/rbac.json"
  for account in podroute podroute-router; do
    echo "token-of-$account,system:serviceaccount:kube-system:$account" >>"$state/tokens"
    sed "s/token: .*/token: token-of-$account/" "$state/kubeconfig" >"$state/$account"
  done
  lab apiserver stop
  lab apiserver start "--rbac_file=$state/rbac.json" "--token_file=$state/tokens"
  lab kubectl taint node worker1 podroute.io/network-unavailable=:NoSchedule >/dev/null
  claim_twice worker8
}

claim_twice() {  # NODE: comes with the podCIDR of master1
  lab api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary @- <<JSON
{"metadata": {"name": "$1"}, "spec": {"podCIDR": "10.244.1.0/24"},
 "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.8"}]}}
JSON
}

start_as() {  # ACCOUNT MACHINE FLAGS...
  lab agent "$2" start "--kubeconfig=$state/$1" "${@:3}"
}

# A Node comes, and the one that is refused goes and comes again.
nodes_change() {
  lab kubectl delete node worker8 >/dev/null
  claim_twice worker8
  lab api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary @- <<JSON
{"metadata": {"name": "worker9"}, "spec": {"podCIDR": "10.244.9.0/24"},
 "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.9"}]}}
JSON
}

has_route() { lab exec "$1" ip route show | grep -q '^10.244.9.0/24 .*via 192.168.0.9'; }

# An Event, and the same once more: the agent on MACHINE has been told of a cluster that has no such podCIDR.
own_podcidr_is_refused_twice() {  # MACHINE
  wait_for 20 event_count "$1" 1
  lab kubectl delete node "$1" >/dev/null
  lab register "$1"
  wait_for 20 event_count "$1" 2
}
event_count() {  # NODE COUNT [REASON]: so often at least
  lab api GET /api/v1/namespaces/default/events |
    jq -e --argjson count "$2" \
      "any(.items[]; .involvedObject.name == \"$1\" and .reason == \"${3:-OutsideClusterCIDR}\" and .count >= \$count)"
}

# In the agent's pod it has the agent's rights.
check_on() {  # MACHINE
  lab exec "$1" podroute check "--kubeconfig=$state/podroute" "${@:2}" >"$case_dir/check" || true
  if grep -i forbidden "$case_dir/check"; then fail "not permitted: $(<"$case_dir/check")"; fi
}

account() { lab api GET /_test/rbac | jq -r ".$1[]"; }  # denied|used|unused

# The controller refuses the one that claims another's podCIDR, twice.
router_refuses_twice() {
  router_says() { [[ $(lab logs router) == *"$1"* ]]; }
  wait_for 20 event_count worker8 1 OverlapsNode
  lab kubectl delete node worker8 >/dev/null
  wait_for 20 router_says "no longer refused node=worker8"
  claim_twice worker8
  wait_for 20 event_count worker8 2 OverlapsNode
}

expect_least_rights() {
  all_is_used() { [[ -z $(account unused) ]]; }
  wait_for 20 all_is_used
  expect_eq "what was granted in vain" "" "$(account unused)"
  expect_eq "what was refused" "" "$(account denied)"
}

InHostModeTheAgentHasTheRightsThatItUses() {
  cluster_up overlays/host
  start_as podroute master1 --cluster_cidr=10.250.0.0/16
  start_as podroute worker1
  own_podcidr_is_refused_twice master1
  nodes_change
  wait_for 20 has_route worker1
  check_on worker1
  expect_least_rights
}

BehindARouterAgentAndControllerHaveTheRightsThatTheyUse() {
  cluster_up overlays/router-bird
  start_as podroute master1 --mode=local --cluster_cidr=10.250.0.0/16
  start_as podroute worker1 --mode=local
  start_as podroute-router router --leader_elect=false
  own_podcidr_is_refused_twice master1
  nodes_change
  wait_for 20 has_route router
  wait_for 20 lab exec worker1 test -e /run/cni/net.d/10-podroute.conflist
  router_refuses_twice
  check_on worker1 --mode=local
  expect_least_rights
}

TheElectionHasTheRightsThatItUses() {
  cluster_up overlays/router-bird election
  start_as podroute master1 --mode=local --cluster_cidr=10.250.0.0/16
  start_as podroute worker1 --mode=local
  start_as podroute-router router
  own_podcidr_is_refused_twice master1
  nodes_change
  wait_for 20 has_route router
  router_refuses_twice
  check_on worker1 --mode=local
  expect_least_rights
}

BothRouterOverlaysGrantTheSame() {
  need_kubectl
  local rules='.items[] | select(.apiVersion == "rbac.authorization.k8s.io/v1")'
  expect_eq "rules" "$(kustomize overlays/router-bird | to_list | jq "$rules")" \
    "$(kustomize overlays/router-frr | to_list | jq "$rules")"
}

AnAgentWithoutItsRightsIsRefusedAndThatIsSeen() {
  cluster_up election
  start_as podroute master1
  refused() { account denied | grep -qx "$agent list nodes"; }
  wait_for 20 refused
}

run_tests "$@"
