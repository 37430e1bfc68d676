// Whole tables of nftables.
#ifndef PODROUTE_ROUTING_NFT_TABLE_H_
#define PODROUTE_ROUTING_NFT_TABLE_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "routing/nft_codec.h"

namespace podroute {

// "nftables table inet NAME". REQUIRES: the family is inet or bridge.
std::string ShowNftTable(const std::string& table, uint8_t family = kNftInet);

// Removes a table, with all that is in it, from the network namespace of the calling thread. False:
// there was none, or this kernel has no nftables or not this family of it. An error: we may not.
Result<bool> RemoveNftTable(const std::string& table, uint8_t family = kNftInet);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NFT_TABLE_H_
