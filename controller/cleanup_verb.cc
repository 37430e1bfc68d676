#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cni/conflist.h"
#include "cni/host_view.h"
#include "cni/link_ops.h"
#include "cni/link_removal.h"
#include "cni/nat_layout.h"
#include "cni/store_removal.h"
#include "controller/agent_presence.h"
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

constexpr std::chrono::milliseconds kStorePatience{10'000};

Status CanRemove(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return Status::Ok();
  }
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return Status::Ok();
  return Status::FromErrno(errno, "remove " + path);
}

// What libcni still lists, with a network namespace that has gone, gets no DEL of ours any more:
// the plugin goes too.
class ViewBeforeRemoval : public LinuxHostView {
 public:
  Listing ListingOf(const std::string& network, const CniAttachment& owner) override {
    Listing listing = LinuxHostView::ListingOf(network, owner);
    return listing == Listing::kNamespaceGone ? Listing::kNone : listing;
  }
};

std::string Reservations(size_t count) {
  return std::to_string(count) + (count == 1 ? " address is" : " addresses are") +
         " reserved in it";
}

// Prints what it does; each step returns whether something was there, removed or left.
class Cleanup {
 public:
  explicit Cleanup(const Options& options)
      : options_(options), files_({options.cni_bin_dir, options.cni_conf_dir}, "") {}

  // Before anything goes: nothing is half removed by somebody who may not remove it all.
  Status Prepare() {
    PODROUTE_ASSIGN_OR_RETURN(backend_, KernelBackend::Create(ToKernelOptions(options_)));
    PODROUTE_RETURN_IF_ERROR(backend_->CheckPermission());
    const CniDirectories& directories = files_.directories();
    if (!directories.conf.empty()) PODROUTE_RETURN_IF_ERROR(CanRemove(directories.Conflist()));
    if (directories.bin.empty()) return Status::Ok();
    PODROUTE_RETURN_IF_ERROR(CanRemove(directories.Plugin()));
    return CanRemove(options_.cni_data_dir + "/" + options_.cni_network_name);
  }

  // First: without it the kubelet starts no more pods here, whose network would be half gone. When
  // it cannot be removed nothing else is either.
  Status RemoveConflist() {
    if (options_.cni_conf_dir.empty()) return Status::Ok();
    PODROUTE_ASSIGN_OR_RETURN(bool removed, files_.RemoveConflist());
    if (removed) Say("removed " + files_.directories().Conflist());
    return Status::Ok();
  }

  Status RemoveRoutes() {
    PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, backend_->RemoveAllOwned());
    if (removed.routes + removed.nexthops > 0) {
      Say("removed " + std::to_string(removed.routes) + " routes and " +
          std::to_string(removed.nexthops) + " nexthop objects");
    }
    if (removed.nexthops_in_use > 0) {
      SayLeft(std::to_string(removed.nexthops_in_use) +
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
      SayLeft(name + " and the plugin: " + std::to_string(pods) +
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
      SayLeft(name + ": links that are not ours are attached to it");
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

  // After the plugin, which no ADD can reserve anything with any more.
  Status RemoveReservations() {
    if (options_.cni_bin_dir.empty()) return Status::Ok();
    ViewBeforeRemoval host;
    const std::string store = options_.cni_data_dir + "/" + options_.cni_network_name;
    PODROUTE_ASSIGN_OR_RETURN(
        StoreRemoval removal,
        RemoveStore(options_.cni_data_dir, options_.cni_network_name, host, kStorePatience));
    if (removal.removed) Say("removed " + store);
    if (removal.ours > 0) SayLeft(store + ": " + Reservations(removal.ours) + " for pods");
    if (removal.ours == 0 && removal.others > 0) {
      Say("kept " + store + ": " + Reservations(removal.others) + " by another network's plugin");
    }
    if (!removal.other_name.empty()) {
      Say("kept " + store + ": " + removal.other_name + " is the same directory");
    }
    return Status::Ok();
  }

  void RemoveLeftovers() const { files_.RemoveLeftovers(); }

  // The end: an error when something of ours is left.
  Result<int> Conclude() const {
    if (!left_.empty()) {
      return Status(StatusCode::kUnavailable, "cleanup is not complete, left " + left_);
    }
    if (!found_) std::printf("nothing of podroute's is left here\n");
    return 0;
  }

 private:
  void Say(const std::string& line) {
    found_ = true;
    std::printf("%s\n", line.c_str());
  }
  void SayLeft(const std::string& line) {
    Say("left " + line);
    if (left_.empty()) left_ = line;
  }

  Status RemoveTable(const char* table, uint8_t family) {
    PODROUTE_ASSIGN_OR_RETURN(bool removed, RemoveNftTable(table, family));
    if (removed) Say("removed " + ShowNftTable(table, family));
    return Status::Ok();
  }

  const Options& options_;
  const CniFiles files_;
  std::unique_ptr<KernelBackend> backend_;
  bool found_ = false;
  std::string left_;  // The first thing of ours that is.
};

Status AgentRuns() {
  return Status(StatusCode::kUnavailable,
                "podroute run is running on this machine and would put everything back: stop it "
                "first");
}

// Nothing of a node's is on a router.
Result<int> CleanupRouter(const Options& options) {
  // Of a daemon's routes it is not the mark that says which are ours.
  const bool kernel = options.router.backend == BackendKind::kKernel;
  if (AgentKeeps(kernel ? KeptWithMarkBy(options) : KeptBy(options))) return AgentRuns();
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
    const std::string left = "left " + std::to_string(removed.nexthops_in_use) +
                             " nexthop objects that routes which are not ours refer to";
    std::printf("%s\n", left.c_str());
    return Status(StatusCode::kUnavailable, "cleanup is not complete, " + left);
  }
  return 0;
}

}  // namespace

Result<int> CleanupVerb(const Options& options) {
  if (options.mode == Mode::kRouter) return CleanupRouter(options);
  if (AgentKeeps(KeptWithMarkBy(options))) return AgentRuns();
  Cleanup cleanup(options);
  PODROUTE_RETURN_IF_ERROR(cleanup.Prepare());
  if (AgentKeeps(KeptBy(options))) {
    // With another mark: these are routes of its past, and the rest is its own.
    PODROUTE_RETURN_IF_ERROR(cleanup.RemoveRoutes());
    return cleanup.Conclude();
  }
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveConflist());
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveRoutes());
  PODROUTE_RETURN_IF_ERROR(cleanup.RemoveMasquerading());
  PODROUTE_ASSIGN_OR_RETURN(bool pods_attached, cleanup.RemoveBridge());
  if (!pods_attached) {
    PODROUTE_RETURN_IF_ERROR(cleanup.RemoveNftTables());
    PODROUTE_RETURN_IF_ERROR(cleanup.RemovePlugin());
    PODROUTE_RETURN_IF_ERROR(cleanup.RemoveReservations());
  }
  cleanup.RemoveLeftovers();
  return cleanup.Conclude();
}

}  // namespace podroute
