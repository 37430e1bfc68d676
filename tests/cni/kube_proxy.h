// What kube-proxy leaves in the kernel, as commands.
#ifndef PODROUTE_TESTS_CNI_KUBE_PROXY_H_
#define PODROUTE_TESTS_CNI_KUBE_PROXY_H_

#include <string>
#include <vector>

namespace podroute {

// Rules of kube-proxy's shape: a service 10.96.0.1:80 and a node port 30080, both to pod b.
struct Proxy {
  const char* name;
  const char* needs;
  std::vector<std::string> commands;
};

inline std::vector<std::string> WithIptables(const std::string& iptables) {
  std::vector<std::string> commands;
  for (const char* rule :
       {"-N KUBE-SERVICES", "-N KUBE-MARK-MASQ", "-N KUBE-SEP", "-N KUBE-POSTROUTING",
        "-N KUBE-NODEPORTS", "-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING", "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
        "-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp --dport 80 -j KUBE-SEP",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
        "-A KUBE-NODEPORTS -p tcp --dport 30080 -j KUBE-MARK-MASQ",
        "-A KUBE-NODEPORTS -p tcp --dport 30080 -j KUBE-SEP",
        "-A KUBE-SEP -p tcp -j DNAT --to-destination 10.1.0.3:80",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully"}) {
    commands.push_back(iptables + " -w -t nat " + rule);
  }
  return commands;
}

inline std::vector<Proxy> Proxies() {
  return {{"iptables-nft", "iptables-nft -V", WithIptables("iptables-nft")},
          {"iptables-legacy", "iptables-legacy -t nat -L", WithIptables("iptables-legacy")},
          {"nftables",
           "nft -v",
           {"nft add table ip kube-proxy",
            "nft add map ip kube-proxy service-ips '{ type ipv4_addr . inet_proto . inet_service : "
            "verdict; }'",
            "nft add map ip kube-proxy service-nodeports '{ type inet_proto . inet_service : "
            "verdict; }'",
            "nft add chain ip kube-proxy nat-prerouting '{ type nat hook prerouting priority "
            "dstnat; }'",
            "nft add chain ip kube-proxy nat-output '{ type nat hook output priority -100; }'",
            "nft add chain ip kube-proxy nat-postrouting '{ type nat hook postrouting priority "
            "srcnat; }'",
            "nft add chain ip kube-proxy services", "nft add chain ip kube-proxy endpoint",
            "nft add chain ip kube-proxy external",
            "nft add rule ip kube-proxy nat-prerouting jump services",
            "nft add rule ip kube-proxy nat-output jump services",
            "nft add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap "
            "@service-ips",
            "nft add rule ip kube-proxy services fib daddr type local meta l4proto . th dport vmap "
            "@service-nodeports",
            "nft add rule ip kube-proxy endpoint meta l4proto tcp dnat to 10.1.0.3:80",
            "nft add rule ip kube-proxy external meta mark set mark or 0x4000",
            "nft add rule ip kube-proxy external goto endpoint",
            "nft add element ip kube-proxy service-ips '{ 10.96.0.1 . tcp . 80 : goto endpoint }'",
            "nft add element ip kube-proxy service-nodeports '{ tcp . 30080 : goto external }'",
            "nft add rule ip kube-proxy nat-postrouting mark and 0x4000 != 0 mark set mark xor "
            "0x4000 masquerade fully-random"}}};
}

// Its services are IPVS's, which only the mark tells from other traffic behind routing.
inline Proxy IpvsProxy() {
  Proxy proxy{"ipvs", "ipset list && ipvsadm -ln", {}};
  proxy.commands = {
      "echo 1 > /proc/sys/net/ipv4/vs/conntrack",
      "ip link add kube-ipvs0 type dummy && ip addr add 10.96.0.1/32 dev kube-ipvs0",
      "ipvsadm -A -t 10.96.0.1:80 -s rr && ipvsadm -a -t 10.96.0.1:80 -r 10.1.0.3:80 -m",
      "ipvsadm -A -t 192.168.9.1:30080 -s rr && ipvsadm -a -t 192.168.9.1:30080 -r 10.1.0.3:80 -m",
      "ipset create KUBE-LOOP-BACK hash:ip,port,ip && "
      "ipset add KUBE-LOOP-BACK 10.1.0.3,tcp:80,10.1.0.3",
      "ipset create KUBE-NODE-PORT-TCP bitmap:port range 0-65535 && "
      "ipset add KUBE-NODE-PORT-TCP 30080"};
  for (const char* rule :
       {"-N KUBE-SERVICES", "-N KUBE-MARK-MASQ", "-N KUBE-NODE-PORT", "-N KUBE-POSTROUTING",
        "-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING", "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
        "-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ",
        "-A KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully"}) {
    proxy.commands.push_back(std::string("iptables -w -t nat ") + rule);
  }
  return proxy;
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_KUBE_PROXY_H_
