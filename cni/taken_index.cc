#include "cni/taken_index.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/unique_fd.h"

namespace podroute {
namespace {

constexpr mode_t kFileMode = 0600;

uint8_t BitOf(size_t offset) { return static_cast<uint8_t>(1u << (offset % 8)); }

}  // namespace

IpAddress TakenIndex::BlockOf(const IpAddress& address) {
  return IpPrefix::Of(address, address.bits() - kBlockBits).address();
}

size_t TakenIndex::OffsetIn(const IpAddress& address) {
  std::span<const uint8_t> bytes = address.bytes();
  return static_cast<size_t>(bytes[bytes.size() - 2]) << 8 | bytes[bytes.size() - 1];
}

Result<const TakenIndex::Bitmap*> TakenIndex::Find(const IpAddress& block, const ReadTaken& read) {
  auto found = blocks_.find(block);
  if (found != blocks_.end()) return &found->second;
  if (!taken_) {
    Bitmap bitmap;
    UniqueFd file(open(PathOf(block).c_str(), O_RDONLY | O_CLOEXEC));
    if (file && pread(file.get(), bitmap.data(), bitmap.size(), 0) == ssize_t{sizeof bitmap}) {
      return &blocks_.emplace(block, bitmap).first->second;
    }
    PODROUTE_ASSIGN_OR_RETURN(taken_, read());
  }
  Bitmap bitmap{};
  for (auto at = std::lower_bound(taken_->begin(), taken_->end(), block);
       at != taken_->end() && BlockOf(*at) == block; ++at) {
    bitmap[OffsetIn(*at) / 8] |= BitOf(OffsetIn(*at));
  }
  Save(block, bitmap);
  return &blocks_.emplace(block, bitmap).first->second;
}

Result<std::optional<IpAddress>> TakenIndex::EndOfRun(const IpAddress& address,
                                                      const ReadTaken& read) {
  IpAddress block = BlockOf(address);
  PODROUTE_ASSIGN_OR_RETURN(const Bitmap* bitmap, Find(block, read));
  size_t end = OffsetIn(address);
  auto is_taken = [&](size_t offset) { return ((*bitmap)[offset / 8] & BitOf(offset)) != 0; };
  if (!is_taken(end)) return std::optional<IpAddress>();
  constexpr size_t kLast = (size_t{1} << kBlockBits) - 1;
  while (end < kLast && is_taken(end + 1)) {
    ++end;
    while (end % 8 == 7 && end < kLast && (*bitmap)[end / 8 + 1] == 0xff) end += 8;
  }
  return std::optional<IpAddress>(block.Plus(end));
}

Status TakenIndex::Rebuild(const ReadTaken& read) {
  blocks_.clear();
  taken_.reset();
  PODROUTE_ASSIGN_OR_RETURN(taken_, read());
  return Status::Ok();
}

void TakenIndex::Save(const IpAddress& block, const Bitmap& bitmap) const {
  std::string path = PathOf(block);
  std::string aside = path + ".new";
  UniqueFd file(open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  // Without it, a later ADD lists the names once more.
  if (!file || write(file.get(), bitmap.data(), bitmap.size()) != ssize_t{sizeof bitmap} ||
      rename(aside.c_str(), path.c_str()) != 0) {
    unlink(aside.c_str());
    unlink(path.c_str());
  }
}

void TakenIndex::Mark(const IpAddress& address, bool taken) {
  IpAddress block = BlockOf(address);
  size_t offset = OffsetIn(address);
  auto set = [&](uint8_t& byte) {
    byte = static_cast<uint8_t>(taken ? byte | BitOf(offset) : byte & ~BitOf(offset));
  };
  auto found = blocks_.find(block);
  if (found != blocks_.end()) set(found->second[offset / 8]);
  std::string path = PathOf(block);
  UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return;
  uint8_t byte = 0;
  auto at = static_cast<off_t>(offset / 8);
  bool read = pread(file.get(), &byte, 1, at) == 1;
  set(byte);
  if (!read || pwrite(file.get(), &byte, 1, at) != 1) unlink(path.c_str());
}

}  // namespace podroute
