#!/usr/bin/env bash
# podroute check on a sound lab, and with one fault after another.
# shellcheck source=test_lib.sh
source "$(dirname "$0")/test_lib.sh"

check() { lab exec master1 podroute check --cluster_cidr=10.244.0.0/16,fd00:10:244::/48 --output=json "$@"; }

ids() { jq -r '[.findings[].id] | unique | join(" ")'; }

clean() { check >/dev/null; }

await_clean() {
  local deadline=$((SECONDS + 10)) report
  until report=$(check); do
    ((SECONDS < deadline)) || fail "still there: $(jq -c '.findings[] | [.id, .what]' <<<"$report")"
    sleep 0.01
  done
}

# ID EXIT PLANT...: the fault is found, and what is printed mends it.
finds() {
  local id=$1 expected=$2 report code=0 mend
  shift 2
  "$@" >/dev/null
  report=$(check) || code=$?
  expect_eq "exit code for $id" "$expected" "$code"
  jq -e --arg id "$id" 'any(.findings[]; .id == $id)' <<<"$report" >/dev/null ||
    fail "$id is not among: $(ids <<<"$report")"
  mend=$(jq -r --arg id "$id" '[.findings[] | select(.id == $id)][0].mend' <<<"$report")
  # What a person has to do, or an editor.
  [[ $mend != "# "* && $mend != *" edit "* && $mend != "kubectl "* ]] || return 0
  lab exec master1 bash -c "$mend" >/dev/null
  await_clean
}

on() { lab exec master1 "$@"; }

sound_lab() {
  lab_up --nodes 3 "$@"
  local node
  for node in master1 worker1 worker2; do lab pod "$node" "pod-$node" >/dev/null; done
}

ASoundLabHasNoFindingsOnAnyNode() {
  sound_lab --dual-stack
  local node
  for node in master1 worker1 worker2; do
    expect_eq "$node" "nothing found" "$(lab exec "$node" podroute check)"
  done
  expect_eq "from elsewhere" "" "$(lab exec apiserver podroute check --output=json | ids)"
}

# Bridges are there before any pod.
without_pods() {  # CHECK_MODE LAB_FLAGS...
  local mode=$1 node
  shift
  lab_up --nodes 3 "$@"
  for node in master1 worker1 worker2; do
    expect_eq "$node" "nothing found" "$(lab exec "$node" podroute check --mode="$mode")"
  done
}
WithoutPodsASoundLabHasNoFindings() { without_pods host; }
WithoutPodsASoundDualStackLabHasNoFindings() { without_pods host --dual-stack; }
WithoutPodsASoundRouterModeLabHasNoFindings() { without_pods local --mode router; }

ASoundRouterModeLabHasNoFindings() {
  sound_lab --mode router
  expect_eq "worker1" "nothing found" "$(lab exec worker1 podroute check --mode=local)"
  check() { lab exec master1 podroute check --mode=local --output=json; }
  finds RouteBypassed 2 on ip rule add to 10.244.2.0/24 blackhole
  finds RouteBypassed 2 on ip route add blackhole 10.244.2.0/24
  on ip route delete blackhole 10.244.2.0/24
  finds RouteBypassed 2 on ip rule add to 10.244.1.0/24 prohibit
  finds ForeignRoute 2 on ip route add 10.244.1.128/25 via 192.168.0.254
  finds ForeignRoute 2 on ip route add blackhole 10.244.2.128/25
}

EachFaultOfTheNodeIsFoundAndMended() {
  sound_lab
  await_clean
  local port
  port=$(on ls /sys/class/net/cni0/brif)
  finds ReversePathStrict 1 on sysctl -qw net.ipv4.conf.eth0.rp_filter=1
  finds LinkForwardingOff 2 on sysctl -qw net.ipv4.conf.eth0.forwarding=0
  finds BridgeMtu 1 on ip link set cni0 mtu 1400
  finds PodMtu 1 on ip link set "$port" mtu 1400
  finds PodMtu 1 lab exec pod-master1 ip link set eth0 mtu 1400
  lab exec pod-master1 ip link set eth0 mtu 1500
  finds PodCutOff 2 on ip link set "$port" down
  finds PodCutOff 2 on ip link set "$port" nomaster
  finds PodCutOff 2 lab exec pod-master1 ip link set eth0 down
  lab exec pod-master1 ip link set eth0 up
  lab exec pod-master1 ip route replace default via 10.244.1.1
  await_clean
  finds ConflistOrder 2 on bash -c 'echo "{}" >/run/cni/net.d/05-other.conf'
  # Runtimes read files only.
  on mkdir /run/cni/net.d/05-old.conf
  clean
  finds RouteShadowed 2 on ip route add 10.244.2.0/24 via 192.168.0.254
  finds RouteShadowed 2 on ip route add blackhole 10.244.2.0/24
  finds ForeignRoute 2 on ip route add 10.244.2.128/25 via 192.168.0.254
  finds ForeignRoute 2 on ip route add blackhole 10.244.1.128/25
  finds ForwardPolicyDrop 2 on iptables-nft -P FORWARD DROP
  finds ForwardRuleDrops 2 on iptables-nft -A FORWARD -s 10.244.0.0/16 -j DROP
  finds ForwardRuleDrops 2 on iptables-nft -I FORWARD -i cni0 -o eth+ -m comment --comment "not these" -j REJECT
  finds ForwardRuleDrops 2 on nft 'table inet other { chain p { type filter hook prerouting priority -300; ip saddr { 10.0.0.0/8, 172.16.0.0/12 } iifname "cni*" drop; }; }'
  finds ForwardPolicyDrop 2 on nft 'table inet other { chain f { type filter hook forward priority 0; policy drop; }; }'
  lab agent master1 stop
  finds ForwardingOff 2 on sysctl -qw net.ipv4.ip_forward=0
}

in_pod() { lab exec second "$@"; }

EachFaultOfAPodIsFound() {
  sound_lab --dual-stack
  lab pod master1 second >/dev/null
  await_clean
  local port address state
  port=$(on ip -o link show master cni0 | sed -n '$s/^[0-9]*: \([^@]*\)@.*/\1/p')
  finds HairpinOff 1 on bridge link set dev "$port" hairpin off
  finds PodIsolated 1 on bridge link set dev "$port" isolated on
  # shellcheck disable=SC2016  # inside
  on bash -c 'for port in $(ls /sys/class/net/cni0/brif); do bridge link set dev "$port" isolated on; done'
  not check >"$case_dir/report" || fail "isolated pods are not found"
  expect_eq "two that are isolated" "PodIsolated error PodIsolated error" \
    "$(jq -r '[.findings[] | .id, .severity] | join(" ")' "$case_dir/report")"
  on bash -ec "$(jq -r '.findings[].mend' "$case_dir/report")"
  await_clean
  for state in disabled listening learning; do
    finds PodCutOff 2 on bridge link set dev "$port" state "$state"
  done
  address=$(in_pod ip -4 -o address show eth0 | grep -oE '10[0-9.]+/24' | head -n1)
  finds PodRouteMissing 2 in_pod ip route delete default
  finds PodRouteMissing 2 in_pod ip route add default via 10.244.1.99
  in_pod ip route replace default via 10.244.1.1
  finds PodRouteMissing 2 in_pod ip -6 route delete default
  in_pod ip -6 route add default via fd00:10:244:1::1
  await_clean
  local v6
  v6=$(in_pod ip -6 -o address show eth0 scope global | grep -oE 'fd00[0-9a-f:]+/64')
  finds PodAddressWrong 1 in_pod ip address delete "$v6" dev eth0
  in_pod bash -c "ip address add $v6 dev eth0 nodad && ip -6 route replace default via fd00:10:244:1::1"
  await_clean
  finds PodAddressWrong 2 in_pod bash -c "ip address add 10.244.1.77/24 dev eth0 && ip address delete $address dev eth0"
  finds PodAddressWrong 2 in_pod ip address flush dev eth0
  finds PodAddressWrong 2 in_pod ip address add 10.244.9.7/16 dev eth0
  in_pod ip address flush dev eth0
  in_pod bash -ec "ip address add $address dev eth0; ip address add $v6 dev eth0 nodad
    ip route add default via 10.244.1.1; ip -6 route replace default via fd00:10:244:1::1"
  await_clean
  finds PodSilent 1 in_pod sysctl -qw net.ipv4.icmp_echo_ignore_all=1
  in_pod sysctl -qw net.ipv4.icmp_echo_ignore_all=0
  await_clean
  finds PodSilent 1 on ip neighbour replace "${address%/*}" lladdr 0a:58:01:02:03:04 nud permanent dev cni0
  on ip neighbour delete "${address%/*}" dev cni0
  lab pod-delete master1 second
  await_clean
}

# WHAT CMD...: it is done, and nothing is found.
stays_sound() {
  local what=$1 report
  shift
  "$@" >/dev/null || fail "$what: cannot be made"
  report=$(check) || fail "$what: $(jq -c '.findings[] | [.id, .what]' <<<"$report")"
  expect_eq "findings: $what" "" "$(ids <<<"$report")"
}

of_another_network() {  # a pod on master1 with an MTU of its own and no hairpin mode
  on ip netns add other
  # shellcheck disable=SC2016  # inside
  on bash -ec 'jq ". as \$list | .plugins[0] +
      {cniVersion: \$list.cniVersion, name: \"other\", mtu: 1300, hairpinMode: false}" \
      /run/cni/net.d/10-podroute.conflist |
    CNI_COMMAND=ADD CNI_CONTAINERID=other CNI_NETNS=/run/netns/other CNI_IFNAME=eth0 CNI_PATH=/run/cni/bin \
      /run/cni/bin/podroute-cni
    # A bridge takes on the least MTU of its ports.
    ip link set cni0 mtu 1500'
}

UnusualNodesAndPodsAreSound() {
  sound_lab --dual-stack
  lab pod master1 second >/dev/null
  await_clean
  stays_sound "another network's pod" of_another_network
  stays_sound "multus" on bash -c "echo '{\"type\": \"multus-shim\", \"name\": \"multus-cni-network\",
    \"clusterNetwork\": \"/host/etc/cni/net.d/10-podroute.conflist\"}' >/run/cni/net.d/00-multus.conf"
  stays_sound "a pod with a second address" in_pod ip address add 10.50.0.1/32 dev eth0
  stays_sound "a second uplink" on bash -ec '
    ip link add eth1 type veth peer name eth2 && ip link set eth1 up && ip link set eth2 up
    ip address add 172.20.1.1/24 dev eth1 && ip address add 192.168.0.101/24 dev eth0'
  stays_sound "Docker's rules, and an exception for pods" on bash -ec '
    iptables-nft -P FORWARD DROP
    iptables-nft -N DOCKER-USER && iptables-nft -A FORWARD -j DOCKER-USER
    iptables-nft -A DOCKER-USER -i cni0 -j ACCEPT && iptables-nft -A DOCKER-USER -o cni0 -j ACCEPT
    iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE'
  stays_sound "rules of a VPN" on bash -ec '
    ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
    ip rule add priority 5250 fwmark 0x80000/0xff0000 unreachable
    ip rule add priority 30000 lookup main suppress_prefixlength 0
    ip rule add priority 30001 not fwmark 0xca6c lookup 51820
    ip route add default via 192.168.0.254 table 51820'
  stays_sound "a pod with a second link, and its default route there" in_pod bash -ec '
    ip link add eth1 type veth peer name eth2 && ip link set eth1 up && ip link set eth2 up
    ip address add 172.31.0.5/24 dev eth1 && ip route add 10.244.0.0/16 via 10.244.1.1
    ip route replace default via 172.31.0.1'
  lab api PATCH /api/v1/nodes/master1/status -o /dev/null -H 'Content-Type: application/merge-patch+json' --data \
    '{"status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}, {"type": "ExternalIP", "address":
      "203.0.113.1"}, {"type": "InternalIP", "address": "172.20.1.1"}, {"type": "InternalIP", "address": "fd00:192:168::1"}]}}'
  stays_sound "a second InternalIP" true
  lab exec worker1 podroute check --output=json >"$case_dir/report" || fail "as worker1 sees it: $(ids <"$case_dir/report")"
}

APodThatIsAboutToStartIsNotJudged() {
  lab_up --nodes 1
  lab pod master1 second >/dev/null
  await_clean
  local port
  port=$(on ls /sys/class/net/cni0/brif)
  # On a busy machine its start may take too long, once.
  starting() {
    on ip link set "$port" nomaster
    (sleep 0.3 && on ip link set "$port" master cni0 && on bridge link set dev "$port" hairpin on) &
    local code=0
    clean || code=$?
    wait $!
    return "$code"
  }
  wait_for 30 starting
}

RouterAdvertisementsThatAreIgnoredAreFound() {
  sound_lab --dual-stack
  on sysctl -qw net.ipv6.conf.eth0.accept_ra=1
  await_clean
  finds RouterAdvertisementsIgnored 1 on ip address add 2001:db8::7/64 dev eth0 valid_lft 3600 preferred_lft 3600
  expect_eq "accept_ra" 2 "$(on cat /proc/sys/net/ipv6/conf/eth0/accept_ra)"
}

EachRuleThatBypassesRoutesIsFoundAndMended() {
  sound_lab --dual-stack
  await_clean
  on ip route add 10.244.2.0/24 via 192.168.0.254 table 100
  on ip route add blackhole 10.244.1.0/24 table 100
  on ip -6 route add default via fd00:192:168::fe table 100
  # Rules for other traffic, for marked packets, and after main's.
  on ip rule add from 172.16.0.0/12 lookup 100
  on ip rule add fwmark 7 lookup 100
  on ip rule add iif eth7 lookup 100
  on ip rule add priority 32770 lookup 100
  clean
  local kind selector
  for selector in "to 10.244.2.0/24" "to 10.244.2.128/25" "from 10.244.1.0/24" "from 10.244.1.7" "iif cni0"; do
    # shellcheck disable=SC2086  # words
    finds RouteBypassed 2 on ip rule add $selector lookup 100
  done
  for kind in blackhole prohibit unreachable; do
    finds RouteBypassed 2 on ip rule add from 10.244.1.0/24 "$kind"
    finds RouteBypassed 2 on ip -6 rule add to fd00:10:244:2::/64 "$kind"
  done
  finds RouteBypassed 2 on ip rule add from 192.168.0.1 lookup 100
  finds RouteBypassed 2 on ip rule add iif eth0 to 10.244.1.0/24 lookup 100
  finds RouteBypassed 2 on ip rule add to 10.244.2.0/24 ipproto tcp dport 80 lookup 100
  finds RouteBypassed 2 on ip rule add not fwmark 7 lookup 100
  finds RouteBypassed 2 on ip -6 rule add from fd00:10:244:2::/64 lookup 100
  finds RouteBypassed 2 on ip -6 rule delete lookup main
  finds RouteBypassed 2 on ip route add local 10.244.2.0/24 dev lo table local
  finds RouteBypassed 2 on ip -6 route add fd00:10:244:2::/64 from fd00:10:244:1::/64 via fd00:192:168::fe
  on ip -6 route delete fd00:10:244:2::/64 from fd00:10:244:1::/64
  clean
}

ForeignRoutesAreFoundAndThoseOfSinglePodsAreNot() {
  sound_lab --dual-stack
  await_clean
  finds ForeignRoute 2 on ip route add 10.244.1.128/25 via 192.168.0.254
  finds ForeignRoute 2 on ip route add 10.244.1.9 dev eth0
  finds ForeignRoute 2 on ip -6 route add fd00:10:244:1::/64 via fd00:192:168::fe metric 100
  finds ForeignRoute 2 on ip route add 10.244.2.128/25 dev cni0
  finds ForeignRoute 2 on ip -6 route add fd00:10:244:2:8000::/65 dev cni0
  finds RouteShadowed 2 on ip route add 10.244.2.0/24 dev cni0
  finds RouteShadowed 1 on ip route add 10.244.2.0/24 via 192.168.0.2
  finds RouteShadowed 2 on ip route prepend 10.244.2.0/24 via 192.168.0.254 metric 110
  # As kindnet has its pods.
  on ip link add veth7 type veth peer name veth8
  on ip link set veth7 up
  on ip link set veth8 up
  on ip route add 10.244.1.200 dev veth7
  clean
  # In the place of ours, which the agent cannot make again: the kernel takes no second one.
  finds RouteShadowed 2 on ip route replace 10.244.2.0/24 via 192.168.0.254 metric 110 proto static
  finds RouteShadowed 2 on ip route replace blackhole 10.244.2.0/24 metric 110 proto 110
}

EachFaultThatTheAgentWouldMendIsFound() {
  sound_lab
  lab agent master1 stop
  finds NetworkTaint 1 lab kubectl taint node master1 podroute.io/network-unavailable=:NoSchedule
  lab agent worker1 stop
  lab kubectl taint node worker1 podroute.io/network-unavailable=:NoSchedule >/dev/null
  expect_eq "from elsewhere" "NetworkTaint NetworkTaint" \
    "$(lab exec apiserver podroute check --output=json | jq -r '[.findings[].id] | join(" ")')"
  lab agent worker1 start
  lab agent master1 start && await_clean && lab agent master1 stop
  finds BridgeAddressWrong 2 on ip address delete 10.244.1.1/24 dev cni0
  finds BridgeDown 2 on ip link set cni0 down
  lab pod-delete master1 pod-master1
  finds BridgeMissing 2 on ip link delete cni0
  lab agent master1 start && await_clean && lab agent master1 stop
  on bash -c 'ip link delete cni0; ip link add cni0 type veth peer name other
    ip link set cni0 up; ip address add 10.99.0.1/24 dev cni0'
  lab agent master1 start
  finds BridgeMissing 2 true
  lab agent master1 stop
  finds RouteMissing 2 on ip route delete 10.244.2.0/24 proto 110 metric 110
  lab agent master1 start && await_clean && lab agent master1 stop
  finds RouteStale 1 on ip route add 10.244.99.0/24 via 192.168.0.3 proto 110 metric 110
  lab agent master1 start && await_clean && lab agent master1 stop
  finds MasqueradeTooWide 1 on nft flush set inet podroute unmasqueraded4
  finds MasqueradeMissing 2 on nft delete table inet podroute
  lab agent master1 start && await_clean && lab agent master1 stop
  finds ConflistEdited 2 on bash -c 'echo >>/run/cni/net.d/10-podroute.conflist'
  finds ConflistMissing 2 on rm /run/cni/net.d/10-podroute.conflist
  finds PluginBroken 2 on truncate -s 1000 /run/cni/bin/podroute-cni
  finds PluginBroken 2 on bash -c ': >/run/cni/bin/loopback'
  finds PluginMissing 2 on rm /run/cni/bin/loopback
  finds PluginMissing 2 on rm /run/cni/bin/podroute-cni
  lab agent master1 start
  await_clean
}

# As they look from master1: the node answers and its bridge does not.
AnotherNodesBridgeIsMissed() {
  lab_up --nodes 2 --dual-stack
  await_clean
  lab agent worker1 stop
  finds BridgeSilent 2 lab exec worker1 ip link set cni0 down
  lab exec worker1 podroute check --output=json >"$case_dir/report" || true
  expect_eq "on the node itself" "BridgeAddressWrong BridgeDown" "$(ids <"$case_dir/report")"
  lab agent worker1 start && await_clean && lab agent worker1 stop
  finds BridgeSilent 2 lab exec worker1 ip link delete cni0
  lab exec worker1 podroute check --output=json >"$case_dir/report" || true
  expect_eq "on the node itself" "BridgeMissing" "$(ids <"$case_dir/report")"
  lab agent worker1 start && await_clean && lab agent worker1 stop
  # Pods there are reached, and their answers get lost.
  finds BridgeSilent 2 lab exec worker1 ip route delete 10.244.1.0/24 proto 110 metric 110
  lab agent worker1 start && await_clean
  finds MasqueradedByOthers 1 on iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE
}

config_map() {  # NAME KEY TEXT
  jq -n --arg name "$1" --arg key "$2" --arg text "$3" \
    '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: $name, namespace: "kube-system"}, data: {($key): $text}}' |
    lab api POST /api/v1/namespaces/kube-system/configmaps -o /dev/null -H 'Content-Type: application/json' --data-binary @-
}

EachFaultOfTheClusterIsFound() {
  sound_lab
  await_clean
  finds KubeProxyCidr 1 config_map kube-proxy config.conf 'clusterCIDR: 10.96.0.0/12'
  lab kubectl -n kube-system delete configmap kube-proxy >/dev/null
  finds KubeadmCidr 1 config_map kubeadm-config ClusterConfiguration $'networking:\n  podSubnet: 10.96.0.0/12'
  lab kubectl -n kube-system delete configmap kubeadm-config >/dev/null
  config_map kube-proxy config.conf 'clusterCIDR: 10.244.0.0/16'
  clean
  lab kubectl -n kube-system delete configmap kube-proxy >/dev/null
  finds KubeProxyCidr 1 config_map kube-proxy config.conf 'clusterCIDR: 10.0.0.0/8'
  lab kubectl -n kube-system delete configmap kube-proxy >/dev/null
  finds KubeProxyCidr 0 config_map kube-proxy config.conf $'clusterCIDR: 10.0.0.0/8\ndetectLocalMode: NodeCIDR'
  lab kubectl -n kube-system delete configmap kube-proxy >/dev/null
  finds PathMtu 2 lab exec worker1 ip link set eth0 mtu 1400
  lab exec worker1 ip link set eth0 mtu 1500
  await_clean
  finds NodeUnreachable 2 lab exec worker1 sysctl -qw net.ipv4.icmp_echo_ignore_all=1
  lab exec worker1 sysctl -qw net.ipv4.icmp_echo_ignore_all=0
  await_clean
  finds NodeMissing 2 lab kubectl delete node master1
  lab register master1
  await_clean
  finds DuplicateNodeAddress 2 lab api PATCH /api/v1/nodes/worker2/status -H 'Content-Type: application/merge-patch+json' \
    --data '{"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.2"}]}}'
  local limit
  limit=$(on ip ntable show name arp_cache | grep -oE 'thresh3 [0-9]+' | head -n1 | cut -d' ' -f2)
  lab api POST "/_test/nodes?count=$((limit / 2 + 1))" -o /dev/null
  expect_contains "many nodes" NeighbourTableSmall "$(check | ids)"
  lab apiserver stop
  finds ClusterUnreachable 2 true
}

# Which the agents refuse too.
APodCidrThatHoldsTheApiServerIsFoundFromElsewhere() {
  lab_up --nodes 1
  expect_eq "before" "" "$(lab exec apiserver podroute check --output=json | ids)"
  lab api POST /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data-binary \
    '{"apiVersion":"v1","kind":"Node","metadata":{"name":"worker9"},"spec":{"podCIDR":"192.168.0.252/30","podCIDRs":["192.168.0.252/30"]},
      "status":{"addresses":[{"type":"InternalIP","address":"192.168.0.9"}]}}'
  local report
  report=$(lab exec apiserver podroute check --output=json) && fail "nothing found"
  expect_eq "findings" RouteRefused "$(ids <<<"$report")"
  expect_contains "what" "API server" "$report"
}

WrongAddressesOfTheNodeAndItsBridgeAreFound() {
  sound_lab --dual-stack
  await_clean
  finds BridgeAddressWrong 2 on ip address add 10.244.1.1/16 dev cni0
  finds BridgeAddressWrong 2 on sysctl -qw net.ipv6.conf.cni0.disable_ipv6=1
  finds BridgeRouteMissing 2 on ip route delete 10.244.1.0/24 dev cni0
  finds BridgeRouteMissing 2 on ip -6 route delete fd00:10:244:1::/64 dev cni0
  local status='{"status":{"addresses":[{"type":"InternalIP","address":"%s"}]}}'
  patch() {
    # shellcheck disable=SC2059  # it is a format
    lab api PATCH "/api/v1/nodes/$1/status" -H 'Content-Type: application/merge-patch+json' --data "$(printf "$status" "$2")"
  }
  finds NodeAddressMissing 2 patch master1 192.168.0.1
  lab kubectl delete node master1 >/dev/null
  lab register master1
  await_clean
  on ip link add eth1 type veth peer name eth2
  on ip link set eth1 up
  on ip link set eth2 up
  on ip address add 172.16.9.9/24 dev eth1
  finds NodeAddressOtherLink 2 patch master1 172.16.9.9
  # Nobody answers that by a link, and the pods are not to blame.
  patch master1 127.0.0.1 >/dev/null
  local report
  report=$(check) && fail "127.0.0.1 is no address for others"
  [[ $(ids <<<"$report") != *Pod* ]] || fail "pods are blamed: $(ids <<<"$report")"
}

# In the node's own mount namespace, and on its own /run.
NetworkdThatManagesForeignRoutesIsFound() {
  lab_up --nodes 1
  lab pod master1 pod-master1 >/dev/null
  await_clean
  on mkdir -p /run/etc-systemd/networkd.conf.d /run/systemd/networkd.conf.d
  on mount --bind /run/etc-systemd /etc/systemd
  # Installed, and not running.
  on mkdir -p /run/systemd/netif/{links,leases,lldp}
  clean
  on touch /run/systemd/netif/state
  local report manage="printf '[Network]\\nManageForeignNextHops=no\\nManageForeignRoutes=%s\\n'"
  report=$(check) && fail "nothing found"
  expect_eq "findings" ManageForeignRoutes "$(ids <<<"$report")"
  # There is none to restart.
  on bash -c "systemctl() { :; }; $(jq -r '.findings[0].mend' <<<"$report")"
  clean
  on rm /etc/systemd/networkd.conf.d/zz-podroute.conf
  on bash -c "$manage OFF >/etc/systemd/networkd.conf"
  clean
  on bash -c "$manage 1 >/run/systemd/networkd.conf.d/99-other.conf"
  report=$(check) && fail "a drop-in that sorts last does not count"
  on bash -c "systemctl() { :; }; $(jq -r '.findings[0].mend' <<<"$report")"
  clean
}

AWrongNameIsNoNode() {
  lab_up --nodes 1
  local code=0 report
  report=$(check --node_name=master2) || code=$?
  expect_eq "exit code" 2 "$code"
  expect_contains "findings" NodeMissing "$(ids <<<"$report")"
  code=0
  report=$(lab exec apiserver env NODE_NAME=nobody podroute check --output=json) || code=$?
  expect_eq "exit code by environment" 2 "$code"
  expect_eq "findings by environment" NodeMissing "$(ids <<<"$report")"
}

AnMtuThatDoesNotFitIsFound() {
  lab_up --nodes 2 -- --cni_mtu=9000
  local node report code=0
  for node in master1 worker1; do lab pod "$node" "pod-$node" >/dev/null; done
  report=$(check --cni_mtu=9000) || code=$?
  expect_eq "exit code" 1 "$code"
  expect_eq "findings" PodMtuTooLarge "$(ids <<<"$report")"
}

AWrongFlagIsToldFromAFinding() {
  lab_up --nodes 1 --mode none
  local code=0
  check --output=frr 2>/dev/null || code=$?
  expect_eq "exit code" 3 "$code"
}

run_tests "$@"
