#!/usr/bin/env bash
# Does what flannel's CNI plugin does, which Debian does not have: fills in a configuration for the reference
# `bridge` plugin, and keeps it by container for DEL. What is left on a node is the same.
set -euo pipefail

conf=$(cat)
kept=/var/lib/cni/flannel/$CNI_CONTAINERID
case "$CNI_COMMAND" in
  ADD)
    # FLANNEL_NETWORK, FLANNEL_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ, and the IPv6 ones.
    # shellcheck source=/dev/null
    source /run/flannel/subnet.env
    mkdir -p "${kept%/*}"
    jq --arg v4 "$FLANNEL_SUBNET" --arg v6 "$FLANNEL_IPV6_SUBNET" --arg net4 "$FLANNEL_NETWORK" \
      --arg net6 "$FLANNEL_IPV6_NETWORK" --argjson mtu "$FLANNEL_MTU" '
      def network: if contains(":") then sub("::1/"; "::/") else sub("[.]1/"; ".0/") end;
      .cniVersion as $version | .name as $name | .delegate +
      {name: $name, type: "bridge", cniVersion: $version, ipMasq: false, mtu: $mtu, isGateway: true,
       ipam: {type: "host-local", ranges: [[{subnet: ($v4 | network)}], [{subnet: ($v6 | network)}]],
              routes: [{dst: $net4}, {dst: $net6}]}}' <<<"$conf" >"$kept"
    exec /opt/cni/bin/bridge <"$kept"
    ;;
  DEL)
    [[ -e $kept ]] || exit 0
    plugin=$(jq -r .type "$kept")
    "/opt/cni/bin/$plugin" <"$kept"
    rm "$kept"
    ;;
esac
