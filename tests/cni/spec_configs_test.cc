// Every configuration in configs/ (the specification's examples in every place where they stand,
// its conventions' and our own) goes through every command of the plugin, kernel included.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "cni/bridge_plugin.h"
#include "cni/cni_plugin.h"
#include "cni/cni_result.h"
#include "cni/json_reader.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/answer_check.h"
#include "tests/cni/cni_test_util.h"
#include "tests/cni/robustness_util.h"

namespace podroute {
namespace {

std::vector<std::string> Configurations() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("tests/cni/configs")) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// What must work from ADD to DEL; the others ask for another IPAM plugin or hold a result of pods
// that are not there.
bool MustWork(const std::string& name) {
  for (const char* prefix :
       {"spec_100_conflist", "spec_110_conflist", "spec_110_list_fields", "spec_110_gc", "spec_gc",
        "spec_bridge_dbnet", "spec_040_conflist", "conventions_", "layer_two_only"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

// As the container runtime does: of a list, each plugin with the list's name and version.
std::vector<std::string> AsGivenToPlugins(const std::string& text) {
  Result<rapidjson::Document> document = ParseJsonObject(text);
  EXPECT_TRUE(document.ok()) << document.status().message();
  if (!document.ok() || !document->HasMember("plugins")) return {text};
  std::vector<std::string> configs;
  for (JsonValue& plugin : (*document)["plugins"].GetArray()) {
    for (const char* key : {"name", "cniVersion"}) {
      JsonValue copy((*document)[key], document->GetAllocator());
      JsonValue name(key, document->GetAllocator());
      plugin.RemoveMember(key);
      plugin.AddMember(name, copy, document->GetAllocator());
    }
    configs.push_back(ToJson(plugin));
  }
  return configs;
}

// The same with ipam.dataDir in `directory`, where there is IPAM of ours.
std::string WithDataDir(const std::string& config, const std::string& directory) {
  rapidjson::Document document;
  document.Parse(config.c_str());
  if (document.IsObject() && document.HasMember("ipam") && document["ipam"].IsObject()) {
    JsonValue value(directory.c_str(), document.GetAllocator());
    document["ipam"].RemoveMember("dataDir");
    document["ipam"].AddMember("dataDir", value, document.GetAllocator());
  }
  return ToJson(document);
}

class SpecConfigsTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { PODROUTE_ENTER_NETNS_OR_SKIP(); }
  CniAnswer Call(const std::string& command, const std::string& config) {
    BridgePlugin plugin;
    CniAnswer answer = RunCniPlugin(
        plugin, RuntimeEnvironment(command, "c1", pod_.path(), "eth0", "/nowhere"), config);
    EXPECT_EQ(AnswerProblem(command, config, answer), "") << command << " " << config;
    return answer;
  }
  TempDir dir_;
  TestPod pod_;
};

TEST_P(SpecConfigsTest, IsAnsweredInTheSpecificationsFormByEveryCommand) {
  Result<std::string> text = ReadFile("tests/cni/configs/" + GetParam());
  ASSERT_TRUE(text.ok());
  for (const std::string& given : AsGivenToPlugins(*text)) {
    std::string config = WithDataDir(given, dir_.path());
    SCOPED_TRACE(config);
    CniOr<NetConf> conf = ParseNetConf(config);
    ASSERT_TRUE(conf.ok()) << conf.error().message;
    CniAnswer added = Call("ADD", config);
    if (MustWork(GetParam())) {
      EXPECT_EQ(added.exit_code, 0) << added.output;
    }
    if (added.exit_code == 0) {
      std::string with_result = config;
      with_result.pop_back();
      with_result += ",\"prevResult\":" + added.output + "}";
      CniAnswer checked = Call("CHECK", with_result);
      if (conf->version >= CniVersion::k040) {
        EXPECT_EQ(checked.exit_code, 0) << checked.output;
      }
    }
    Call("CHECK", config);
    Call("STATUS", config);
    Call("GC", config);
    Call("VERSION", config);
    CniAnswer deleted = Call("DEL", config);
    // Without its IPAM plugin a delegation cannot be undone either.
    if (conf->ipam.type.empty() || conf->ipam.in_process()) {
      EXPECT_EQ(deleted.exit_code, 0) << deleted.output;
    }
    EXPECT_EQ(Shell("ip -o link show type veth"), "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, SpecConfigsTest, ::testing::ValuesIn(Configurations()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace podroute
