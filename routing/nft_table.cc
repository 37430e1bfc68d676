#include "routing/nft_table.h"

#include <linux/netlink.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "routing/netlink_socket.h"

namespace podroute {

std::string ShowNftTable(const std::string& table, uint8_t family) {
  return std::string("nftables table ") + (family == kNftBridge ? "bridge " : "inet ") + table;
}

Result<bool> RemoveNftTable(const std::string& table, uint8_t family) {
  auto netlink = NetlinkSocket::Create(NETLINK_NETFILTER);
  if (!netlink.ok()) return false;  // A kernel without it has no tables.
  NftTransaction transaction(table, std::nullopt, family);
  transaction.DeleteTable();
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            (*netlink)->Execute(transaction.Finish()));
  if (failures.empty()) return true;
  if (failures[0].error == EPERM || failures[0].error == EACCES) {
    return failures[0].ToStatus("remove " + ShowNftTable(table, family));
  }
  // Anything else means that there is none: ENOENT, or what kernels without nftables or without
  // this family of it say.
  return false;
}

}  // namespace podroute
