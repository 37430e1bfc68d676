// What nft_codec.cc and nft_answers.cc share: headers and numbers of nftables' messages.
#ifndef PODROUTE_ROUTING_NFT_WIRE_H_
#define PODROUTE_ROUTING_NFT_WIRE_H_

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstdint>

#include "routing/nft_codec.h"

namespace podroute::nft_wire {

// A comment of a table, chain, rule or element in libnftnl's user data (its udata.h).
inline constexpr uint8_t kComment = 0;

inline nfgenmsg Header(uint16_t resource, uint8_t family = kNftInet) {
  return {family, NFNETLINK_V0, htons(resource)};
}

inline uint16_t MessageType(uint16_t message) {
  return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

}  // namespace podroute::nft_wire

#endif  // PODROUTE_ROUTING_NFT_WIRE_H_
