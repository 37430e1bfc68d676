#!/usr/bin/env bash
# A node's pods do not notice that their network moves from flannel or kindnet to podroute, or back: the commands
# of docs/migrate.md, under pings every millisecond between old and new pods, of which none is lost.
# shellcheck disable=SC2031  # LAB_NAME is each test case's own
# shellcheck source=test_lib.sh
source "$(dirname "$0")/test_lib.sh"
# shellcheck source=ping_lib.sh
source "$(dirname "$0")/ping_lib.sh"
# shellcheck source=migrate_lib.sh
source "$(dirname "$0")/migrate_lib.sh"

flannel_store=(--cni_network_name=cbr0 --cni_data_dir=/var/lib/cni/networks)
kindnet_store=(--cni_network_name=kindnet --cni_data_dir=/run/cni-ipam-state)

# Two on master1, two on worker1, which ping each other on one node and between both.
old_pods() {
  start_pod master1 old1
  start_pod master1 old2
  start_pod worker1 old3 8080:80
  start_pod worker1 old4
  ping_both old1 old2
  ping_both old1 old3
  ping_both old3 old2
}

new_pods() {
  start_pod master1 new1
  start_pod master1 new2
  start_pod worker1 new3 8081:80
  ping_both new1 old1
  ping_both old2 new1
  ping_both new1 new2
  ping_both new1 old3
  ping_both new1 new3
  ping_both new3 old1
}

# Nobody's route is missing behind the old network's, and the configuration is for its store.
both_routes_are_there() {  # NETWORK DATA_DIR
  local output
  output=$(documented check-routes)
  expect_eq "what docs/migrate.md's check prints" \
    "$(printf '"name":"%s"\n"dataDir":"%s"\n' "$1" "$2" "$1" "$2" "$1" "$2" "$1" "$2")" "$output"
}

only_routes_of_podroute() {
  local node
  for node in "${node_list[@]}"; do
    expect_eq "old routes on $node" "" "$(lab exec "$node" ip route show proto boot | grep '^10.244.* via ' || true)"
    expect_eq "old routes on $node" "" "$(lab exec "$node" ip -6 route show proto boot | grep '^fd00:10:244.* via ' || true)"
  done
}

# From the old network's pods to podroute's, with one of each kind deleted on the way.
to_podroute() {  # PEER NETWORK DATA_DIR
  pings_go_on
  both_routes_are_there "$2" "$3"
  # Still the old network's, whose configuration sorts first.
  start_pod master1 late
  ! made_by_podroute late "$2" || fail "podroute started a pod already"
  documented "$1-conflist-away"
  new_pods
  made_by_podroute new1 "$2" || fail "podroute did not start new1"
  documented old-routes-away
  only_routes_of_podroute
  pings_go_on
  # And there and back again, as the page says that one may.
  documented old-routes-back
  both_routes_are_there "$2" "$3"
  documented old-routes-away
  end_pod late current
  end_pings_of old2
  end_pod old2 cached
  start_pod master1 new4
  documented "$1-rules-away"
  pings_go_on
  end_pings
}

# Whose hostPort works, with a server in the pod.
host_port_works() {  # POD PORT
  bash "${lab_sh:?}" --name "$LAB_NAME" exec "$1" python3 "$lab_dir/web_server.py" 80 "hello from $1" &
  disown
  wait_for 30 fetches_host_port master1 "$2" "hello from $1"
}

nothing_is_left() {
  local node
  for node in "${node_list[@]}"; do expect_eq "left on $node" "" "$(leftovers "$node")"; done
}

podroute_is_gone() {
  agents_gone
  documented podroute-away
}

FlannelToPodroute() {
  migration_lab
  local node
  for node in "${node_list[@]}"; do flannel_on "$node"; done
  old_pods
  host_port_works old3 8080
  agents_with "${flannel_store[@]}"
  to_podroute flannel cbr0 /var/lib/cni/networks
  host_port_works new3 8081
  fetches_host_port master1 8080 "hello from old3" || fail "the old pod's hostPort is gone"
  documented portmap-leftovers
  fetches_host_port master1 8080 "hello from old3" || fail "the hostPort of a pod that runs is gone"
  end_pods current
  documented portmap-leftovers
  documented flannel-files-away
  agents_with "${flannel_store[@]}" --cleanup_on_exit
  podroute_is_gone
  nothing_is_left
}

PodrouteToFlannel() {
  migration_lab
  local node
  agents_with "${flannel_store[@]}"
  old_pods
  made_by_podroute old1 cbr0 || fail "podroute did not start old1"
  documented flannel-handover
  documented old-routes-back
  both_routes_are_there cbr0 /var/lib/cni/networks
  start_pod master1 late
  for node in "${node_list[@]}"; do flannel_on "$node"; done
  documented flannel-handover
  new_pods
  ! made_by_podroute new1 cbr0 || fail "podroute started new1"
  agents_with "${flannel_store[@]}" --cleanup_on_exit
  agents_gone
  pings_go_on
  end_pod late current
  end_pings_of old2
  end_pod old2 cached
  start_pod master1 new4
  end_pings
  host_port_works old3 8080
  host_port_works new3 8081
  end_pods current
  for node in "${node_list[@]}"; do lab exec "$node" ip link del cni0; done
  documented podroute-away
  documented flannel-rules-away
  for node in "${node_list[@]}"; do lab exec "$node" rm /etc/cni/net.d/10-flannel.conflist; done
  documented flannel-files-away
  nothing_is_left
}

KindnetToPodroute() {
  migration_lab
  local node
  for node in "${node_list[@]}"; do kindnet_on "$node"; done
  old_pods
  host_port_works old3 8080
  documented kindnet-bridge
  agents_with "${kindnet_store[@]}"
  to_podroute kindnet kindnet /run/cni-ipam-state
  host_port_works new3 8081
  fetches_host_port master1 8080 "hello from old3" || fail "the old pod's hostPort is gone"
  end_pods current
  documented portmap-leftovers
  documented kindnet-proxies-away
  agents_with "${kindnet_store[@]}" --cleanup_on_exit
  podroute_is_gone
  nothing_is_left
}

# With podroute's usual name: both lead to one store.
PodrouteToKindnet() {
  migration_lab
  local node
  agents_with
  old_pods
  made_by_podroute old1 podroute || fail "podroute did not start old1"
  documented kindnet-same-store
  documented kindnet-back-bridge
  documented old-routes-back
  for node in "${node_list[@]}"; do kindnet_on "$node"; done
  documented kindnet-back-bridge
  new_pods
  ! made_by_podroute new1 podroute || fail "podroute started new1"
  agents_with --cleanup_on_exit
  agents_gone
  pings_go_on
  end_pings_of old2
  end_pod old2 cached
  end_pod old4 current
  start_pod master1 new4
  end_pings
  host_port_works old3 8080
  host_port_works new3 8081
  documented hostport-leftovers
  fetches_host_port master1 8080 "hello from old3" || fail "the hostPort of a pod that runs is gone"
  end_pods current
  documented hostport-leftovers
  for node in "${node_list[@]}"; do
    expect_eq "hostPorts on $node" "" "$(lab exec "$node" nft list table inet podroute-cni 2>/dev/null | grep ctr- || true)"
    lab exec "$node" ip link del cni0
  done
  documented podroute-away
  documented kindnet-rules-away
  for node in "${node_list[@]}"; do lab exec "$node" rm /etc/cni/net.d/10-kindnet.conflist; done
  nothing_is_left
}

run_tests "$@"
