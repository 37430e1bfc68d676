// Whatever the configuration is, the plugin answers in the specification's form and nothing
// crashes: text to answer with all commands, where the kernel's part is a fake and addresses are
// given out in a directory of the fuzzer's own.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cni/cni_plugin.h"
#include "cni/cni_result.h"
#include "cni/host_local.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/answer_check.h"
#include "tests/fuzz/json_mutator.h"

namespace podroute {
namespace {

[[noreturn]] void Wrong(std::string_view command, const std::string& what,
                        const std::string& config) {
  std::fprintf(stderr, "%.*s: %s\nconfiguration: %s\n", static_cast<int>(command.size()),
               command.data(), what.c_str(), config.substr(0, 4000).c_str());
  std::abort();
}

// Takes addresses where the configuration says how, and gives back what it was given, so that every
// value that was read is written again.
class EchoPlugin : public CniPlugin {
 public:
  explicit EchoPlugin(const std::string& data_dir) : data_dir_(data_dir) {}

  CniOr<CniResult> Add(const CniCall& call) override {
    CniResult result = call.conf.prev_result.value_or(CniResult());
    CheckRanges(call);
    if (call.conf.ipam.in_process()) {
      CniOr<CniResult> given = HostLocalAdd(Ipam(call), call.conf.name, kPod);
      if (!given.ok()) return given.error();
      CheckGiven(call, *given);
      result.ips = given->ips;
      result.dns = given->dns;
    }
    result.routes.insert(result.routes.end(), call.conf.ipam.routes.begin(),
                         call.conf.ipam.routes.end());
    if (!call.conf.dns.empty()) result.dns = call.conf.dns;
    return result;
  }
  CniProblem Del(const CniCall& call) override {
    if (!call.conf.ipam.in_process()) return std::nullopt;
    return HostLocalDel(Ipam(call), call.conf.name, kPod);
  }
  CniProblem Check(const CniCall& call) override {
    if (!call.conf.prev_result) std::abort();
    if (!call.conf.ipam.in_process()) return std::nullopt;
    return HostLocalCheck(Ipam(call), call.conf.name, kPod, {});
  }
  CniProblem Status(const CniCall& call) override {
    if (!call.conf.ipam.in_process()) return std::nullopt;
    return HostLocalStatus(Ipam(call), call.conf.name);
  }
  CniProblem Gc(const CniCall& call) override {
    if (!call.conf.valid_attachments) std::abort();
    if (!call.conf.ipam.in_process()) return std::nullopt;
    CniOr<std::vector<CniAttachment>> stale =
        HostLocalStale(Ipam(call), call.conf.name, *call.conf.valid_attachments);
    if (!stale.ok()) return stale.error();
    return std::nullopt;
  }

 private:
  IpamConf Ipam(const CniCall& call) const {
    IpamConf ipam = call.conf.ipam;
    ipam.data_dir = data_dir_;
    if (!ipam.resolv_conf.empty()) ipam.resolv_conf = "/etc/resolv.conf";
    return ipam;
  }
  static void CheckRanges(const CniCall& call) {
    for (const RangeSet& set : call.conf.ipam.range_sets) {
      if (set.empty()) Wrong("ADD", "an empty set", call.config_text);
      for (const IpRange& range : set) {
        if (range.last < range.first || !range.subnet.Contains(range.first) ||
            !range.subnet.Contains(range.last)) {
          Wrong("ADD", "a range that is none", call.config_text);
        }
      }
    }
  }
  static void CheckGiven(const CniCall& call, const CniResult& given) {
    const std::vector<RangeSet>& sets = call.conf.ipam.range_sets;
    if (given.ips.size() != sets.size()) Wrong("ADD", "not one of each set", call.config_text);
    for (size_t i = 0; i < sets.size(); ++i) {
      bool inside = false;
      for (const IpRange& range : sets[i]) {
        inside = inside || (range.Contains(given.ips[i].address.address) &&
                            given.ips[i].address.address != range.gateway);
      }
      if (!inside) Wrong("ADD", "an address of no range", call.config_text);
    }
  }

  static inline const CniAttachment kPod{"c1", "eth0"};
  const std::string& data_dir_;
};

}  // namespace
}  // namespace podroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const podroute::TempDir dir;
  std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* command : {"ADD", "CHECK", "STATUS", "GC", "DEL", "VERSION"}) {
    podroute::EchoPlugin plugin(dir.path());
    podroute::Environment environment = [&](const char* name) -> std::optional<std::string> {
      std::string_view wanted(name);
      if (wanted == "CNI_COMMAND") return command;
      if (wanted == "CNI_CONTAINERID") return "c1";
      if (wanted == "CNI_NETNS") return "/run/netns/blue";
      if (wanted == "CNI_IFNAME") return "eth0";
      return std::nullopt;
    };
    podroute::CniAnswer answer = podroute::RunCniPlugin(plugin, environment, text);
    std::string problem = podroute::AnswerProblem(command, text, answer);
    if (!problem.empty()) podroute::Wrong(command, problem, text);
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::mt19937 random(seed);
  std::string text = podroute::MutateJson({reinterpret_cast<const char*>(data), size}, random);
  text.resize(std::min(text.size(), max_size));
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
