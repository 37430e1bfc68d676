// Address reservations on disk, in the format of the reference host-local plugin
// (containernetworking plugins, plugins/ipam/host-local/backend/disk), so that both can use one
// store at one moment:
//
//   DATADIR/NETWORK/lock                 flock(2)ed, exclusive, around everything; we keep a mark
//                                        in it that the reference plugin does not look at
//   DATADIR/NETWORK/10.244.2.7           "CONTAINERID\r\nIFNAME": who has it
//   DATADIR/NETWORK/last_reserved_ip.0   the address last given out from range set 0
//
// Beside it, and only for speed, ours alone:
//
//   DATADIR/.podroute/NETWORK/CONTAINERID@IFNAME   a link to what it has: a file with the text
//   "10.244.2.7,fd00::7,@BOOT.PLACE.PID" (host_view.h, ReservationStamp)
//   DATADIR/.podroute/.taken.NETWORK.*             bitmaps (taken_index.h)
//   DATADIR/.podroute/.spare.NETWORK               a file that was a reservation, and will be one
//   DATADIR/.podroute/.spare-link.NETWORK          the same for links
//
// The reference plugin reads every file to find a container's; with the link it is one. A link is a
// hint: what counts is the reservation file, which is read before anything is believed. It is made
// before the reservations, so each one that we made has its link, wherever we are killed.
//
// A reservation appears with its whole content at once (it is written aside and moved into place),
// so a kill at any moment leaves no empty file, which the reference plugin would keep for ever.
//
// The spare files are there because ext4 takes its time for a new file where others were deleted in
// the last minutes (it looks past each of their inodes: 0.2 ms, measured on Linux 6.18), which is
// where pods come and go.
#ifndef PODROUTE_CNI_IP_STORE_H_
#define PODROUTE_CNI_IP_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "cni/cni_types.h"
#include "cni/host_view.h"
#include "cni/taken_index.h"

namespace podroute {

struct Reservation {
  IpAddress address;
  CniAttachment owner;  // An empty interface: written by a plugin older than 0.7.

  bool operator==(const Reservation&) const = default;
};

// A reservation file, seen from outside.
struct ReservationRecord {
  IpAddress address;
  bool empty = false;      // By a process that was killed while it wrote, or a power cut.
  int64_t written_ns = 0;  // Its mtime, in nanoseconds of the wall clock of then.
};

// One of our links, as it is.
struct OwnerLink {
  CniAttachment owner;
  std::vector<IpAddress> addresses;
  std::optional<ReservationStamp> stamp;  // None: made without one.
  int64_t written_ns = 0;
};

// How long an ADD waits for the lock. The reference plugin waits for ever, and the container
// runtime gives up after two to four minutes without knowing why.
inline constexpr std::chrono::milliseconds kLockTimeout{60'000};

// One network's reservations, locked from Open to destruction against every other process that uses
// them. Not thread-safe. Errors name the path.
class IpStore {
 public:
  // Makes the directories where they are missing and waits for the lock; DeadlineExceeded when
  // somebody else keeps it for `timeout`. Uses SIGALRM and the real-time interval timer meanwhile.
  static Result<IpStore> Open(const std::string& data_dir, const std::string& network,
                              std::chrono::milliseconds timeout = kLockTimeout);
  // As Open, but NotFound when the network has no directory: then it has no reservations either.
  static Result<IpStore> OpenExisting(const std::string& data_dir, const std::string& network,
                                      std::chrono::milliseconds timeout = kLockTimeout);

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

  // Every reservation file, by address, and every link. Looks at all of them.
  Result<std::vector<ReservationRecord>> Records() const;
  // Who has `address`; nullopt when nobody has or the file is empty.
  std::optional<CniAttachment> OwnerOf(const IpAddress& address) const;
  std::vector<OwnerLink> Links() const;

  // A text that stays with the store; empty when there is none. And when it was set.
  struct Mark {
    std::string text;
    int64_t written_ns = 0;
  };
  Mark ReadMark() const;
  // Best effort.
  void SetMark(const std::string& text);

  // The last address of the run of taken ones that `address` is in; nullopt when it seems free. A
  // hint, and no hint any more after RereadTaken (taken_index.h).
  Result<std::optional<IpAddress>> EndOfTakenRun(const IpAddress& address);
  Status RereadTaken();

  // Makes a file and removes it.
  Status CheckWritable() const;

  // The addresses that `owner` has: by its link, or where that says nothing by reading all files.
  Result<std::vector<IpAddress>> AddressesOf(const CniAttachment& owner) const;
  // By the link alone: quick, and blind to what the reference plugin reserved.
  std::vector<IpAddress> LinkedAddressesOf(const CniAttachment& owner) const;
  // Makes the link, in place of an older one: the addresses that `owner` is about to get. Best
  // effort: without it, it takes longer to find them, and they come back at the next boot only.
  void Link(const CniAttachment& owner, const std::vector<IpAddress>& addresses,
            const std::optional<ReservationStamp>& stamp = std::nullopt);
  void Unlink(const CniAttachment& owner);

  // Gives `address` back if it is `owner`'s. Somebody else's, or a free one, is left as it is.
  Status Release(const IpAddress& address, const CniAttachment& owner);
  // Gives it back whosever it is.
  Status ReleaseAny(const IpAddress& address);
  // Gives back all that `owner` has, and its link. OK when that is nothing.
  Status ReleaseAll(const CniAttachment& owner);

 private:
  IpStore(const std::string& data_dir, const std::string& network, UniqueFd directory_fd,
          UniqueFd lock);
  static Result<IpStore> Lock(const std::string& data_dir, const std::string& network,
                              std::chrono::milliseconds timeout);

  Status KeepLastReserved(const std::string& address, size_t set);
  std::string PathOf(const IpAddress& address) const;
  std::string LinkName(const CniAttachment& owner) const;
  Result<std::vector<IpAddress>> ReadTaken() const;

  std::string directory_;
  std::string link_directory_;
  std::string spare_;
  std::string spare_link_;
  UniqueFd directory_fd_;
  UniqueFd lock_;
  TakenIndex index_;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_IP_STORE_H_
