#include "controller/check/gather_filter.h"

#include <chrono>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/subprocess.h"
#include "controller/check/filter_reader.h"
#include "controller/check/nft_library.h"

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
  Result<std::string> json = ListNftRuleset();
  Status status = json.ok() ? ReadNftRuleset(*json, &read) : json.status();
  if (!status.ok()) skipped->push_back({"nftables and iptables-nft", status.message()});
  if (read.iptables_v4) ReadIptables("iptables-nft", &read, skipped);
  if (read.iptables_v6) ReadIptables("ip6tables-nft", &read, skipped);
  ReadLegacy("/proc/net/ip_tables_names", "iptables-legacy", &read, skipped);
  ReadLegacy("/proc/net/ip6_tables_names", "ip6tables-legacy", &read, skipped);
  host->filter = std::move(read.chains);
  host->kube_proxy_rules = read.kube_proxy;
}

}  // namespace podroute
