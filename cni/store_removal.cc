#include "cni/store_removal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/ip_prefix.h"
#include "cni/ip_store.h"
#include "cni/reclaim.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

Status Unlink(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::Ok();
  return Status::FromErrno(errno, "remove " + path);
}

// One that is not empty, or is a mount point, stays: false.
Result<bool> RemoveEmpty(const std::string& directory) {
  if (rmdir(directory.c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY) return false;
  return Status::FromErrno(errno, "remove " + directory);
}

// ".taken.NETWORK.ADDRESS": another network's name may begin with this one's.
bool IsTakenIndex(std::string_view name, const std::string& network) {
  const std::string prefix = ".taken." + network + ".";
  return name.starts_with(prefix) && IpAddress::Parse(name.substr(prefix.size())).ok();
}

// What is ours alone, beside the network's directory.
Status RemoveOwnFiles(const std::string& data_dir, const std::string& network) {
  const std::string own = data_dir + "/.podroute";
  const std::string links = own + "/" + network;
  for (const std::string& name : NamesIn(links)) {
    // As the store names them; whatever else is there is not ours.
    if (name.find('@') == std::string::npos) continue;
    PODROUTE_RETURN_IF_ERROR(Unlink(std::string(links).append("/").append(name)));
  }
  PODROUTE_RETURN_IF_ERROR(RemoveEmpty(links).status());
  for (const std::string& name : NamesIn(own)) {
    bool its = name == ".spare." + network || name == ".spare-link." + network ||
               IsTakenIndex(name, network);
    if (its) PODROUTE_RETURN_IF_ERROR(Unlink(std::string(own).append("/").append(name)));
  }
  return RemoveEmpty(own).status();
}

// What both plugins keep beside reservations, and nobody needs when there are none.
bool IsKept(const std::string& name) {
  return name == "lock" || name == ".podroute.new" || name.starts_with("last_reserved_ip.");
}

// The network's directory under another name: two networks may share a store by a bind mount, and
// whoever uses the other name would be left without one.
std::string OtherNameOf(const std::string& data_dir, const std::string& network) {
  struct stat own;
  if (stat((data_dir + "/" + network).c_str(), &own) != 0) return "";
  for (const std::string& name : NamesIn(data_dir)) {
    struct stat other;
    std::string path = std::string(data_dir).append("/").append(name);
    if (name == network || lstat(path.c_str(), &other) != 0) continue;
    if (other.st_dev == own.st_dev && other.st_ino == own.st_ino) return path;
  }
  return "";
}

// The lock goes last: who waits for it finds the directory gone, and makes another.
Result<bool> RemoveDirectory(const std::string& directory) {
  const std::vector<std::string> names = NamesIn(directory);
  if (!std::all_of(names.begin(), names.end(), IsKept)) return false;
  for (const std::string& name : names) {
    if (name == "lock") continue;
    PODROUTE_RETURN_IF_ERROR(Unlink(std::string(directory).append("/").append(name)));
  }
  PODROUTE_RETURN_IF_ERROR(Unlink(directory + "/lock"));
  return RemoveEmpty(directory);
}

Result<StoreRemoval> Count(const IpStore& store) {
  StoreRemoval left;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<IpAddress> reserved, store.Addresses());
  std::vector<IpAddress> linked;
  for (const OwnerLink& link : store.Links()) {
    std::vector<IpAddress> its = store.LinkedAddressesOf(link.owner);
    linked.insert(linked.end(), its.begin(), its.end());
  }
  for (const IpAddress& address : reserved) {
    bool ours = std::find(linked.begin(), linked.end(), address) != linked.end();
    ++(ours ? left.ours : left.others);
  }
  return left;
}

}  // namespace

Result<StoreRemoval> RemoveStore(const std::string& data_dir, const std::string& network,
                                 HostView& host, std::chrono::milliseconds timeout) {
  const std::string directory = data_dir + "/" + network;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    PODROUTE_RETURN_IF_ERROR(RemoveOwnFiles(data_dir, network));
    return StoreRemoval();
  }
  PODROUTE_ASSIGN_OR_RETURN(IpStore store, IpStore::OpenExisting(data_dir, network, timeout));
  Reclaim(store, network, host, ReclaimScope::kEverything);
  PODROUTE_ASSIGN_OR_RETURN(StoreRemoval removal, Count(store));
  if (removal.ours > 0) return removal;
  PODROUTE_RETURN_IF_ERROR(RemoveOwnFiles(data_dir, network));
  if (removal.others > 0) return removal;
  removal.other_name = OtherNameOf(data_dir, network);
  if (!removal.other_name.empty()) return removal;
  PODROUTE_ASSIGN_OR_RETURN(removal.removed, RemoveDirectory(directory));
  (void)RemoveEmpty(data_dir);  // Whosever it is; an empty directory is in nobody's way.
  return removal;
}

}  // namespace podroute
