// NftTuple of nft_codec.h.
#include <net/if.h>

#include "routing/nft_codec.h"

namespace podroute {

NftTuple& NftTuple::Address(const IpAddress& address) {
  bytes_.insert(bytes_.end(), address.bytes().begin(), address.bytes().end());
  return *this;
}

NftTuple& NftTuple::Protocol(uint8_t protocol) {
  bytes_.insert(bytes_.end(), {protocol, 0, 0, 0});
  return *this;
}

NftTuple& NftTuple::Port(uint16_t port) {
  bytes_.insert(bytes_.end(),
                {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port & 0xff), 0, 0});
  return *this;
}

NftTuple& NftTuple::Interface(std::string_view name) {
  size_t before = bytes_.size();
  bytes_.insert(bytes_.end(), name.begin(), name.end());
  bytes_.resize(before + IFNAMSIZ);
  return *this;
}

NftTuple& NftTuple::Mac(std::span<const uint8_t, 6> address) {
  bytes_.insert(bytes_.end(), address.begin(), address.end());
  bytes_.insert(bytes_.end(), {0, 0});
  return *this;
}

}  // namespace podroute
