// The kernel's nftables, as libnftables prints it.
#ifndef PODROUTE_CONTROLLER_CHECK_NFT_LIBRARY_H_
#define PODROUTE_CONTROLLER_CHECK_NFT_LIBRARY_H_

#include <string>

#include "base/status.h"

namespace podroute {

// What `nft -j list table FAMILY NAME` prints, of this network namespace (libnftables-json(5)).
// Without the program, which an image does not have; and the library is loaded when this is called,
// for the agent has no use for it and its memory. Unavailable: it is not installed.
// InvalidArgument: a name that nft's language has no way to say.
Result<std::string> ListNftTable(const std::string& family, const std::string& name);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_NFT_LIBRARY_H_
