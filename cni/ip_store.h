// Address reservations on disk, in the format of the reference host-local plugin
// (containernetworking plugins, plugins/ipam/host-local/backend/disk), so that both can use one
// store at one moment:
//
//   DATADIR/NETWORK/lock                 flock(2)ed, exclusive, around everything
//   DATADIR/NETWORK/10.244.2.7           "CONTAINERID\r\nIFNAME": who has it
//   DATADIR/NETWORK/last_reserved_ip.0   the address last given out from range set 0
//
// Beside it, and only for speed, ours alone:
//
//   DATADIR/.podroute/NETWORK/CONTAINERID@IFNAME   a symbolic link with the text
//   "10.244.2.7,fd00::7"
//
// The reference plugin reads every file to find a container's; with the link it is one readlink. A
// link is a hint: what counts is the reservation file, which is read before anything is believed.
//
// A reservation appears with its whole content at once (it is written aside and moved into place),
// so a kill at any moment leaves no empty file, which the reference plugin would keep for ever.
#ifndef PODROUTE_CNI_IP_STORE_H_
#define PODROUTE_CNI_IP_STORE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "cni/cni_types.h"

namespace podroute {

struct Reservation {
  IpAddress address;
  CniAttachment owner;  // An empty interface: written by a plugin older than 0.7.

  bool operator==(const Reservation&) const = default;
};

// One network's reservations, locked from Open to destruction against every other process that uses
// them. Not thread-safe. Errors name the path.
class IpStore {
 public:
  // Makes the directories where they are missing and waits for the lock.
  static Result<IpStore> Open(const std::string& data_dir, const std::string& network);
  // As Open, but NotFound when the network has no directory: then it has no reservations either.
  static Result<IpStore> OpenExisting(const std::string& data_dir, const std::string& network);

  // Whether `address` was free and is now `owner`'s, and the last of `set`.
  Result<bool> Reserve(const IpAddress& address, const CniAttachment& owner, size_t set);
  Result<bool> IsReserved(const IpAddress& address) const;
  // The address last given out from `set`; nullopt when none was or the file is damaged.
  std::optional<IpAddress> LastReserved(size_t set) const;

  // Every address that is reserved, sorted. Reads names only.
  Result<std::vector<IpAddress>> Addresses() const;
  // Every reservation, by address. Reads every file. Empty ones, and what is no reservation, are
  // left out.
  Result<std::vector<Reservation>> All() const;

  // Makes a file and removes it.
  Status CheckWritable() const;

  // The addresses that `owner` has: by its link, or where that says nothing by reading all files.
  Result<std::vector<IpAddress>> AddressesOf(const CniAttachment& owner) const;
  // By the link alone: quick, and blind to what the reference plugin reserved.
  std::vector<IpAddress> LinkedAddressesOf(const CniAttachment& owner) const;
  // Makes the link, once `owner` has all its addresses. Best effort: it is for speed only.
  void Link(const CniAttachment& owner, const std::vector<IpAddress>& addresses);

  // Gives `address` back if it is `owner`'s. Somebody else's, or a free one, is left as it is.
  Status Release(const IpAddress& address, const CniAttachment& owner);
  // Gives back all that `owner` has, and its link. OK when that is nothing.
  Status ReleaseAll(const CniAttachment& owner);

 private:
  IpStore(std::string directory, std::string link_directory, UniqueFd directory_fd, UniqueFd lock);
  static Result<IpStore> Lock(std::string directory, std::string link_directory);

  Status KeepLastReserved(const std::string& address, size_t set);
  std::string PathOf(const IpAddress& address) const;
  std::string LinkName(const CniAttachment& owner) const;
  std::optional<CniAttachment> OwnerOf(const IpAddress& address) const;

  std::string directory_;
  std::string link_directory_;
  UniqueFd directory_fd_;
  UniqueFd lock_;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_IP_STORE_H_
