#include "routing/nft_monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <bit>
#include <cstddef>
#include <cstring>
#include <vector>

#include "routing/netlink_codec.h"

namespace podroute {
namespace {

// A transaction's notifications come several in one piece, as long as a page. A filter sees the
// piece and has no loops; so many of its messages are looked at, and a piece that has more is let
// through. More of them would not fit into what a socket may have (net.core.optmem_max, 20 KiB).
constexpr int kMessages = 16;
constexpr int kReceiveBufferBytes = 1 << 20;

constexpr uint32_t kDrop = 0;
constexpr uint32_t kAccept = 0xffffffff;
constexpr size_t kNameBytes = 8;

// Where the table's name is in every message about a table: its first attribute.
constexpr uint32_t kAttributeAt = NLMSG_HDRLEN + sizeof(nfgenmsg);
constexpr uint32_t kNameAt = kAttributeAt + sizeof(nlattr);
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
              NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 &&
              NFTA_FLOWTABLE_TABLE == 1);

uint32_t NamePart(const std::string& name, size_t at) {
  uint32_t part;
  std::memcpy(&part, name.data() + at, sizeof part);
  return ntohl(part);
}

// BPF loads convert from network to host order, and netlink is in host order. M[0] is where the
// message begins. A load from behind the end drops the packet, and there is always so much.
std::vector<sock_filter> Filter(const std::string& table, uint32_t own_port_id) {
  constexpr bool kLittle = std::endian::native == std::endian::little;
  // Of a length, which is less than a piece's.
  constexpr uint32_t kLow = kLittle ? 0 : 3;
  constexpr uint32_t kHigh = kLittle ? 1 : 2;
  std::vector<sock_filter> code = {
      // All messages of a piece are one transaction's. Port 0 is the kernel itself.
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_port_id != 0 ? htonl(own_port_id) : kAccept, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kDrop),
      BPF_STMT(BPF_LD | BPF_IMM, 0),
      BPF_STMT(BPF_ST, 0),
  };
  const std::vector<sock_filter> look = {
      BPF_STMT(BPF_LDX | BPF_MEM, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_IND, kNameAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NamePart(table, 0), 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_IND, kNameAt + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NamePart(table, 4), 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, kNameAt + kNameBytes),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kAccept),
      // On to the next message.
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, kHigh),
      BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 8),
      BPF_STMT(BPF_ST, 1),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, kLow),
      BPF_STMT(BPF_LDX | BPF_MEM, 1),
      BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, NLMSG_ALIGNTO - 1),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~uint32_t{NLMSG_ALIGNTO - 1}),
      BPF_STMT(BPF_LDX | BPF_MEM, 0),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
      BPF_STMT(BPF_ST, 0),
      BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kDrop),
  };
  for (int i = 0; i < kMessages; ++i) code.insert(code.end(), look.begin(), look.end());
  code.push_back(BPF_STMT(BPF_RET | BPF_K, kAccept));
  return code;
}

}  // namespace

Result<std::unique_ptr<NftMonitor>> NftMonitor::Create(const std::string& table,
                                                       uint32_t own_port_id) {
  if (table.size() != kNameBytes) std::abort();
  std::vector<sock_filter> filter = Filter(table, own_port_id);
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NotificationSocket> socket,
                            NotificationSocket::Create({NFNLGRP_NFTABLES}, kReceiveBufferBytes,
                                                       &program, NETLINK_NETFILTER));
  return std::unique_ptr<NftMonitor>(new NftMonitor(table, own_port_id, std::move(socket)));
}

Result<bool> NftMonitor::Drain() {
  bool changed = false;
  PODROUTE_ASSIGN_OR_RETURN(bool complete, socket_->Drain([&](const NetlinkMessage& message) {
    if (message.header.nlmsg_pid == own_port_id_ && own_port_id_ != 0) return;
    if (message.body.size() < sizeof(nfgenmsg)) return;
    NetlinkAttributes attributes(message.body.subspan(sizeof(nfgenmsg)));
    changed |= attributes.Text(NFTA_TABLE_NAME) == table_;
  }));
  return changed || !complete;
}

}  // namespace podroute
