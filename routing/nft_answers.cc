// Questions and answers of nft_codec.h.
#include <linux/netfilter/nf_tables.h>
#include <sys/socket.h>

#include <algorithm>

#include "routing/nft_codec.h"
#include "routing/nft_wire.h"

namespace podroute {

using nft_wire::Header;
using nft_wire::kComment;
using nft_wire::MessageType;

namespace {

std::string ReadComment(std::span<const uint8_t> bytes) {
  while (bytes.size() >= 2) {
    size_t length = bytes[1];
    if (length + 2 > bytes.size()) break;
    std::span<const uint8_t> text = bytes.subspan(2, length);
    if (bytes[0] == kComment) return {text.begin(), std::find(text.begin(), text.end(), 0)};
    bytes = bytes.subspan(length + 2);
  }
  return {};
}

struct Attribute {
  uint16_t type = 0;
  bool nested = false;  // As its sender says; the kernel often does not.
  std::span<const uint8_t> value;
};

// Those of equal types too, which NetlinkAttributes has one of.
std::vector<Attribute> AllOf(std::span<const uint8_t> bytes) {
  std::vector<Attribute> all;
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > bytes.size()) break;
    all.push_back({static_cast<uint16_t>(head.nla_type & NLA_TYPE_MASK),
                   (head.nla_type & NLA_F_NESTED) != 0,
                   bytes.subspan(sizeof head, head.nla_len - sizeof head)});
    bytes = bytes.subspan(std::min<size_t>(NLA_ALIGN(head.nla_len), bytes.size()));
  }
  return all;
}

bool IsZero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// Attributes of the same type are compared in their order. What is not there counts as zero, for
// the kernel shows some defaults and leaves out others; so does what only `shown` has, if `strict`.
bool Shows(std::span<const uint8_t> shown, std::span<const uint8_t> made, bool strict) {
  std::vector<Attribute> left = AllOf(shown);
  for (const Attribute& attribute : AllOf(made)) {
    auto same = std::find_if(left.begin(), left.end(),
                             [&](const Attribute& other) { return other.type == attribute.type; });
    if (same == left.end()) {
      if (!IsZero(attribute.value)) return false;
      continue;
    }
    bool equal = attribute.nested ? Shows(same->value, attribute.value, true)
                                  : std::ranges::equal(same->value, attribute.value);
    if (!equal) return false;
    left.erase(same);
  }
  return !strict || std::all_of(left.begin(), left.end(),
                                [](const Attribute& attribute) { return IsZero(attribute.value); });
}

std::vector<uint8_t> ToBytes(std::span<const uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

NftElement ReadElement(std::span<const uint8_t> bytes) {
  NetlinkAttributes attributes(bytes);
  NftElement element;
  element.key = ToBytes(NetlinkAttributes(attributes.get(NFTA_SET_ELEM_KEY)).get(NFTA_DATA_VALUE));
  NetlinkAttributes data(attributes.get(NFTA_SET_ELEM_DATA));
  element.data = ToBytes(data.get(NFTA_DATA_VALUE));
  element.jump = NetlinkAttributes(data.get(NFTA_DATA_VERDICT)).Text(NFTA_VERDICT_CHAIN);
  element.interval_end =
      (ntohl(attributes.U32(NFTA_SET_ELEM_FLAGS)) & NFT_SET_ELEM_INTERVAL_END) != 0;
  element.comment = ReadComment(attributes.get(NFTA_SET_ELEM_USERDATA));
  return element;
}

// The attributes of an answer of that type.
std::optional<std::span<const uint8_t>> AttributesOf(const NetlinkMessage& message, uint16_t type) {
  if (message.header.nlmsg_type != MessageType(type)) return std::nullopt;
  if (message.body.size() < sizeof(nfgenmsg)) return std::nullopt;
  return message.body.subspan(sizeof(nfgenmsg));
}

// What the kernel knows such an object by, beside its table. 0: nothing.
uint16_t NameAttribute(uint16_t message) {
  if (message == MessageType(NFT_MSG_NEWCHAIN)) return NFTA_CHAIN_NAME;
  if (message == MessageType(NFT_MSG_NEWSET)) return NFTA_SET_NAME;
  return 0;
}

// What is only for the way to the kernel, and the table's comment, which is shown since Linux 5.10.
uint16_t NotShown(uint16_t message) {
  if (message == MessageType(NFT_MSG_NEWSET)) return NFTA_SET_ID;
  if (message == MessageType(NFT_MSG_NEWTABLE)) return NFTA_TABLE_USERDATA;
  return 0;
}

}  // namespace

void EncodeGetNftGeneration(NetlinkBatch& batch) {
  batch.Begin(MessageType(NFT_MSG_GETGEN), 0, Header(0));
}

void EncodeGetNftChain(NetlinkBatch& batch, std::string_view table, std::string_view chain,
                       uint8_t family) {
  batch.Begin(MessageType(NFT_MSG_GETCHAIN), 0, Header(0, family));
  batch.PutText(NFTA_CHAIN_TABLE, table);
  batch.PutText(NFTA_CHAIN_NAME, chain);
}

void EncodeDumpNftTables(NetlinkBatch& batch) {
  batch.Begin(MessageType(NFT_MSG_GETTABLE), NLM_F_DUMP, Header(0, AF_UNSPEC));
}

void EncodeDumpNftElements(NetlinkBatch& batch, std::string_view table, std::string_view map,
                           uint8_t family) {
  batch.Begin(MessageType(NFT_MSG_GETSETELEM), NLM_F_DUMP, Header(0, family));
  batch.PutText(NFTA_SET_ELEM_LIST_TABLE, table);
  batch.PutText(NFTA_SET_ELEM_LIST_SET, map);
}

void EncodeDumpNftRules(NetlinkBatch& batch, std::string_view table, std::string_view chain,
                        uint8_t family) {
  batch.Begin(MessageType(NFT_MSG_GETRULE), NLM_F_DUMP, Header(0, family));
  batch.PutText(NFTA_RULE_TABLE, table);
  batch.PutText(NFTA_RULE_CHAIN, chain);
}

void EncodeGetMadeNft(NetlinkBatch& batch, const NetlinkMessage& made) {
  auto header = made.Fixed<nfgenmsg>().value_or(Header(0));
  // The question's number is the next one.
  batch.Begin(static_cast<uint16_t>(made.header.nlmsg_type + 1), 0, Header(0, header.nfgen_family));
  static_assert(NFT_MSG_GETTABLE == NFT_MSG_NEWTABLE + 1 && NFT_MSG_GETSET == NFT_MSG_NEWSET + 1 &&
                NFT_MSG_GETCHAIN == NFT_MSG_NEWCHAIN + 1);
  const uint16_t name = NameAttribute(made.header.nlmsg_type);
  for (const Attribute& attribute : AllOf(made.body.subspan(sizeof(nfgenmsg)))) {
    if (attribute.type == NFTA_TABLE_NAME || attribute.type == name) {
      batch.Put(attribute.type, attribute.value);
    }
  }
}

bool ShowsMadeNft(const NetlinkMessage& shown, const NetlinkMessage& made) {
  if (shown.header.nlmsg_type != made.header.nlmsg_type) return false;
  if (std::min(shown.body.size(), made.body.size()) < sizeof(nfgenmsg)) return false;
  if (shown.Fixed<nfgenmsg>()->nfgen_family != made.Fixed<nfgenmsg>()->nfgen_family) return false;
  NetlinkBatch counts;
  counts.Begin(0, 0, Header(0));
  for (const Attribute& attribute : AllOf(made.body.subspan(sizeof(nfgenmsg)))) {
    if (attribute.type == NotShown(made.header.nlmsg_type)) continue;
    uint16_t nested = attribute.nested ? NLA_F_NESTED : 0;
    counts.Put(attribute.type | nested, attribute.value);
  }
  return Shows(shown.body.subspan(sizeof(nfgenmsg)),
               counts.bytes().subspan(NLMSG_HDRLEN + sizeof(nfgenmsg)), false);
}

std::optional<uint32_t> DecodeNftGeneration(const NetlinkMessage& message) {
  auto bytes = AttributesOf(message, NFT_MSG_NEWGEN);
  if (!bytes) return std::nullopt;
  NetlinkAttributes attributes(*bytes);
  if (!attributes.has(NFTA_GEN_ID)) return std::nullopt;
  return ntohl(attributes.U32(NFTA_GEN_ID));
}

bool IsNftRuleOf(const NetlinkMessage& message, std::string_view table, std::string_view chain) {
  auto bytes = AttributesOf(message, NFT_MSG_NEWRULE);
  if (!bytes) return false;
  NetlinkAttributes attributes(*bytes);
  return attributes.Text(NFTA_RULE_TABLE) == table && attributes.Text(NFTA_RULE_CHAIN) == chain;
}

std::optional<NftTableSummary> DecodeNftTable(const NetlinkMessage& message) {
  auto bytes = AttributesOf(message, NFT_MSG_NEWTABLE);
  if (!bytes) return std::nullopt;
  NetlinkAttributes attributes(*bytes);
  return NftTableSummary{message.body[0],  // nfgenmsg's nfgen_family
                         std::string(attributes.Text(NFTA_TABLE_NAME)),
                         ntohl(attributes.U32(NFTA_TABLE_FLAGS)),
                         ntohl(attributes.U32(NFTA_TABLE_USE))};
}

std::optional<NftChainSummary> DecodeNftChain(const NetlinkMessage& message) {
  auto bytes = AttributesOf(message, NFT_MSG_NEWCHAIN);
  if (!bytes) return std::nullopt;
  NetlinkAttributes attributes(*bytes);
  return NftChainSummary{attributes.Text(NFTA_CHAIN_NAME), ntohl(attributes.U32(NFTA_CHAIN_USE))};
}

std::vector<NftElement> DecodeNftElements(const NetlinkMessage& message) {
  std::vector<NftElement> elements;
  auto bytes = AttributesOf(message, NFT_MSG_NEWSETELEM);
  if (!bytes) return elements;
  NetlinkAttributes attributes(*bytes);
  for (const Attribute& one : AllOf(attributes.get(NFTA_SET_ELEM_LIST_ELEMENTS))) {
    elements.push_back(ReadElement(one.value));
  }
  return elements;
}

}  // namespace podroute
