#include "controller/check/gather_filter.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "controller/check/filter_reader.h"
#include "controller/check/nft_library.h"
#include "routing/netlink_socket.h"
#include "routing/nft_codec.h"

namespace podroute {
namespace {

constexpr size_t kMaxRulesetBytes = size_t{64} << 20;

// `command`: "iptables-legacy" and the like.
void ReadIptables(const std::string& command, RulesetRead* read, std::vector<Skipped>* skipped) {
  SubprocessOptions options;
  options.argv = {command + "-save"};
  options.timeout = std::chrono::seconds(20);
  options.max_output_bytes = kMaxRulesetBytes;
  Result<SubprocessResult> result = RunSubprocess(options, nullptr);
  if (!result.ok()) {
    skipped->push_back({command, result.status().message()});
  } else if (result->exit_code != 0 || result->signal != 0) {
    skipped->push_back({command, options.argv[0] + ": " + DescribeExit(*result)});
  } else {
    ReadIptablesSave(result->out, command, read);
  }
}

// NFPROTO_IPV4 and NFPROTO_IPV6 are AF_INET and AF_INET6.
std::string FamilyName(uint8_t family) {
  switch (family) {
    case kNftInet:
      return "inet";
    case AF_INET:
      return "ip";
    case AF_INET6:
      return "ip6";
    case kNftBridge:
      return "bridge";
    default:
      return "";  // Of no concern to what is forwarded.
  }
}

// All tables' chains and rules, one table after another.
Status ReadTables(RulesetRead* read, std::vector<Skipped>* skipped) {
  PODROUTE_ASSIGN_OR_RETURN(auto socket, NetlinkSocket::Create(NETLINK_NETFILTER));
  NetlinkBatch request;
  EncodeDumpNftTables(request);
  std::vector<NftTableSummary> tables;
  auto on_table = [&](const NetlinkMessage& message) {
    if (auto table = DecodeNftTable(message)) tables.push_back(std::move(*table));
  };
  PODROUTE_RETURN_IF_ERROR(socket->Dump(request, on_table).status());
  for (const NftTableSummary& table : tables) {
    const std::string family = FamilyName(table.family);
    // The kernel has dormant tables and does not ask them.
    if (family.empty() || (table.flags & NFT_TABLE_F_DORMANT) != 0) continue;
    Status status;
    // libnftables 1.0.6 prints a table's one flag from memory that it has freed. Where that is no
    // text it ends there; the next time it may be one.
    for (int tries = table.flags == 0 ? 1 : 5; tries > 0; --tries) {
      Result<std::string> json = ListNftTable(family, table.name);
      status = json.ok() ? ReadNftRuleset(*json, read) : json.status();
      if (status.ok() || status.code() == StatusCode::kUnavailable) break;
    }
    if (status.code() == StatusCode::kUnavailable) return status;
    if (!status.ok()) {
      skipped->push_back(
          {"nftables table " + family + " " + Printable(table.name), status.message()});
    }
  }
  return Status::Ok();
}

// Legacy tables, where there are any: to ask for one would make it.
void ReadLegacy(const std::string& names, const std::string& command, RulesetRead* read,
                std::vector<Skipped>* skipped) {
  Result<std::string> tables = ReadFile(names);
  if (tables.ok() && !tables->empty()) {
    ReadIptables(command, read, skipped);
  } else if (!tables.ok() && tables.status().code() != StatusCode::kNotFound) {
    skipped->push_back({command, tables.status().message()});
  }
}

}  // namespace

void GatherFilter(HostFacts* host, std::vector<Skipped>* skipped) {
  RulesetRead read;
  Status status = ReadTables(&read, skipped);
  if (!status.ok()) skipped->push_back({"nftables and iptables-nft", status.message()});
  if (read.iptables_v4) ReadIptables("iptables-nft", &read, skipped);
  if (read.iptables_v6) ReadIptables("ip6tables-nft", &read, skipped);
  ReadLegacy("/proc/net/ip_tables_names", "iptables-legacy", &read, skipped);
  ReadLegacy("/proc/net/ip6_tables_names", "ip6tables-legacy", &read, skipped);
  host->filter = std::move(read.chains);
  host->kube_proxy_rules = read.kube_proxy;
}

}  // namespace podroute
