#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "cni/conflist.h"
#include "cni/link_ops.h"
#include "cni/link_removal.h"
#include "cni/nat_layout.h"
#include "controller/backend_factory.h"
#include "controller/cni_files.h"
#include "controller/kernel_options.h"
#include "controller/route_keeper.h"
#include "controller/verbs.h"
#include "routing/kernel_backend.h"
#include "routing/masquerade.h"
#include "routing/netlink_socket.h"
#include "routing/nft_codec.h"
#include "routing/nft_table.h"

namespace podroute {
namespace {

// Prints what it does; each step returns whether something was there, removed or left.
class Cleanup {
 public:
  explicit Cleanup(const Options& options)
      : options_(options), files_({options.cni_bin_dir, options.cni_conf_dir}, "") {}

  // First: without it the kubelet starts no more pods here, whose network would be half gone. When
  // it cannot be removed nothing else is either.
  Status RemoveConflist() {
    if (options_.cni_conf_dir.empty()) return Status::Ok();
    PODROUTE_ASSIGN_OR_RETURN(bool removed, files_.RemoveConflist());
    if (removed) Say("removed " + files_.directories().Conflist());
    return Status::Ok();
  }

  Status RemoveRoutes() {
    PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(ToKernelOptions(options_)));
    PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, backend->RemoveAllOwned());
    if (removed.routes + removed.nexthops > 0) {
      Say("removed " + std::to_string(removed.routes) + " routes and " +
          std::to_string(removed.nexthops) + " nexthop objects");
    }
    if (removed.nexthops_in_use > 0) {
      Say("left " + std::to_string(removed.nexthops_in_use) +
          " nexthop objects that routes which are not ours refer to");
    }
    return Status::Ok();
  }

  // The bridge, unless somebody uses it or it is somebody else's. True when pods of ours are
  // attached to it or to any other.
  Result<bool> RemoveBridge() {
    const std::string name(kBridgeName);
    PODROUTE_ASSIGN_OR_RETURN(auto netlink, NetlinkSocket::Create());
    LinkOps ops(*netlink);
    // In whatever network and bridge the plugin was told to put them.
    PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> links, ops.AllLinks());
    auto pods = std::count_if(links.begin(), links.end(), IsHostVeth);
    if (pods > 0) {
      Say("left " + name + " and the plugin: " + std::to_string(pods) +
          (pods == 1 ? " pod is" : " pods are") +
          " attached still; delete them, then run this again");
      return true;
    }
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> bridge, ops.FindLink(name));
    if (!bridge || bridge->kind != "bridge") return false;
    PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> ports, ops.PortsOf(bridge->ifindex));
    PODROUTE_ASSIGN_OR_RETURN(std::vector<AddressDetails> addresses,
                              ops.AddressesOf(bridge->ifindex));
    bool ours = std::any_of(addresses.begin(), addresses.end(), [](const AddressDetails& address) {
      return address.protocol == kOurAddressProtocol;
    });
    // Flannel calls its bridge cni0 too.
    if (!ours) return false;
    if (!ports.empty()) {
      Say("left " + name + ": links that are not ours are attached to it");
      return false;
    }
    PODROUTE_ASSIGN_OR_RETURN(bool removed, RemoveLink(name));
    if (removed) Say("removed " + name);
    return false;
  }

  // With the routes: it is the agent's.
  Status RemoveMasquerading() { return RemoveTable(kMasqueradeTable, kNftInet); }

  // Port mappings, masquerading and address checks of pods, which are gone.
  Status RemoveNftTables() {
    PODROUTE_RETURN_IF_ERROR(RemoveTable(kNatTable, kNftInet));
    return RemoveTable(kNatTable, kNftBridge);
  }

  Status RemovePlugin() {
    if (options_.cni_bin_dir.empty()) return Status::Ok();
    // Before the plugin, by which it is known to be ours.
    PODROUTE_ASSIGN_OR_RETURN(bool loopback, files_.RemoveLoopback());
    if (loopback) Say("removed " + files_.directories().Loopback());
    PODROUTE_ASSIGN_OR_RETURN(bool plugin, files_.RemovePlugin());
    if (plugin) Say("removed " + files_.directories().Plugin());
    return Status::Ok();
  }

  void RemoveLeftovers() const { files_.RemoveLeftovers(); }

  bool found() const { return found_; }

 private:
  void Say(const std::string& line) {
    found_ = true;
    std::printf("%s\n", line.c_str());
  }

  Status RemoveTable(const char* table, uint8_t family) {
    PODROUTE_ASSIGN_OR_RETURN(bool removed, RemoveNftTable(table, family));
    if (removed) Say("removed " + ShowNftTable(table, family));
    return Status::Ok();
  }

  const Options& options_;
  const CniFiles files_;
  bool found_ = false;
};

// Nothing of a node's is on a router.
Result<int> CleanupRouter(const Options& options) {
  RemovedCounts removed;
  if (options.router.backend == BackendKind::kKernel) {
    PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(ToKernelOptions(options)));
    PODROUTE_ASSIGN_OR_RETURN(removed, backend->RemoveAllOwned());
    std::printf("removed %zu routes and %zu nexthop objects\n", removed.routes, removed.nexthops);
  } else {
    PODROUTE_ASSIGN_OR_RETURN(auto backend,
                              MakeDaemonBackend(options, {.may_write = {}, .only_remove = true}));
    PODROUTE_ASSIGN_OR_RETURN(removed, RemoveAllOwned(*backend));
    std::printf("removed %zu routes\n", removed.routes);
  }
  if (removed.nexthops_in_use > 0) {
    std::printf("left %zu nexthop objects that routes which are not ours refer to\n",
                removed.nexthops_in_use);
  }
  return 0;
}

}  // namespace

Result<int> CleanupVerb(const Options& options) {
  if (options.mode == Mode::kRouter) return CleanupRouter(options);
  Cleanup cleanup(options);
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveConflist());
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveRoutes());
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveMasquerading());
  PODROUTE_ASSIGN_OR_RETURN(bool pods_attached, cleanup.RemoveBridge());
  if (!pods_attached) {
    PODROUTE_RETURN_IF_ERROR(cleanup.RemoveNftTables());
    PODROUTE_RETURN_IF_ERROR(cleanup.RemovePlugin());
  }
  cleanup.RemoveLeftovers();
  if (!cleanup.found()) std::printf("nothing of podroute's is left here\n");
  return 0;
}

}  // namespace podroute
