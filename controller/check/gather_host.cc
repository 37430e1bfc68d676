#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "cni/conflist.h"
#include "cni/link_ops.h"
#include "controller/check/gather.h"
#include "controller/check/gather_filter.h"
#include "controller/check/gather_pods.h"
#include "controller/check/gather_routes.h"
#include "controller/check/networkd_conf.h"
#include "controller/check/probe.h"
#include "controller/masquerader.h"
#include "controller/node_infos.h"
#include "controller/pod_network.h"
#include "routing/local_network_reader.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void GatherSysctls(HostFacts* host) {
  std::vector<std::string> names = {
      "net/ipv4/ip_forward",
      "net/ipv6/conf/all/forwarding",
      "net/ipv4/conf/all/rp_filter",
      "net/bridge/bridge-nf-call-iptables",
      "net/bridge/bridge-nf-call-ip6tables",
  };
  for (const LocalLink& link : host->local.links) {
    for (const char* name : {"/forwarding", "/rp_filter"}) {
      names.push_back("net/ipv4/conf/" + link.name + name);
    }
    for (const char* name : {"/forwarding", "/disable_ipv6", "/accept_ra"}) {
      names.push_back("net/ipv6/conf/" + link.name + name);
    }
  }
  for (const std::string& name : names) {
    Result<std::string> text = ReadFile("/proc/sys/" + name, 4096);
    if (text.ok()) host->sysctls[name] = text->substr(0, text->find('\n'));
  }
}

// Uplinks with an IPv6 address that has a lifetime, by router advertisements (RFC 4862) or DHCPv6.
void GatherAutoconfigured(const std::vector<LocalLink>& uplinks, HostFacts* host) {
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) return;
  for (const LocalLink& link : uplinks) {
    Result<std::vector<AddressDetails>> addresses = LinkOps(**netlink).AddressesOf(link.ifindex);
    if (!addresses.ok()) continue;
    for (const AddressDetails& own : *addresses) {
      const IpAddress& address = own.address.address;
      if (address.is_v4() || address.IsLinkLocal() || (own.flags & IFA_F_PERMANENT) != 0) continue;
      host->autoconfigured.push_back(link.name);
      break;
    }
  }
}

// By netlink: /proc/sys has them in the machine's own network namespace only.
void GatherNeighbourLimits(HostFacts* host, std::vector<Skipped>* skipped) {
  NetlinkBatch request;
  request.Begin(RTM_GETNEIGHTBL, NLM_F_DUMP, ndtmsg{});
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  Result<DumpResult> dump =
      netlink.ok() ? (*netlink)->Dump(request,
                                      [&](const NetlinkMessage& message) {
                                        auto fixed = message.Fixed<ndtmsg>();
                                        if (!fixed) return;
                                        NetlinkAttributes attributes(
                                            message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));
                                        // A table's parameters for one link come beside.
                                        if (!attributes.has(NDTA_THRESH3)) return;
                                        const bool v4 = fixed->ndtm_family == AF_INET;
                                        if (!v4 && fixed->ndtm_family != AF_INET6) return;
                                        host->sysctls[std::string("net/") + (v4 ? "ipv4" : "ipv6") +
                                                      "/neigh/default/gc_thresh3"] =
                                            std::to_string(attributes.U32(NDTA_THRESH3));
                                      })
                   : netlink.status();
  if (!dump.ok()) skipped->push_back({"the neighbour tables' limits", dump.status().message()});
}

// What a plugin does instead of answering VERSION (CNI spec, section 2); empty: it answers.
std::string WhyBroken(const std::string& path) {
  SubprocessOptions call;
  call.argv = {path};
  call.environment = {{"CNI_COMMAND", "VERSION"}};
  call.stdin_text = R"({"cniVersion":"1.0.0"})";
  call.timeout = std::chrono::seconds(5);
  StopToken stop;
  Result<SubprocessResult> answer = RunSubprocess(call, &stop);
  if (!answer.ok()) return answer.status().message();
  if (answer->signal != 0 || answer->exit_code != 0) return DescribeExit(*answer);
  const bool versions = answer->out.find("\"supportedVersions\"") != std::string::npos;
  return versions ? "" : "it says \"" + Printable(answer->out, 100) + "\"";
}

void GatherCniFiles(const Options& options, HostFacts* host, std::vector<Skipped>* skipped) {
  host->conf_dir = options.cni_conf_dir;
  host->bin_dir = options.cni_bin_dir;
  host->network = options.cni_network_name;
  host->data_dir = options.cni_data_dir;
  // Container runtimes call the second for the loopback link of each pod.
  for (const char* plugin : {"/podroute-cni", "/loopback"}) {
    const std::string path = options.cni_bin_dir + plugin;
    if (access(path.c_str(), X_OK) != 0) {
      host->missing_plugins.push_back(path);
    } else if (std::string why = WhyBroken(path); !why.empty()) {
      host->broken_plugins.emplace_back(path, why);
    }
  }
  if (host->conf_dir.empty()) return;
  Result<std::string> text = ReadFile(host->conf_dir + "/10-podroute.conflist");
  if (text.ok()) {
    host->conflist = *text;
  } else if (text.status().code() != StatusCode::kNotFound) {
    skipped->push_back({"the CNI configuration", text.status().message()});
    host->conf_dir.clear();
    return;
  }
  for (const std::string& name : Names(host->conf_dir)) {
    bool counts = name.ends_with(".conf") || name.ends_with(".conflist") || name.ends_with(".json");
    std::error_code error;
    if (std::filesystem::is_directory(host->conf_dir + "/" + name, error)) continue;
    if (counts && host->first_conf.empty()) host->first_conf = name;
  }
  // Multus calls for each pod what its file delegates to: ours by name, file or content.
  Result<std::string> first = ReadFile(host->conf_dir + "/" + host->first_conf, 1 << 20);
  host->first_conf_delegates = first.ok() && first->find("\"multus") != std::string::npos &&
                               first->find("podroute") != std::string::npos;
}

// systemd's version; 0: not known.
int InstalledSystemd() {
  int version = 0;
  for (const std::string directory :
       {"/usr/lib/systemd", "/usr/lib64/systemd", "/usr/lib/x86_64-linux-gnu/systemd",
        "/usr/lib/aarch64-linux-gnu/systemd"}) {
    for (const std::string& name : Names(directory)) {
      version = std::max(version, SystemdVersion(name));
    }
  }
  return version;
}

// What networkd would do, where it runs.
void GatherNetworkd(HostFacts* host, std::vector<Skipped>* skipped) {
  std::error_code error;
  // Where it is merely installed, systemd-tmpfiles makes this folder with empty ones in it.
  const std::string netif = "/run/systemd/netif";
  const bool idle = std::filesystem::exists(netif + "/links", error) &&
                    Names(netif + "/links").empty() &&
                    !std::filesystem::exists(netif + "/state", error);
  host->networkd = std::filesystem::exists(netif, error) && !idle;
  // Process 1 is podroute itself in a pod's container, which has neither /run nor /etc of the node.
  Result<std::string> init = ReadFile("/proc/1/comm", 64);
  if (!host->networkd && init.ok() && *init == "podroute\n") {
    skipped->push_back({"systemd-networkd", "this container does not see the node's files"});
  }
  host->networkd_manages_foreign = true;
  host->networkd_manages_nexthops = InstalledSystemd() >= 256;  // The first that does.
  std::vector<std::vector<std::string>> drop_ins;
  std::vector<std::string> paths;
  for (const char* root : kSystemdRoots) {
    const std::string main = std::string(root) + "/systemd/networkd.conf";
    if (paths.empty() && std::filesystem::exists(main, error)) paths.push_back(main);
    drop_ins.push_back(Names(main + ".d"));
  }
  for (const auto& [root, name] : OrderDropIns(drop_ins)) {
    paths.push_back(std::string(kSystemdRoots[root]) + "/systemd/networkd.conf.d/" + name);
  }
  for (const std::string& path : paths) {
    Result<std::string> text = ReadFile(path, 1 << 20);
    if (!text.ok()) continue;
    if (auto routes = NetworkdBoolean(*text, "ManageForeignRoutes")) {
      host->networkd_manages_foreign = *routes;
    }
    if (auto nexthops = NetworkdBoolean(*text, "ManageForeignNextHops")) {
      host->networkd_manages_nexthops = *nexthops;
    }
  }
}

void GatherMasquerade(const Options& options, HostFacts* host, std::vector<Skipped>* skipped) {
  if (!WhyNotMasqueraded(options).empty()) return;
  Result<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Create(NETLINK_NETFILTER);
  Result<MasqueradeState> state = socket.ok() ? MasqueradeTable(**socket).Read() : socket.status();
  if (state.ok()) {
    host->masquerade = *state;
  } else {
    skipped->push_back({"masquerading", state.status().message()});
  }
}

void GatherProbes(const ClusterFacts& cluster, const Node& self, uint32_t bytes, HostFacts* host,
                  std::vector<Skipped>* skipped) {
  host->probes = PodProbes(*host, self);
  for (const auto& node : cluster.nodes) {
    if (node->name == self.name) continue;
    for (const std::string& text : node->internal_ips) {
      Result<IpAddress> address = IpAddress::Parse(text);
      if (address.ok()) host->probes.push_back({node->name, *address, ProbeFact::Of::kNode, bytes});
    }
    for (const std::string& text : node->pod_cidrs) {
      Result<IpPrefix> cidr = IpPrefix::Parse(text);
      // What is wrong with one that is refused is said, and no packet goes there.
      if (!cidr.ok() ||
          !std::binary_search(host->pod_networks.begin(), host->pod_networks.end(), *cidr)) {
        continue;
      }
      const IpAddress gateway = cidr->address().Plus(1);
      host->probes.push_back({node->name, gateway, ProbeFact::Of::kBridge, bytes, Reached::kNo,
                              BridgeAddress(*host, gateway.family())});
    }
  }
  Status probed = Probe(&host->probes);
  if (probed.ok()) {
    // Pods come and go.
    std::erase_if(host->probes, [](const ProbeFact& probe) {
      return probe.of == ProbeFact::Of::kPod && if_nametoindex(probe.node.c_str()) == 0;
    });
    return;
  }
  host->probes.clear();
  skipped->push_back({"whether the other nodes, and pods here, answer", probed.message()});
}

}  // namespace

void GatherHost(const Options& options, const Node* self, CheckFacts* facts,
                std::vector<Skipped>* skipped) {
  HostFacts host;
  Result<LocalNetwork> local = ReadLocalNetwork();
  if (!local.ok()) {
    skipped->push_back({"this machine", local.status().message()});
    return;
  }
  host.local = *local;
  host.bridge_ports = Names("/sys/class/net/" + std::string(kBridgeName) + "/brif");
  GatherSysctls(&host);
  GatherNeighbourLimits(&host, skipped);
  GatherCniFiles(options, &host, skipped);
  GatherPods(&host, skipped);
  GatherNetworkd(&host, skipped);
  GatherFilter(&host, skipped);
  if (self != nullptr) {
    std::vector<LocalLink> uplinks = LinksOfNode(*self, host.local);
    for (const LocalLink& link : uplinks) host.uplinks.push_back(link.name);
    GatherAutoconfigured(uplinks, &host);
    if (!uplinks.empty()) host.wanted_mtu = PodMtu(uplinks);
    DesiredOptions wanted{self->name, options.cluster_cidrs, facts->cluster->api_server};
    DesiredResult desired = DesiredRoutes(ToNodeInfos(facts->cluster->nodes), host.local, wanted);
    std::vector<std::string> problems;
    host.pod_cidrs = UsablePodCidrs(*self, desired.refused, &problems);
    host.pod_networks = desired.pod_networks;
    facts->cluster->refused = desired.refused;
    if (!host.pod_cidrs.empty()) GatherMasquerade(options, &host, skipped);
    const bool direct = options.mode == Mode::kHost;
    Status read = GatherRoutes(options, direct ? desired.routes : RouteSet(), &host);
    if (!read.ok()) skipped->push_back({"this machine's routes", read.message()});
    Status asked = GatherPolicy(options, *self, *facts->cluster, &host);
    if (!asked.ok()) skipped->push_back({"rules of policy routing", asked.message()});
    host.uplink_mtu = host.wanted_mtu;
    uint32_t bytes = host.wanted_mtu != 0 ? host.wanted_mtu : 1500;
    if (options.cni_mtu != 0) host.wanted_mtu = options.cni_mtu;
    GatherProbes(*facts->cluster, *self, bytes, &host, skipped);
  } else {
    skipped->push_back({"routes, MTU and the other nodes", "they need the cluster's Nodes"});
  }
  facts->host = std::move(host);
}

}  // namespace podroute
