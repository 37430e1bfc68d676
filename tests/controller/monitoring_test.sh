#!/usr/bin/env bash
# What manifests/monitoring holds is what Prometheus and Grafana take, and so is what podroute serves.
set -euo pipefail

command -v promtool >/dev/null || {
  echo "SKIPPED: no promtool (Debian package prometheus)"
  exit 0
}
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT
cd manifests/monitoring
promtool check rules alerts.yaml
promtool test rules alerts_test.yaml
# That test has each of them fire, and has a sound cluster where it does not.
while read -r alert; do
  grep -A1 "alertname: $alert$" alerts_test.yaml | grep -q 'exp_alerts:$' || { echo "$alert is never seen to fire"; exit 1; }
  grep -q "alertname: $alert, exp_alerts: \[\]}" alerts_test.yaml || { echo "$alert is never seen silent"; exit 1; }
done < <(sed -n 's/.*- alert: //p' alerts.yaml)
promtool check config --syntax-only scrape.yaml

python3 - dashboard.json "$rules" <<'PYTHON'
import json
import sys

dashboard = json.load(open(sys.argv[1]))
panels = dashboard["panels"]
assert dashboard["title"] == "podroute" and dashboard["schemaVersion"] >= 37
assert len({panel["id"] for panel in panels}) == len(panels) > 10
taken = set()
for panel in panels:
    assert panel["targets"] and all(target["expr"] for target in panel["targets"]), panel["title"]
    place = panel["gridPos"]
    cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])}
    assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"] + ": lies on another"
    taken |= cells
# Each expression, as promtool reads it.
rules = [{"record": "panel", "expr": target["expr"].replace("$instance", ".*")}
         for panel in panels for target in panel["targets"]]
rules = [dict(rule, record=f"panel:{number}") for number, rule in enumerate(rules)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, open(sys.argv[2], "w"))
PYTHON
promtool check rules "$rules"
