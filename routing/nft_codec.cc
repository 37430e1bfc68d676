#include "routing/nft_codec.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <utility>

#include "routing/nft_wire.h"

namespace podroute {

using nft_wire::Header;
using nft_wire::kComment;
using nft_wire::MessageType;

namespace {

constexpr size_t kHeaderBytes = NLMSG_HDRLEN + sizeof(nfgenmsg);
// An attribute's length has 16 bits; an element takes at most some 250 bytes.
constexpr size_t kElementsPerMessage = 200;
constexpr uint8_t kSetComment = 7;  // In libnftnl's user data (its udata.h).

void PutBigU32(NetlinkBatch& batch, uint16_t type, uint32_t value) {
  batch.PutU32(type, htonl(value));
}

size_t Nest(NetlinkBatch& batch, uint16_t type) {
  return batch.Nest(static_cast<uint16_t>(type | NLA_F_NESTED));
}

// Type, length, text with its NUL: what nft(8) shows as a comment.
void PutComment(NetlinkBatch& batch, uint16_t type, uint8_t kind, std::string_view text) {
  constexpr size_t kMost = 254;
  if (text.empty()) return;
  text = text.substr(0, kMost);
  std::vector<uint8_t> bytes = {kind, static_cast<uint8_t>(text.size() + 1)};
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
  batch.Put(type, bytes);
}

// As the kernel numbers registers of 4 bytes when it shows them: four of them have names for 16.
uint32_t Number(NftRegister reg) { return reg % 4 == 0 ? NFT_REG_1 + reg / 4 : NFT_REG32_00 + reg; }

std::array<uint8_t, 4> HostOrder(uint32_t value) {
  std::array<uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

void PutVerdict(NetlinkBatch& batch, uint16_t type, int32_t code, std::string_view chain) {
  size_t data = Nest(batch, type);
  size_t verdict = Nest(batch, NFTA_DATA_VERDICT);
  PutBigU32(batch, NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
  if (!chain.empty()) batch.PutText(NFTA_VERDICT_CHAIN, chain);
  batch.EndNest(verdict);
  batch.EndNest(data);
}

uint32_t TypeOf(const std::vector<NftType>& parts) {
  constexpr int kBits = 6;  // nft's own; the kernel only keeps it.
  uint32_t type = 0;
  for (NftType part : parts) type = type << kBits | static_cast<uint32_t>(part);
  return type;
}

uint32_t LengthOf(const std::vector<NftType>& parts) {
  uint32_t length = 0;
  for (NftType part : parts) {
    bool long_one = part == NftType::kIpv6 || part == NftType::kInterface;
    length += long_one ? 16 : part == NftType::kMac ? 8 : 4;
  }
  return length;
}

}  // namespace

// ---- NftRule

void NftRule::Clear() {
  bytes_.Clear();
  bytes_.Begin(0, 0, Header(0));
}

std::span<const uint8_t> NftRule::expressions() const {
  return bytes_.bytes().subspan(kHeaderBytes);
}

template <typename Body>
NftRule& NftRule::Add(std::string_view name, const Body& body) {
  size_t expression = Nest(bytes_, NFTA_LIST_ELEM);
  bytes_.PutText(NFTA_EXPR_NAME, name);
  size_t data = Nest(bytes_, NFTA_EXPR_DATA);
  body();
  bytes_.EndNest(data);
  bytes_.EndNest(expression);
  return *this;
}

void NftRule::PutData(uint16_t type, std::span<const uint8_t> value) {
  size_t nest = Nest(bytes_, type);
  bytes_.Put(NFTA_DATA_VALUE, value);
  bytes_.EndNest(nest);
}

NftRule& NftRule::LoadMeta(uint32_t key, NftRegister to) {
  return Add("meta", [&] {
    PutBigU32(bytes_, NFTA_META_KEY, key);
    PutBigU32(bytes_, NFTA_META_DREG, Number(to));
  });
}

NftRule& NftRule::LoadPayload(uint32_t base, uint32_t offset, uint32_t length, NftRegister to) {
  return Add("payload", [&] {
    PutBigU32(bytes_, NFTA_PAYLOAD_DREG, Number(to));
    PutBigU32(bytes_, NFTA_PAYLOAD_BASE, base);
    PutBigU32(bytes_, NFTA_PAYLOAD_OFFSET, offset);
    PutBigU32(bytes_, NFTA_PAYLOAD_LEN, length);
  });
}

NftRule& NftRule::LoadDestinationPort(NftRegister to) {
  return LoadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, to);
}

NftRule& NftRule::LoadAddress(IpFamily family, bool source, NftRegister to) {
  if (family == IpFamily::kV4) {
    return LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, source ? 12 : 16, 4, to);
  }
  return LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, source ? 8 : 24, 16, to);
}

NftRule& NftRule::Compare(NftRegister reg, std::span<const uint8_t> value, bool equal) {
  return Add("cmp", [&] {
    PutBigU32(bytes_, NFTA_CMP_SREG, Number(reg));
    PutBigU32(bytes_, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    PutData(NFTA_CMP_DATA, value);
  });
}

NftRule& NftRule::MatchFamily(IpFamily family) {
  uint8_t protocol = family == IpFamily::kV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  return LoadMeta(NFT_META_NFPROTO, 0).Compare(0, {&protocol, 1});
}

NftRule& NftRule::MatchInterface(bool input, std::string_view name) {
  std::array<uint8_t, IFNAMSIZ> value{};
  std::copy_n(name.begin(), std::min(name.size(), value.size() - 1), value.begin());
  return LoadMeta(input ? NFT_META_IIFNAME : NFT_META_OIFNAME, 0).Compare(0, value);
}

NftRule& NftRule::MatchPrefix(bool source, const IpPrefix& prefix) {
  MatchFamily(prefix.family()).LoadAddress(prefix.family(), source, 0);
  size_t size = prefix.address().size();
  if (prefix.length() < prefix.address().bits()) {
    std::vector<uint8_t> mask(size);
    for (int bit = 0; bit < prefix.length(); ++bit) {
      mask[static_cast<size_t>(bit) / 8] |= static_cast<uint8_t>(0x80 >> (bit % 8));
    }
    Add("bitwise", [&] {
      PutBigU32(bytes_, NFTA_BITWISE_SREG, Number(0));
      PutBigU32(bytes_, NFTA_BITWISE_DREG, Number(0));
      PutBigU32(bytes_, NFTA_BITWISE_LEN, static_cast<uint32_t>(size));
      PutData(NFTA_BITWISE_MASK, mask);
      PutData(NFTA_BITWISE_XOR, std::vector<uint8_t>(size));
    });
  }
  return Compare(0, prefix.address().bytes());
}

NftRule& NftRule::MatchLocal(bool source, bool local) {
  Add("fib", [&] {
    PutBigU32(bytes_, NFTA_FIB_DREG, Number(0));
    PutBigU32(bytes_, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    PutBigU32(bytes_, NFTA_FIB_FLAGS, source ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
  });
  return Compare(0, HostOrder(RTN_LOCAL), local);
}

NftRule& NftRule::MatchMark(uint32_t mask, uint32_t mark) {
  LoadMeta(NFT_META_MARK, 0);
  Add("bitwise", [&] {
    PutBigU32(bytes_, NFTA_BITWISE_SREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_DREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_LEN, sizeof mask);
    PutData(NFTA_BITWISE_MASK, HostOrder(mask));
    PutData(NFTA_BITWISE_XOR, HostOrder(0));
  });
  return Compare(0, HostOrder(mark));
}

NftRule& NftRule::MatchConnectionStatus(uint32_t any_of) {
  Add("ct", [&] {
    PutBigU32(bytes_, NFTA_CT_KEY, NFT_CT_STATUS);
    PutBigU32(bytes_, NFTA_CT_DREG, Number(0));
  });
  Add("bitwise", [&] {
    PutBigU32(bytes_, NFTA_BITWISE_SREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_DREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_LEN, sizeof any_of);
    PutData(NFTA_BITWISE_MASK, HostOrder(any_of));
    PutData(NFTA_BITWISE_XOR, HostOrder(0));
  });
  return Compare(0, HostOrder(0), false);
}

NftRule& NftRule::MapLookup(std::string_view map, NftRegister key, NftRegister to) {
  return Add("lookup", [&] {
    bytes_.PutText(NFTA_LOOKUP_SET, map);
    PutBigU32(bytes_, NFTA_LOOKUP_SREG, Number(key));
    PutBigU32(bytes_, NFTA_LOOKUP_DREG, Number(to));
  });
}

NftRule& NftRule::VerdictLookup(std::string_view map, NftRegister key) {
  return Add("lookup", [&] {
    bytes_.PutText(NFTA_LOOKUP_SET, map);
    PutBigU32(bytes_, NFTA_LOOKUP_SREG, Number(key));
    PutBigU32(bytes_, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
  });
}

NftRule& NftRule::SetLookup(std::string_view set, NftRegister key, bool contained) {
  return Add("lookup", [&] {
    bytes_.PutText(NFTA_LOOKUP_SET, set);
    PutBigU32(bytes_, NFTA_LOOKUP_SREG, Number(key));
    if (!contained) PutBigU32(bytes_, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  });
}

NftRule& NftRule::SetMark(uint32_t keep, uint32_t set) {
  LoadMeta(NFT_META_MARK, 0);
  Add("bitwise", [&] {
    PutBigU32(bytes_, NFTA_BITWISE_SREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_DREG, Number(0));
    PutBigU32(bytes_, NFTA_BITWISE_LEN, sizeof keep);
    PutData(NFTA_BITWISE_MASK, HostOrder(keep));
    PutData(NFTA_BITWISE_XOR, HostOrder(set));
  });
  return Add("meta", [&] {
    PutBigU32(bytes_, NFTA_META_KEY, NFT_META_MARK);
    PutBigU32(bytes_, NFTA_META_SREG, Number(0));
  });
}

NftRule& NftRule::Verdict(int32_t code, std::string_view chain) {
  return Add("immediate", [&] {
    PutBigU32(bytes_, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    PutVerdict(bytes_, NFTA_IMMEDIATE_DATA, code, chain);
  });
}

NftRule& NftRule::DestinationNat(IpFamily family, NftRegister address, NftRegister port) {
  return Add("nat", [&] {
    PutBigU32(bytes_, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    PutBigU32(bytes_, NFTA_NAT_FAMILY, family == IpFamily::kV4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    PutBigU32(bytes_, NFTA_NAT_REG_ADDR_MIN, Number(address));
    PutBigU32(bytes_, NFTA_NAT_REG_PROTO_MIN, Number(port));
  });
}

NftRule& NftRule::Masquerade() {
  return Add("masq", [&] { PutBigU32(bytes_, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY); });
}

NftRule& NftRule::Comment(std::string_view text) {
  comment_ = text;
  return *this;
}

// ---- NftTransaction

NftTransaction::NftTransaction(std::string table, std::optional<uint32_t> generation,
                               uint8_t family)
    : table_(std::move(table)), family_(family) {
  batch_.Begin(NFNL_MSG_BATCH_BEGIN, 0, Header(NFNL_SUBSYS_NFTABLES));
  if (generation) PutBigU32(batch_, NFNL_BATCH_GENID, *generation);
}

NetlinkBatch& NftTransaction::Finish() {
  batch_.Begin(NFNL_MSG_BATCH_END, 0, Header(NFNL_SUBSYS_NFTABLES));
  return batch_;
}

void NftTransaction::Start(uint16_t message, uint16_t flags) {
  batch_.Begin(MessageType(message), flags, Header(0, family_));
  // Every message names its table in the attribute of the same number.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1);
  batch_.PutText(NFTA_TABLE_NAME, table_);
}

void NftTransaction::AddTable(std::string_view comment) {
  Start(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  PutComment(batch_, NFTA_TABLE_USERDATA, kComment, comment);
}

void NftTransaction::DeleteTable() { Start(NFT_MSG_DELTABLE, 0); }

void NftTransaction::AddMap(const NftMap& map) {
  constexpr uint32_t kVerdictType = 0xffffff00;  // NFT_DATA_VERDICT
  Start(NFT_MSG_NEWSET, NLM_F_CREATE);
  batch_.PutText(NFTA_SET_NAME, map.name);
  PutBigU32(batch_, NFTA_SET_FLAGS, NFT_SET_MAP);
  PutBigU32(batch_, NFTA_SET_KEY_TYPE, TypeOf(map.key));
  PutBigU32(batch_, NFTA_SET_KEY_LEN, LengthOf(map.key));
  PutBigU32(batch_, NFTA_SET_DATA_TYPE, map.data.empty() ? kVerdictType : TypeOf(map.data));
  if (!map.data.empty()) PutBigU32(batch_, NFTA_SET_DATA_LEN, LengthOf(map.data));
  PutBigU32(batch_, NFTA_SET_ID, next_set_id_++);
  PutComment(batch_, NFTA_SET_USERDATA, kSetComment, map.comment);
}

void NftTransaction::AddSet(const NftSet& set) {
  Start(NFT_MSG_NEWSET, NLM_F_CREATE);
  batch_.PutText(NFTA_SET_NAME, set.name);
  PutBigU32(batch_, NFTA_SET_FLAGS, set.interval ? NFT_SET_INTERVAL : 0);
  PutBigU32(batch_, NFTA_SET_KEY_TYPE, TypeOf(set.key));
  PutBigU32(batch_, NFTA_SET_KEY_LEN, LengthOf(set.key));
  PutBigU32(batch_, NFTA_SET_ID, next_set_id_++);
  PutComment(batch_, NFTA_SET_USERDATA, kSetComment, set.comment);
}

void NftTransaction::AddChain(const NftChain& chain) {
  Start(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  batch_.PutText(NFTA_CHAIN_NAME, chain.name);
  if (!chain.is_base()) return;
  size_t hook = Nest(batch_, NFTA_CHAIN_HOOK);
  PutBigU32(batch_, NFTA_HOOK_HOOKNUM, chain.hook);
  PutBigU32(batch_, NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.priority));
  batch_.EndNest(hook);
  PutBigU32(batch_, NFTA_CHAIN_POLICY, NF_ACCEPT);
  batch_.PutText(NFTA_CHAIN_TYPE, chain.type);
}

void NftTransaction::SetRules(const NftChain& chain) {
  Start(NFT_MSG_DELRULE, 0);  // Without a handle: all of them.
  batch_.PutText(NFTA_RULE_CHAIN, chain.name);
  for (const NftRule& rule : chain.rules) {
    Start(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    batch_.PutText(NFTA_RULE_CHAIN, chain.name);
    size_t expressions = Nest(batch_, NFTA_RULE_EXPRESSIONS);
    batch_.Append(rule.expressions());
    batch_.EndNest(expressions);
    PutComment(batch_, NFTA_RULE_USERDATA, kComment, rule.comment());
  }
}

void NftTransaction::AddElements(std::string_view map, std::span<const NftElement> elements) {
  PutElements(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, map, elements);
}

void NftTransaction::DeleteElements(std::string_view map, std::span<const NftElement> elements) {
  PutElements(NFT_MSG_DELSETELEM, 0, map, elements);
}

void NftTransaction::PutElements(uint16_t message, uint16_t flags, std::string_view map,
                                 std::span<const NftElement> elements) {
  for (; !elements.empty();
       elements = elements.subspan(std::min(elements.size(), kElementsPerMessage))) {
    Start(message, flags);
    batch_.PutText(NFTA_SET_ELEM_LIST_SET, map);
    size_t list = Nest(batch_, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const NftElement& element :
         elements.first(std::min(elements.size(), kElementsPerMessage))) {
      size_t one = Nest(batch_, NFTA_LIST_ELEM);
      size_t key = Nest(batch_, NFTA_SET_ELEM_KEY);
      batch_.Put(NFTA_DATA_VALUE, element.key);
      batch_.EndNest(key);
      if (element.interval_end) PutBigU32(batch_, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
      if (message == NFT_MSG_NEWSETELEM) {
        if (element.data.empty() && !element.jump.empty()) {
          PutVerdict(batch_, NFTA_SET_ELEM_DATA, NFT_JUMP, element.jump);
        } else if (!element.data.empty()) {
          size_t data = Nest(batch_, NFTA_SET_ELEM_DATA);
          batch_.Put(NFTA_DATA_VALUE, element.data);
          batch_.EndNest(data);
        }
        PutComment(batch_, NFTA_SET_ELEM_USERDATA, kComment, element.comment);
      }
      batch_.EndNest(one);
    }
    batch_.EndNest(list);
  }
}

}  // namespace podroute
