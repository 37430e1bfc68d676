# Sourced, after test_lib.sh, by tests of the manifests.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

need_kubectl() {
  command -v kubectl >/dev/null || skip "there is no kubectl: apt-get install kubernetes-client"
  python3 -c 'import yaml' 2>/dev/null || skip "python3 has no yaml: apt-get install python3-yaml"
}

# What `kubectl apply -k` would send, of a folder below manifests/.
kustomize() {  # FOLDER
  # kustomize follows no links out of its folder, and a test's files are links.
  local copy=$case_dir/manifests
  [[ -d $copy ]] || cp -rL "$root/manifests" "$copy"
  # It warns about the fields that older versions need.
  kubectl kustomize "$copy/$1" 2>"$case_dir/errors" || fail "kubectl kustomize $1: $(<"$case_dir/errors")"
}

# YAML documents as one List, in JSON.
to_list() {
  python3 -c 'import json, sys, yaml
print(json.dumps({"kind": "List", "items": [d for d in yaml.safe_load_all(sys.stdin) if d]}))'
}
