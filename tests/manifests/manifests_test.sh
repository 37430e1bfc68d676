#!/usr/bin/env bash
# What `kubectl apply -k` would send: that the API server takes it, and what must hold in it.
#
# KUBECTL=FILE: another kubectl, with another kustomize in it.
# shellcheck disable=SC2016  # jq's own variables
# shellcheck source=../lab/test_lib.sh
source "$(dirname "$0")/../lab/test_lib.sh"
# shellcheck source=manifests_lib.sh
source "$(dirname "$0")/manifests_lib.sh"

overlays=(host router-bird router-frr)

need_schema() {
  need_kubectl
  $python -c 'import kubernetes' 2>/dev/null || skip "python3 has no kubernetes: apt-get install python3-kubernetes"
}

validate() { $python "$root/tests/manifests/api_schema.py" "$@"; }

# FILTER's outcome for each workload of each overlay, without empty lines: the workload is $w, its pod
# $p, the containers $p.containers[].
of_workloads() {
  local overlay
  for overlay in "${overlays[@]}"; do
    kustomize "overlays/$overlay" | to_list | jq -r --arg overlay "$overlay" '.items[] |
      select(.kind == "DaemonSet" or .kind == "Deployment") | . as $w | .spec.template.spec as $p | '"$1"
  done
}

EverythingIsValidToTheLastField() {
  need_schema
  local folder output
  for folder in "${overlays[@]/#/overlays/}" election; do
    kustomize "$folder" >"$case_dir/all.yaml"
    output=$(validate "$case_dir/all.yaml") || fail "$folder: $output"
  done
}

# Each of these breaks the host overlay in one place.
WhatIsInvalidIsFound() {
  need_schema
  local edit error
  while IFS='|' read -r edit error; do
    kustomize overlays/host | sed -E "$edit" >"$case_dir/all.yaml"
    expect_eq "$edit" "$error" "$(validate "$case_dir/all.yaml" | sed -E 's/-[a-z0-9]{10}:/-HASH:/')"
  done <<'CASES'
s/periodSeconds: 1$/periodSecs: 1/|DaemonSet/podroute: spec.template.spec.containers[0].startupProbe.periodSecs: no such field
s/hostNetwork: true/hostNetwork: "true"/|DaemonSet/podroute: spec.template.spec.hostNetwork: 'true' is not bool
s/maxUnavailable: .*/maxUnavailable: [1]/|DaemonSet/podroute: spec.updateStrategy.rollingUpdate.maxUnavailable: [1] is not a number or a string
s/^        name: podroute$/        tty: false/|DaemonSet/podroute: spec.template.spec.containers[0].name: required
s/failureThreshold: 60/failureThreshold: sixty/|DaemonSet/podroute: spec.template.spec.containers[0].startupProbe.failureThreshold: 'sixty' is not int
s/^  PODROUTE_MODE: host/  PODROUTE_MODE: 1/|ConfigMap/podroute-HASH: data.PODROUTE_MODE: 1 is not str
s/^kind: DaemonSet/kind: DemonSet/|DemonSet/podroute: no such kind in apps/v1
s/^apiVersion: apps.v1/apiVersion: v1/|DaemonSet/podroute: no such kind in v1
/^kind: ServiceAccount/,/^---/s/^  namespace: .*//|ServiceAccount/podroute: metadata.namespace: required
CASES
}

ImagesCarryThisVersion() {
  need_kubectl
  local version
  version=$(sed -n 's/.*kVersion = "\(.*\)".*/\1/p' "$root/controller/version.h")
  expect_eq "images of another version" "" \
    "$(of_workloads '$p.containers[].image' | grep -v ":$version\$" || true)"
}

# With the host's network and nothing else of the host's, and no right that is not named in image_test.
EveryContainerIsConfined() {
  need_kubectl
  expect_eq "containers without these bounds" "" "$(of_workloads '$p.containers[] |
    select((.securityContext | .allowPrivilegeEscalation == false and .readOnlyRootFilesystem and
      .capabilities.drop == ["ALL"] and .seccompProfile.type == "RuntimeDefault" and .privileged == null) | not) |
    "\($overlay) \($w.kind) \(.name)"')"
  expect_eq "pods in more of the host's namespaces" "" \
    "$(of_workloads 'select($p.hostPID or $p.hostIPC or ($p.hostNetwork | not)) | "\($overlay) \($w.kind)"')"
  expect_eq "what is mounted of the host" "/etc/cni/net.d
/opt/cni/bin
/proc/sys/net" "$(of_workloads '$p.volumes[].hostPath.path // empty' | sort -u)"
}

# The sidecars too: a pod is ready when all of it is.
EveryContainerIsProbedAndHasItsShare() {
  need_kubectl
  expect_eq "containers without" "" "$(of_workloads '$p.containers[] |
    select((.startupProbe and .livenessProbe and .readinessProbe and .resources.requests.cpu and
      .resources.requests.memory) | not) | "\($overlay) \($w.kind) \(.name)"')"
  expect_eq "how many are replaced at once" "DaemonSet 10%
Deployment 1" "$(of_workloads '$w.spec | .updateStrategy // .strategy | select(.type == "RollingUpdate") |
    "\($w.kind) \(.rollingUpdate.maxUnavailable)"' | sort -u)"
}

# A network must run first and everywhere: before the node is ready, and among the last to be evicted.
TheAgentRunsOnEveryNodeWhateverItsTaints() {
  need_kubectl
  local agents
  agents=$(of_workloads 'select($w.kind == "DaemonSet") | $p.tolerations | tojson' | sort -u)
  expect_eq "tolerations" '[{"operator":"Exists"}]' "$agents"
  expect_eq "priority" "Deployment system-cluster-critical
DaemonSet system-node-critical" "$(of_workloads '"\($w.kind) \($p.priorityClassName)"' | sort -u -k2)"
}

TheRoutersReplicasRunBeforeNodesAreReadyAndApart() {
  need_kubectl
  local taint
  for taint in node.kubernetes.io/not-ready node.kubernetes.io/network-unavailable \
    node.cloudprovider.kubernetes.io/uninitialized podroute.io/network-unavailable \
    node-role.kubernetes.io/control-plane node-role.kubernetes.io/master; do
    expect_eq "overlays that tolerate $taint" "router-bird router-frr" \
      "$(of_workloads "select(\$w.kind == \"Deployment\" and any(\$p.tolerations[]; .key == \"$taint\")) | \$overlay" |
        paste -sd' ')"
  done
  expect_eq "a dead node keeps its replica" "" "$(of_workloads \
    'select($w.kind == "Deployment" and any($p.tolerations[]; .key == null or .key == "node.kubernetes.io/unreachable")) |
      $overlay')"
  expect_eq "replicas, and how many on one node" "2 kubernetes.io/hostname" "$(of_workloads 'select($w.kind == "Deployment") |
    "\($w.spec.replicas) \($p.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[].topologyKey)"' |
    sort -u)"
}

# An agent and a controller may share a node, whose network is theirs.
NoTwoPodsWantTheSamePort() {
  need_kubectl
  expect_eq "probed ports" "DaemonSet 9434
Deployment 9435" "$(of_workloads '"\($w.kind) \($p.containers[] | .startupProbe, .livenessProbe, .readinessProbe |
    .httpGet.port // empty)"' | sort -u)"
  expect_eq "probes of other addresses than the node's own" "" "$(of_workloads \
    '$p.containers[] | .startupProbe, .livenessProbe, .readinessProbe | .httpGet // empty | select(.host != "127.0.0.1")')"
}

run_tests "$@"
