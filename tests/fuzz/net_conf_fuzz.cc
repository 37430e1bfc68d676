// Whatever the configuration is, the plugin answers in the specification's form and nothing
// crashes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "cni/cni_plugin.h"
#include "cni/cni_result.h"
#include "cni/json_reader.h"

namespace podroute {
namespace {

// Gives back what it was given, so that every value that was read is written again.
class EchoPlugin : public CniPlugin {
 public:
  CniOr<CniResult> Add(const CniCall& call) override {
    CniResult result = call.conf.prev_result.value_or(CniResult());
    result.routes.insert(result.routes.end(), call.conf.ipam.routes.begin(),
                         call.conf.ipam.routes.end());
    if (!call.conf.dns.empty()) result.dns = call.conf.dns;
    for (const RangeSet& set : call.conf.ipam.range_sets) {
      for (const IpRange& range : set) {
        if (range.last < range.first || !range.subnet.Contains(range.first)) std::abort();
      }
    }
    return result;
  }
  CniProblem Del(const CniCall&) override { return std::nullopt; }
  CniProblem Check(const CniCall& call) override {
    if (!call.conf.prev_result) std::abort();
    return std::nullopt;
  }
  CniProblem Status(const CniCall&) override { return std::nullopt; }
  CniProblem Gc(const CniCall& call) override {
    if (!call.conf.valid_attachments) std::abort();
    return std::nullopt;
  }
};

[[noreturn]] void Wrong(const char* command, const std::string& output) {
  std::fprintf(stderr, "%s answered: %s\n", command, output.c_str());
  std::abort();
}

// A result or error as the specification has it, or nothing where nothing is right.
void CheckAnswer(const char* command, const CniAnswer& answer) {
  if (answer.exit_code == 0 && std::string_view(command) != "ADD" &&
      std::string_view(command) != "VERSION") {
    if (!answer.output.empty()) Wrong(command, answer.output);
    return;
  }
  Result<rapidjson::Document> document = ParseJsonObject(answer.output);
  if (!document.ok()) Wrong(command, answer.output);
  std::optional<std::string> problem;
  JsonReader reader(*document, "", &problem);
  if (reader.Find("cniVersion") == nullptr) Wrong(command, answer.output);
  if (answer.exit_code != 0) {
    if (reader.Int("code", 1, 999) == 0 || reader.String("msg").empty()) {
      Wrong(command, answer.output);
    }
  } else if (std::string_view(command) == "ADD") {
    (void)ReadResult(reader);
  }
  if (problem) Wrong(command, answer.output);
}

}  // namespace
}  // namespace podroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using podroute::CniAnswer;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* command : {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"}) {
    podroute::EchoPlugin plugin;
    podroute::Environment environment = [&](const char* name) -> std::optional<std::string> {
      std::string_view wanted(name);
      if (wanted == "CNI_COMMAND") return command;
      if (wanted == "CNI_CONTAINERID") return "c1";
      if (wanted == "CNI_NETNS") return "/run/netns/blue";
      if (wanted == "CNI_IFNAME") return "eth0";
      return std::nullopt;
    };
    podroute::CheckAnswer(command, podroute::RunCniPlugin(plugin, environment, text));
  }
  return 0;
}
