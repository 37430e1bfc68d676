# Sourced, after test_lib.sh, by tests of the manifests.
# shellcheck shell=bash
# Debian's own, which has Debian's modules.
python=/usr/bin/python3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

need_kubectl() {
  command -v "${KUBECTL:-kubectl}" >/dev/null || skip "there is no kubectl: apt-get install kubernetes-client"
  $python -c 'import yaml' 2>/dev/null || skip "python3 has no yaml: apt-get install python3-yaml"
}

# What `kubectl apply -k` would send, of a folder below manifests/.
kustomize() {  # FOLDER
  local copy=${case_dir:?}/manifests output=$case_dir/${1//\//-}.yaml
  # kustomize follows no links out of its folder, and a test's files are links.
  [[ -d $copy ]] || cp -rL "$root/manifests" "$copy"
  # It warns about the fields that older versions need.
  [[ -e $output ]] || "${KUBECTL:-kubectl}" kustomize "$copy/$1" >"$output" 2>"$case_dir/errors" ||
    fail "kubectl kustomize $1: $(<"$case_dir/errors")"
  cat "$output"
}

# YAML documents as one List, in JSON.
to_list() {
  $python -c 'import json, sys, yaml
print(json.dumps({"kind": "List", "items": [d for d in yaml.safe_load_all(sys.stdin) if d]}))'
}
