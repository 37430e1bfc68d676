// The results of the reference plugin and of ours for the same configurations, compared field by
// field. Only what must differ is made equal first: hardware addresses, the host end's name and the
// namespace's path.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cni/json_reader.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {
namespace {

constexpr char kReferenceDir[] = "/usr/lib/cni";  // Debian's containernetworking-plugins.

// Makes `field` read `value` where it is there and not empty.
void Blank(rapidjson::Value& object, const char* field, const char* value) {
  auto member = object.FindMember(field);
  if (member == object.MemberEnd() || !member->value.IsString()) return;
  if (member->value.GetStringLength() > 0) member->value.SetString(rapidjson::StringRef(value));
}

rapidjson::Document Normalized(const std::string& text) {
  rapidjson::Document result;
  result.Parse(text.c_str());
  if (!result.IsObject()) return result;
  auto interfaces = result.FindMember("interfaces");
  if (interfaces == result.MemberEnd()) return result;
  for (rapidjson::Value& interface : interfaces->value.GetArray()) {
    Blank(interface, "mac", "MAC");
    Blank(interface, "sandbox", "POD");
    if (std::string(interface["name"].GetString()).starts_with("veth")) {
      Blank(interface, "name", "HOST_END");
    }
  }
  return result;
}

struct Case {
  const char* what;
  std::string keys;  // Before the closing brace; each ends in a comma.
  std::string ipam;  // Likewise; empty: no ipam.
};

const std::vector<Case>& Cases() {
  const std::string v4 = R"("ranges":[[{"subnet":"10.1.0.0/24"}]])";
  const std::string dual = R"("ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]])";
  static const std::vector<Case> cases = {
      {"nothing but addresses", "", v4},
      {"gateway", R"("isGateway":true,)", v4},
      {"default gateway", R"("isDefaultGateway":true,)", v4},
      {"default gateway, and not gateway", R"("isDefaultGateway":true,"isGateway":false,)", v4},
      {"both families", R"("isDefaultGateway":true,)", dual},
      {"IPv6 alone", R"("isGateway":true,)", R"("ranges":[[{"subnet":"fd00:1::/64"}]])"},
      // Not with isGateway: the reference gives a bridge one IPv4 address at most.
      {"two ranges of one family", "",
       R"("ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"10.2.0.0/24"}]])"},
      {"gateway elsewhere", R"("isGateway":true,)",
       R"("ranges":[[{"subnet":"10.1.0.0/24","gateway":"10.1.0.254"}]])"},
      {"routes", R"("isGateway":true,)",
       v4 + R"(,"routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.0.7"}])"},
      {"a default route that names its gateway", R"("isDefaultGateway":true,)",
       v4 + R"(,"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}])"},
      {"the short form of a range", "", R"("subnet":"10.1.0.0/24","rangeStart":"10.1.0.50")"},
      {"dns",
       R"("dns":{"nameservers":["10.96.0.10"],"domain":"d","search":["s"],"options":["o"]},)", v4},
      {"hardware address",
       R"("capabilities":{"mac":true},"runtimeConfig":{"mac":"02:00:00:00:00:07"},)", v4},
      {"addresses asked for",
       R"("capabilities":{"ips":true},"runtimeConfig":{"ips":["10.1.0.44/24"]},)", v4},
      {"an address asked for by args", R"("args":{"cni":{"ips":["10.1.0.45"]}},)", v4},
      {"mtu", R"("mtu":1400,"isGateway":true,)", v4},
      {"hairpin", R"("hairpinMode":true,)", v4},
      {"promiscuous", R"("promiscMode":true,)", v4},
      {"duplicate address detection", R"("enabledad":true,)", v4},
      {"no addresses", "", ""},
      {"no addresses, gateway", R"("isGateway":true,)", ""},
      {"no addresses, dns", R"("dns":{"nameservers":["10.96.0.10"]},)", ""},
  };
  return cases;
}

class ReferenceShapeTest : public ::testing::TestWithParam<const char*> {
 protected:
  static rapidjson::Document Add(const std::string& program, const std::string& conf) {
    Status entered = EnterPrivateNetns();  // Each gets a host of its own.
    EXPECT_TRUE(entered.ok()) << entered.message();
    TestPod pod;
    CniVariables variables = {{"CNI_COMMAND", "ADD"},
                              {"CNI_CONTAINERID", "a"},
                              {"CNI_NETNS", pod.path()},
                              {"CNI_IFNAME", "eth0"},
                              {"CNI_PATH", kReferenceDir}};
    SubprocessResult result = CniProcess(program, variables, conf).Wait();
    EXPECT_EQ(result.exit_code, 0) << program << ": " << result.out << result.err;
    return Normalized(result.out);
  }
};

TEST_P(ReferenceShapeTest, ResultsHaveTheReferencesShape) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  std::string reference = std::string(kReferenceDir) + "/bridge";
  if (access(reference.c_str(), X_OK) != 0) {
    GTEST_SKIP() << "no " << reference << ": Debian's containernetworking-plugins has it";
  }
  for (const Case& c : Cases()) {
    auto conf = [&](const TempDir& dir) {
      std::string ipam = c.ipam.empty() ? ""
                                        : R"("ipam":{"type":"host-local","dataDir":")" +
                                              dir.path() + "\"," + c.ipam + "},";
      return R"({"cniVersion":")" + std::string(GetParam()) + R"(","name":"pods",)" + c.keys +
             ipam + R"("type":"bridge"})";
    };
    TempDir theirs_dir;
    TempDir ours_dir;
    rapidjson::Document theirs = Add(reference, conf(theirs_dir));
    rapidjson::Document ours = Add(std::filesystem::absolute("cni/podroute-cni"), conf(ours_dir));
    EXPECT_TRUE(theirs == ours) << c.what << "\nreference: " << ToJson(theirs)
                                << "\nours:      " << ToJson(ours);
  }
}

INSTANTIATE_TEST_SUITE_P(EachVersion, ReferenceShapeTest,
                         ::testing::Values("0.3.0", "0.3.1", "0.4.0", "1.0.0"),
                         [](const auto& version) {
                           std::string name = std::string("V") + version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace podroute
