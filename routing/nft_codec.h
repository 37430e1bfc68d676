// nftables transactions as netlink messages, and what comes back as values: bytes only, no I/O. The
// formats are the kernel's own (include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h); the layout
// of comments is libnftnl's, so that nft(8) shows them.
#ifndef PODROUTE_ROUTING_NFT_CODEC_H_
#define PODROUTE_ROUTING_NFT_CODEC_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/netlink_codec.h"

namespace podroute {

// A register of 4 bytes, 0 to 15; a value that is longer goes on in the next ones.
using NftRegister = uint32_t;

// The expressions of one rule, in order. The first that does not match ends the rule. Not
// thread-safe.
class NftRule {
 public:
  NftRule() { Clear(); }

  // Loads.
  NftRule& LoadMeta(uint32_t key, NftRegister to);  // NFT_META_*
  NftRule& LoadPayload(uint32_t base, uint32_t offset, uint32_t length, NftRegister to);
  NftRule& LoadDestinationPort(NftRegister to);  // TCP's, UDP's, SCTP's: 2 bytes.
  NftRule& LoadAddress(IpFamily family, bool source, NftRegister to);

  // Matches.
  NftRule& Compare(NftRegister reg, std::span<const uint8_t> value, bool equal = true);
  NftRule& MatchFamily(IpFamily family);
  NftRule& MatchInterface(bool input, std::string_view name);
  // The packet's source or destination is in `prefix`, its family included.
  NftRule& MatchPrefix(bool source, const IpPrefix& prefix);
  // fib saddr (daddr) type (!=) local: the node's own address.
  NftRule& MatchLocal(bool source, bool local);
  NftRule& MatchMark(uint32_t mask, uint32_t mark);  // mark & mask == mark
  NftRule& MatchConnectionStatus(uint32_t any_of);   // IPS_*
  // Ends the rule unless the key is there; what it maps to goes into `to`.
  NftRule& MapLookup(std::string_view map, NftRegister key, NftRegister to);
  NftRule& VerdictLookup(std::string_view map, NftRegister key);
  // Ends the rule unless the key is in the set, or unless it is not.
  NftRule& SetLookup(std::string_view set, NftRegister key, bool contained);

  // Deeds.
  NftRule& SetMark(uint32_t keep, uint32_t set);                // mark = (mark & keep) ^ set
  NftRule& Verdict(int32_t code, std::string_view chain = {});  // NF_DROP, NFT_RETURN, NFT_JUMP...
  NftRule& DestinationNat(IpFamily family, NftRegister address, NftRegister port);
  NftRule& Masquerade();  // Source ports are chosen at random (fully-random).

  // What nft(8) shows behind the rule, at most 128 bytes.
  NftRule& Comment(std::string_view text);

  std::span<const uint8_t> expressions() const;
  const std::string& comment() const { return comment_; }

 private:
  void Clear();
  template <typename Body>
  NftRule& Add(std::string_view name, const Body& body);
  void PutData(uint16_t type, std::span<const uint8_t> value);

  NetlinkBatch bytes_;  // One message, of which only the attributes count.
  std::string comment_;
};

struct NftChain {
  std::string name;
  // Of a base chain; a chain without type is only jumped to.
  std::string type;      // "nat", "filter"
  uint32_t hook = 0;     // NF_INET_*
  int32_t priority = 0;  // The lower, the earlier.
  std::vector<NftRule> rules;

  bool is_base() const { return !type.empty(); }
};

// How nft(8) names and shows a part of a key.
enum class NftType : uint8_t {
  kIpv4 = 7,
  kIpv6 = 8,
  kMac = 9,
  kProtocol = 12,
  kPort = 13,
  kInterface = 41
};

struct NftMap {
  std::string name;
  std::vector<NftType> key;
  std::vector<NftType> data;  // Empty: a verdict.
  std::string comment;
};

struct NftSet {
  std::string name;
  std::vector<NftType> key;
  std::string comment;
  bool interval = false;  // Of ranges: see NftElement::interval_end.
};

// A key or a value: parts one after another, each filled up to four bytes.
class NftTuple {
 public:
  NftTuple& Address(const IpAddress& address);
  NftTuple& Protocol(uint8_t protocol);
  NftTuple& Port(uint16_t port);
  NftTuple& Interface(std::string_view name);
  NftTuple& Mac(std::span<const uint8_t, 6> address);
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

struct NftElement {
  std::vector<uint8_t> key;
  std::vector<uint8_t> data;  // Empty for a verdict, and in a set.
  std::string jump;           // The chain that a verdict jumps to.
  std::string comment;        // At most 128 bytes, or nft(8) does not read back what it lists.
  // In a set of intervals: the first key that is no longer in the range which the greatest key
  // before it begins. A range without end goes on to the last key that there is.
  bool interval_end = false;

  bool operator==(const NftElement&) const = default;
};

// One transaction on one table, of family inet unless another (NFPROTO_*) is named: all of it is
// carried out, or nothing.
inline constexpr uint8_t kNftInet = 1;    // NFPROTO_INET
inline constexpr uint8_t kNftBridge = 7;  // NFPROTO_BRIDGE
class NftTransaction {
 public:
  // With `generation`, nothing is done (ERESTART) once anybody has changed any table since that was
  // read.
  explicit NftTransaction(std::string table, std::optional<uint32_t> generation = std::nullopt,
                          uint8_t family = kNftInet);

  // What is there already stays.
  void AddTable(std::string_view comment);
  // With all that is in it. ENOENT when it is not there.
  void DeleteTable();
  void AddMap(const NftMap& map);
  void AddSet(const NftSet& set);
  // The chain holds just these rules afterwards. All chains must be there before a rule or an
  // element jumps to them: first the chains, then the rules.
  void AddChain(const NftChain& chain);
  void SetRules(const NftChain& chain);
  // EEXIST or EBUSY when a key is there already.
  void AddElements(std::string_view map, std::span<const NftElement> elements);
  // ENOENT when a key is not there.
  void DeleteElements(std::string_view map, std::span<const NftElement> elements);
  // Completes it, once.
  NetlinkBatch& Finish();
  // Without its end the kernel checks everything and does nothing.
  NetlinkBatch& FinishAsCheck() { return batch_; }

 private:
  void Start(uint16_t message, uint16_t flags);
  void PutElements(uint16_t message, uint16_t flags, std::string_view map,
                   std::span<const NftElement> elements);

  const std::string table_;
  const uint8_t family_;
  uint32_t next_set_id_ = 1;
  NetlinkBatch batch_;
};

// ---- Questions and answers. These are no part of a transaction.

void EncodeGetNftGeneration(NetlinkBatch& batch);
void EncodeGetNftChain(NetlinkBatch& batch, std::string_view table, std::string_view chain,
                       uint8_t family = kNftInet);
void EncodeDumpNftElements(NetlinkBatch& batch, std::string_view table, std::string_view map,
                           uint8_t family = kNftInet);

// Of a base chain or one that is jumped to. Kernels that cannot choose dump everybody's.
void EncodeDumpNftRules(NetlinkBatch& batch, std::string_view table, std::string_view chain,
                        uint8_t family = kNftInet);
// Asks for the table, set or chain that `made`, a message of a transaction, makes.
void EncodeGetMadeNft(NetlinkBatch& batch, const NetlinkMessage& made);

// Whether the kernel shows what `made` asked for: a table, set, chain or rule. A rule's expressions
// are all compared; what else the kernel shows (handles, counts) does not matter.
bool ShowsMadeNft(const NetlinkMessage& shown, const NetlinkMessage& made);

// Whether it is an answer that shows a rule of that chain.
bool IsNftRuleOf(const NetlinkMessage& message, std::string_view table, std::string_view chain);

// Every table, of all families.
void EncodeDumpNftTables(NetlinkBatch& batch);

struct NftTableSummary {
  uint8_t family = kNftInet;  // NFPROTO_*
  std::string name;
  uint32_t flags = 0;  // NFT_TABLE_F_*
  uint32_t uses = 0;   // Its sets, maps and chains, and whatever else is in it.
};
std::optional<NftTableSummary> DecodeNftTable(const NetlinkMessage& message);

// Counts every change to any table of the namespace.
std::optional<uint32_t> DecodeNftGeneration(const NetlinkMessage& message);

struct NftChainSummary {
  std::string name;
  uint32_t uses = 0;  // Its rules, and the jumps to it.
};
std::optional<NftChainSummary> DecodeNftChain(const NetlinkMessage& message);

// The elements in one answer; none when it is not about elements.
std::vector<NftElement> DecodeNftElements(const NetlinkMessage& message);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NFT_CODEC_H_
