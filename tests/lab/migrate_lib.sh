# Sourced, after test_lib.sh and ping_lib.sh, by migrate_test: nodes as flannel and kindnet leave them, a
# container runtime, and the commands of docs/migrate.md.
# shellcheck shell=bash

declare -A ping_pids  # ping_lib.sh's
node_list=(master1 worker1)
lab_dir=${lab_sh:?}
lab_dir=${lab_dir%/*}
migrate_md=$lab_dir/../../docs/migrate.md

on() {  # NODE: the script on standard input
  lab exec "$1" bash -euo pipefail -s
}

# Runs the block of docs/migrate.md that comes after the comment NAME, on each node; twice, as the page allows.
documented() {  # NAME
  local node block
  block=$(awk -v mark="<!-- $1 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```sh$/ { inside = 1; next }
    inside && /^```$/ { exit }
    inside' "$migrate_md")
  [[ -n $block ]] || fail "docs/migrate.md has no block $1"
  for node in "${node_list[@]}"; do
    lab exec "$node" sh -u -c "$block" || fail "$1 failed on $node"
    lab exec "$node" sh -u -c "$block" || fail "$1 failed on $node the second time"
  done
}

# Two nodes without agents. What pods' networks need is in the places that docs/migrate.md names, and each node's
# own: mounted over those of this machine.
migration_lab() {
  local plugin node
  for plugin in bridge ptp host-local portmap; do
    [[ -x /usr/lib/cni/$plugin ]] || skip "there is no /usr/lib/cni/$plugin: apt-get install containernetworking-plugins"
  done
  lab_up --nodes 2 --dual-stack --mode none
  for node in "${node_list[@]}"; do
    on "$node" <<'SCRIPT'
mkdir -p /run/lab/{etc,opt/cni/bin,var-lib}
cp -a /etc/. /run/lab/etc 2>/dev/null || true  # an ordinary user may not read all of it, nor need it
rm -rf /run/lab/etc/cni  # this machine's
mkdir -p /run/lab/etc/cni/net.d
mount --bind /run/lab/etc /etc
mount --bind /run/lab/opt /opt
mount --bind /run/lab/var-lib /var/lib
cp /usr/lib/cni/{bridge,ptp,host-local,portmap} /opt/cni/bin
SCRIPT
  done
}

number_of() { if [[ $1 == master1 ]]; then echo 1; else echo 2; fi; }

# As both peers add them (RTM_NEWROUTE of their netlink library): metric 0 and protocol boot, and none where
# there is one to that gateway, whosever it is.
peer_routes() {  # NODE
  local other=$((3 - $(number_of "$1")))
  on "$1" <<SCRIPT
[[ -n \$(ip -4 route show 10.244.$other.0/24) ]] ||
  ip -4 route add 10.244.$other.0/24 via 192.168.0.$other dev eth0 proto boot
[[ -n \$(ip -6 route show fd00:10:244:$other::/64) ]] ||
  ip -6 route add fd00:10:244:$other::/64 via fd00:192:168::$other dev eth0 proto boot
SCRIPT
}

# What kube-flannel's DaemonSet with --ip-masq leaves on a node.
flannel_on() {  # NODE
  local n
  n=$(number_of "$1")
  on "$1" <<SCRIPT
mkdir -p /run/flannel
cat >/run/flannel/subnet.env <<ENV
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.$n.1/24
FLANNEL_IPV6_NETWORK=fd00:10:244::/48
FLANNEL_IPV6_SUBNET=fd00:10:244:$n::1/64
FLANNEL_MTU=1500
FLANNEL_IPMASQ=true
ENV
install -m 755 '$lab_dir/flannel_plugin.sh' /opt/cni/bin/flannel
masquerade() {  # IPTABLES CLUSTER OWN MULTICAST
  \$1 -t nat -N FLANNEL-POSTRTG
  \$1 -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
  \$1 -t nat -A FLANNEL-POSTRTG -s "\$3" -d "\$2" -m comment --comment "flanneld masq" -j RETURN
  \$1 -t nat -A FLANNEL-POSTRTG -s "\$2" -d "\$3" -m comment --comment "flanneld masq" -j RETURN
  \$1 -t nat -A FLANNEL-POSTRTG ! -s "\$2" -d "\$3" -m comment --comment "flanneld masq" -j RETURN
  \$1 -t nat -A FLANNEL-POSTRTG -s "\$2" ! -d "\$4" -m comment --comment "flanneld masq" -j MASQUERADE
  \$1 -t nat -A FLANNEL-POSTRTG ! -s "\$2" -d "\$2" -m comment --comment "flanneld masq" -j MASQUERADE
  \$1 -N FLANNEL-FWD
  \$1 -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
  \$1 -A FLANNEL-FWD -s "\$2" -m comment --comment "flanneld forward" -j ACCEPT
  \$1 -A FLANNEL-FWD -d "\$2" -m comment --comment "flanneld forward" -j ACCEPT
}
masquerade iptables 10.244.0.0/16 10.244.$n.0/24 224.0.0.0/4
masquerade ip6tables fd00:10:244::/48 fd00:10:244:$n::/64 ff00::/8
SCRIPT
  peer_routes "$1"
  lab exec "$1" tee /etc/cni/net.d/10-flannel.conflist >/dev/null <<'CONF'
{"name": "cbr0", "cniVersion": "0.3.1", "plugins": [
  {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF
}

# What kind's kindnetd leaves on a node.
kindnet_on() {  # NODE
  local n
  n=$(number_of "$1")
  on "$1" <<'SCRIPT'
masquerade() {  # IPTABLES CLUSTER
  $1 -t nat -N KIND-MASQ-AGENT
  $1 -t nat -A KIND-MASQ-AGENT -d "$2" -m comment --comment "kind-masq-agent: local traffic" -j RETURN
  $1 -t nat -A KIND-MASQ-AGENT -m comment --comment "kind-masq-agent: outbound traffic" -j MASQUERADE
  $1 -t nat -A POSTROUTING -m addrtype ! --dst-type LOCAL -m comment --comment kind-masq-agent -j KIND-MASQ-AGENT
}
masquerade iptables 10.244.0.0/16
masquerade ip6tables fd00:10:244::/48
SCRIPT
  peer_routes "$1"
  lab exec "$1" tee /etc/cni/net.d/10-kindnet.conflist >/dev/null <<CONF
{"cniVersion": "0.3.1", "name": "kindnet", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
   "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
   "ranges": [[{"subnet": "10.244.$n.0/24"}], [{"subnet": "fd00:10:244:$n::/64"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF
}

has_conflist() { lab exec "$1" test -e /etc/cni/net.d/10-podroute.conflist; }

agents_with() {  # FLAGS of the agents: a roll-out
  local node
  for node in "${node_list[@]}"; do
    lab agent "$node" stop
    lab agent "$node" start --mode=host --cni_bin_dir=/opt/cni/bin --cni_conf_dir=/etc/cni/net.d "$@"
    wait_for 30 has_conflist "$node"
    wait_for 30 lab exec "$node" curl -fsS --noproxy '*' http://127.0.0.1:9434/readyz
  done
}

agents_gone() {
  local node
  for node in "${node_list[@]}"; do lab agent "$node" stop; done
}

# --- Pods, by what a container runtime would use at that moment.

declare -A node_of=() v4=() v6=()

start_pod() {  # NODE NAME [HOSTPORT:PORT]...
  local node=$1 pod=$2 other addresses
  on "$node" <<<"ip netns add $pod; ip -n $pod link set lo up"
  addresses=$(lab exec "$node" python3 "$lab_dir/cni_runtime.py" add "${@:2}") || fail "cannot start $pod: $addresses"
  { read -r "v4[$pod]" && read -r "v6[$pod]"; } <<<"$addresses"
  for other in "${!node_of[@]}"; do
    [[ ${v4[$pod]} != "${v4[$other]}" && ${v6[$pod]} != "${v6[$other]}" ]] || fail "$pod has the address of $other"
  done
  node_of[$pod]=$node
  # So that lab.sh finds it.
  jq -n --arg node "$node" '{node: $node}' >"/tmp/podroute-lab-$EUID-${LAB_NAME:?}/pods/$pod"
}

made_by_podroute() {  # POD NETWORK
  [[ $(lab exec "${node_of[$1]}" ip -d link show) == *"alias podroute $2 ctr-$1 eth0"* ]]
}

# With the configuration that is there now (`current`, as containerd) or that the pod was made with (`cached`,
# as CRI-O): its addresses are free, its links and its routes gone.
end_pod() {  # NAME current|cached
  local pod=$1 node=${node_of[$1]} left
  lab exec "$node" python3 "$lab_dir/cni_runtime.py" del "$pod" "$2" || fail "cannot delete $pod"
  left=$(on "$node" <<SCRIPT
ip -n $pod -brief link show eth0 2>/dev/null || true
ip route show ${v4[$pod]}; ip -6 route show ${v6[$pod]}
grep -rls '^ctr-$pod\b' /var/lib/cni/networks /run/cni-ipam-state --exclude-dir=.podroute || true
SCRIPT
  )
  expect_eq "left of $pod" "" "$left"
  lab exec "$node" ip netns delete "$pod"
  rm "/tmp/podroute-lab-$EUID-$LAB_NAME/pods/$pod"
  unset "node_of[$pod]" "v4[$pod]" "v6[$pod]"
}

end_pods() {  # current|cached
  local pod
  for pod in "${!node_of[@]}"; do end_pod "$pod" "$1"; done
}

ping_both() {  # FROM TO
  start_ping "$1-$2-4" "$1" "${v4[$2]}"
  start_ping "$1-$2-6" "$1" "${v6[$2]}"
}

end_pings_of() {  # POD
  local ping
  for ping in "${!ping_pids[@]}"; do
    [[ -$ping- != *-$1-* ]] || end_ping "$ping"
  done
}

pings_go_on() {
  local ping
  for ping in "${!ping_pids[@]}"; do ping_goes_on "$ping"; done
}

# --- What is on a node.

# Of anybody's pod network, beside the pods: nothing, when all of it has gone.
leftovers() {  # NODE
  on "$1" <<'SCRIPT'
iptables -t nat -S | grep -E 'FLANNEL|KIND|CNI-DN' || true
ip6tables -t nat -S | grep -E 'FLANNEL|KIND|CNI-DN' || true
iptables -S | grep -E 'FLANNEL' || true
ip route show proto 110
ip -6 route show proto 110
ip nexthop show
nft list tables | grep podroute || true
ip -brief link show type veth | grep -v eth0 || true
ip -6 neigh show proxy
cat /proc/sys/net/ipv4/conf/cni0/proxy_arp 2>/dev/null | grep -v '^0$' || true
find /run/flannel /var/lib/cni/flannel /etc/cni/net.d /run/cni-ipam-state /var/lib/cni/networks \
  /var/lib/cni/results -type f ! -name lock ! -name 'last_reserved_ip.*' ! -name '.*' 2>/dev/null || true
ls /opt/cni/bin | grep -vxE 'bridge|ptp|host-local|portmap|loopback' || true
SCRIPT
}

fetches_host_port() {  # NODE PORT TEXT
  [[ $(lab exec "$1" curl -sS --noproxy '*' --max-time 5 "http://192.168.0.2:$2/") == "$3" ]]
}
