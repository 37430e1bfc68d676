#include "routing/owner.h"

#include <algorithm>
#include <string>

namespace podroute {
namespace {

constexpr size_t kMaxOwnerBytes = 32;
constexpr uint32_t kFirstOwnersId = 0x70000000, kLastOwnersId = 0x7fffffff;
constexpr uint32_t kIdsPerOwner = 0x10000;

// FNV-1a, then mixed (the finalizer of splitmix64), so that all bits depend on all of the name.
uint64_t Hash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

bool IsAllowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

Status CheckOwner(std::string_view owner) {
  if (owner.size() > kMaxOwnerBytes) {
    return Status(StatusCode::kInvalidArgument,
                  std::to_string(owner.size()) + " characters; at most 32");
  }
  if (std::all_of(owner.begin(), owner.end(), IsAllowed)) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, "only letters, digits, - and _ make a name");
}

uint32_t OwnerMetric(std::string_view owner) {
  return owner.empty() ? 110 : 0x6e000000 | static_cast<uint32_t>(Hash(owner) & 0xffffff);
}

NexthopIds OwnerNexthopIds(std::string_view owner) {
  if (owner.empty()) return {};
  uint32_t first = kFirstOwnersId + static_cast<uint32_t>(Hash(owner) >> 52) * kIdsPerOwner;
  return {first, first + kIdsPerOwner - 1};
}

bool IsOtherOwners(uint32_t nexthop_id, const NexthopIds& ours) {
  return nexthop_id >= kFirstOwnersId && nexthop_id <= kLastOwnersId && !ours.Contains(nexthop_id);
}

}  // namespace podroute
