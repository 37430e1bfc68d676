// Where the next free address may be, in a store that is nearly full: bitmaps of the addresses that
// are taken, on disk, so that an ADD need not list 60,000 names to find the one that is left.
//
//   DATADIR/.podroute/.taken.NETWORK.10.1.0.0   one bit for each of the 65,536 addresses from
//                                               10.1.0.0 on (IPv6: of a /112), lowest bit first
//
// A bitmap is a hint and may be wrong in both directions: the reference plugin knows nothing of it,
// and a process may be killed beside it. The directory of reservations is the truth. So a bit that
// is clear is followed by a look at the file, and nobody says that a range is full before Rebuild.
// There is a bitmap only where somebody once had to look further than single files.
#ifndef PODROUTE_CNI_TAKEN_INDEX_H_
#define PODROUTE_CNI_TAKEN_INDEX_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"

namespace podroute {

// REQUIRES of all: the store's lock is held. Not thread-safe.
class TakenIndex {
 public:
  // All addresses that are reserved, sorted.
  using ReadTaken = std::function<Result<std::vector<IpAddress>>()>;

  // Files are `path_prefix` and a block's first address.
  explicit TakenIndex(std::string path_prefix) : path_prefix_(std::move(path_prefix)) {}

  // The last address of the run of taken ones that `address` is in, as far as its block goes;
  // nullopt when `address` seems free. A block that has no bitmap gets one.
  Result<std::optional<IpAddress>> EndOfRun(const IpAddress& address, const ReadTaken& read);

  // Reads the directory again: from now on, and as long as the lock is held, EndOfRun is right.
  Status Rebuild(const ReadTaken& read);

  // Corrects the bit of one address, where there is a bitmap. Best effort.
  void Mark(const IpAddress& address, bool taken);

 private:
  static constexpr int kBlockBits = 16;
  using Bitmap = std::array<uint8_t, (1 << kBlockBits) / 8>;

  static IpAddress BlockOf(const IpAddress& address);
  static size_t OffsetIn(const IpAddress& address);
  std::string PathOf(const IpAddress& block) const { return path_prefix_ + block.ToString(); }
  Result<const Bitmap*> Find(const IpAddress& block, const ReadTaken& read);
  void Save(const IpAddress& block, const Bitmap& bitmap) const;

  std::string path_prefix_;
  std::map<IpAddress, Bitmap> blocks_;           // What this process has read or made.
  std::optional<std::vector<IpAddress>> taken_;  // Read once, or again by Rebuild.
};

}  // namespace podroute

#endif  // PODROUTE_CNI_TAKEN_INDEX_H_
