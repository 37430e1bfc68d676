#include "cni/mac_spoof.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_bridge.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cni/netfilter_socket.h"
#include "cni/port_map.h"
#include "routing/netlink_socket.h"
#include "routing/nft_codec.h"

namespace podroute {
namespace {

constexpr char kTable[] = "podroute-cni";
constexpr char kChain[] = "prerouting";
constexpr char kPorts[] = "checked";      // interface
constexpr char kAddresses[] = "allowed";  // interface . hardware address
constexpr int32_t kPriority = -300;       // The reference plugin's: before every other filter.
constexpr int kMaxTries = 20;
constexpr char kWhat[] = "nftables table bridge podroute-cni";

// Whether an element with that comment is meant.
using Wanted = std::function<bool(const std::string& owner)>;

struct Elements {
  std::vector<NftElement> ports;
  std::vector<NftElement> addresses;

  bool empty() const { return ports.empty() && addresses.empty(); }
};

CniError SpoofError(const Status& status) {
  return ToCniError(CniErrorCode::kKernel, status,
                    "macspoofchk needs a kernel with CONFIG_NF_TABLES_BRIDGE");
}

bool MeansNoNftables(const Status& status) {
  return status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kNotFound;
}

std::string OwnerOf(const CniCall& call) {
  return NatOwner(call.conf.name, {call.args.container_id, call.args.interface});
}

Elements ElementsFor(const std::string& owner, const std::string& host_end, const MacAddress& mac) {
  Elements elements;
  elements.ports.push_back({NftTuple().Interface(host_end).bytes(), {}, "", owner});
  elements.addresses.push_back({NftTuple().Interface(host_end).Mac(mac).bytes(), {}, "", owner});
  return elements;
}

void AddLayout(NftTransaction& transaction) {
  constexpr NftRegister kInterfaceAt = 0;
  constexpr NftRegister kSourceAt = 4;  // Right behind: a name takes sixteen bytes.
  constexpr uint32_t kSourceOffset = 6;
  constexpr uint32_t kSourceBytes = 6;
  transaction.AddTable("macspoofchk of podroute-cni");
  transaction.AddSet({kPorts, {NftType::kInterface}, ""});
  transaction.AddSet({kAddresses, {NftType::kInterface, NftType::kMac}, ""});
  NftChain chain{kChain, "filter", NF_BR_PRE_ROUTING, kPriority, {}};
  NftRule rule;
  rule.LoadMeta(NFT_META_IIFNAME, kInterfaceAt)
      .SetLookup(kPorts, kInterfaceAt, true)
      .LoadPayload(NFT_PAYLOAD_LL_HEADER, kSourceOffset, kSourceBytes, kSourceAt)
      .SetLookup(kAddresses, kInterfaceAt, false)
      .Verdict(NF_DROP);
  chain.rules.push_back(std::move(rule));
  transaction.AddChain(chain);
  transaction.SetRules(chain);
}

// Whether the chain is there with its rule.
Result<bool> HasLayout(NetlinkTransport& netlink) {
  NetlinkBatch batch;
  EncodeGetNftChain(batch, kTable, kChain, kNftBridge);
  bool complete = false;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink.Execute(batch, [&](const NetlinkMessage& message) {
                              auto chain = DecodeNftChain(message);
                              if (chain) complete = chain->uses == 1;
                            }));
  if (!failures.empty() && failures[0].error != ENOENT) return failures[0].ToStatus(kWhat);
  return complete;
}

// nullopt when it was carried out.
Result<std::optional<NetlinkFailure>> Commit(NetlinkTransport& netlink,
                                             NftTransaction& transaction) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink.Execute(transaction.Finish()));
  if (failures.empty()) return std::optional<NetlinkFailure>();
  return std::optional<NetlinkFailure>(std::move(failures.front()));
}

Status ReadSet(NetlinkTransport& netlink, const char* set, const Wanted& wanted,
               std::vector<NftElement>& elements) {
  for (int i = 0; i < kMaxTries; ++i) {
    elements.clear();
    NetlinkBatch batch;
    EncodeDumpNftElements(batch, kTable, set, kNftBridge);
    Result<DumpResult> dump = netlink.Dump(batch, [&](const NetlinkMessage& message) {
      for (NftElement& element : DecodeNftElements(message)) {
        bool known = std::find(elements.begin(), elements.end(), element) != elements.end();
        if (!known && wanted(element.comment)) elements.push_back(std::move(element));
      }
    });
    if (!dump.ok() && dump.status().code() == StatusCode::kNotFound) return Status::Ok();
    if (!dump.ok()) return dump.status().WithContext(kWhat);
    if (!dump->interrupted) return Status::Ok();
  }
  return Status(StatusCode::kUnavailable, std::string(kWhat) + " changes faster than it is read");
}

Result<Elements> Read(NetlinkTransport& netlink, const Wanted& wanted) {
  Elements elements;
  PODROUTE_RETURN_IF_ERROR(ReadSet(netlink, kPorts, wanted, elements.ports));
  PODROUTE_RETURN_IF_ERROR(ReadSet(netlink, kAddresses, wanted, elements.addresses));
  return elements;
}

Status Remove(NetlinkTransport& netlink, const Wanted& wanted) {
  for (int i = 0; i < kMaxTries; ++i) {
    PODROUTE_ASSIGN_OR_RETURN(Elements elements, Read(netlink, wanted));
    if (elements.empty()) return Status::Ok();
    NftTransaction transaction(kTable, std::nullopt, kNftBridge);
    transaction.DeleteElements(kPorts, elements.ports);
    transaction.DeleteElements(kAddresses, elements.addresses);
    PODROUTE_ASSIGN_OR_RETURN(std::optional<NetlinkFailure> failure, Commit(netlink, transaction));
    if (!failure) return Status::Ok();
    // Somebody else deleted some of them.
    if (failure->error != ENOENT && failure->error != EAGAIN) return failure->ToStatus(kWhat);
  }
  return Status(StatusCode::kUnavailable, std::string(kWhat) + ": others change it too");
}

Status Add(NetlinkTransport& netlink, const Elements& elements) {
  for (int i = 0; i < kMaxTries; ++i) {
    PODROUTE_ASSIGN_OR_RETURN(bool complete, HasLayout(netlink));
    NftTransaction transaction(kTable, std::nullopt, kNftBridge);
    if (!complete) AddLayout(transaction);
    transaction.AddElements(kPorts, elements.ports);
    transaction.AddElements(kAddresses, elements.addresses);
    PODROUTE_ASSIGN_OR_RETURN(std::optional<NetlinkFailure> failure, Commit(netlink, transaction));
    if (!failure) return Status::Ok();
    // ENOENT: the table went away since we looked.
    bool again = (failure->error == ENOENT && complete) || failure->error == EAGAIN;
    if (!again) return failure->ToStatus(kWhat);
  }
  return Status(StatusCode::kUnavailable, std::string(kWhat) + ": others change it too");
}

}  // namespace

CniProblem AddMacSpoofCheck(const CniCall& call, const std::string& host_end,
                            const MacAddress& mac) {
  if (!call.conf.mac_spoof_check) return std::nullopt;
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return SpoofError(netlink.status());
  std::string owner = OwnerOf(call);
  // An ADD that was killed may have left them, with another address.
  Status status = Remove(**netlink, [&](const std::string& other) { return other == owner; });
  if (status.ok() || MeansNoNftables(status)) {
    status = Add(**netlink, ElementsFor(owner, host_end, mac));
  }
  if (!status.ok()) return SpoofError(status);
  return std::nullopt;
}

CniProblem DeleteMacSpoofCheck(const CniCall& call) {
  if (!call.conf.mac_spoof_check) return std::nullopt;
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return std::nullopt;  // A kernel without netfilter.
  std::string owner = OwnerOf(call);
  Status status = Remove(**netlink, [&](const std::string& other) { return other == owner; });
  if (!status.ok() && !MeansNoNftables(status)) return SpoofError(status);
  return std::nullopt;
}

CniProblem CheckMacSpoofCheck(const CniCall& call, const std::string& host_end,
                              const MacAddress& mac) {
  if (!call.conf.mac_spoof_check) return std::nullopt;
  auto differs = [&](const std::string& what) {
    return CniError{CniErrorCode::kCheckFailed, std::nullopt, what,
                    "restarting the pod gives it its network anew"};
  };
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return SpoofError(netlink.status());
  std::string owner = OwnerOf(call);
  Result<Elements> there =
      Read(**netlink, [&](const std::string& other) { return other == owner; });
  Result<bool> complete = HasLayout(**netlink);
  if (!there.ok() || !complete.ok()) {
    return differs((there.ok() ? complete.status() : there.status()).message());
  }
  Elements wanted = ElementsFor(owner, host_end, mac);
  if (!*complete || there->ports != wanted.ports || there->addresses != wanted.addresses) {
    return differs(std::string(kWhat) + " does not hold " + host_end + " to " + MacToString(mac));
  }
  return std::nullopt;
}

CniProblem CollectMacSpoofChecks(const CniCall& call) {
  if (!call.conf.mac_spoof_check) return std::nullopt;
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return std::nullopt;
  std::set<std::string> valid;
  for (const CniAttachment& attachment : *call.conf.valid_attachments) {
    valid.insert(NatOwner(call.conf.name, attachment));
  }
  Status status = Remove(**netlink, [&](const std::string& owner) {
    return IsNatOwnerOf(owner, call.conf.name) && !valid.contains(owner);
  });
  if (!status.ok() && !MeansNoNftables(status)) return SpoofError(status);
  return std::nullopt;
}

}  // namespace podroute
