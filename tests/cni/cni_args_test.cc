#include "cni/cni_args.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace podroute {
namespace {

Environment From(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

std::map<std::string, std::string> GoodAdd() {
  return {{"CNI_COMMAND", "ADD"},
          {"CNI_CONTAINERID", "abc.1_2-3"},
          {"CNI_NETNS", "/run/netns/x"},
          {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", "/a:/b"}};
}

TEST(CniArgsTest, ReadsAnAdd) {
  auto variables = GoodAdd();
  variables["CNI_ARGS"] =
      "IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.0.0.7,fd00::7/64;MAC=02:00:00:00:00:01";
  CniOr<CniArgs> args = ParseCniArgs(From(variables));
  ASSERT_TRUE(args.ok()) << args.error().message;
  EXPECT_EQ(args->command, CniCommand::kAdd);
  EXPECT_EQ(args->container_id, "abc.1_2-3");
  EXPECT_EQ(args->netns, "/run/netns/x");
  EXPECT_EQ(args->interface, "eth0");
  EXPECT_EQ(args->path, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(args->mac, "02:00:00:00:00:01");
  ASSERT_EQ(args->ips.size(), 2u);
  EXPECT_EQ(args->ips[1].ToString(), "fd00::7");
}

TEST(CniArgsTest, EachCommandNeedsWhatTheSpecificationSaysAndNoMore) {
  struct Case {
    const char* command;
    const char* without;
    bool ok;
  };
  for (const Case& c : std::initializer_list<Case>{{"ADD", "CNI_CONTAINERID", false},
                                                   {"ADD", "CNI_NETNS", false},
                                                   {"ADD", "CNI_IFNAME", false},
                                                   {"ADD", "CNI_PATH", true},
                                                   {"DEL", "CNI_CONTAINERID", false},
                                                   {"DEL", "CNI_NETNS", true},
                                                   {"DEL", "CNI_IFNAME", false},
                                                   {"CHECK", "CNI_NETNS", false},
                                                   {"GC", "CNI_CONTAINERID", true},
                                                   {"STATUS", "CNI_IFNAME", true},
                                                   {"VERSION", "CNI_NETNS", true}}) {
    auto variables = GoodAdd();
    variables["CNI_COMMAND"] = c.command;
    variables.erase(c.without);
    CniOr<CniArgs> args = ParseCniArgs(From(variables));
    EXPECT_EQ(args.ok(), c.ok) << c.command << " without " << c.without;
    if (!args.ok()) {
      EXPECT_EQ(args.error().code, CniErrorCode::kInvalidEnvironment);
      EXPECT_NE(args.error().message.find(c.without), std::string::npos) << args.error().message;
    }
  }
}

TEST(CniArgsTest, NamesEveryWrongVariableAtOnce) {
  CniOr<CniArgs> args = ParseCniArgs(From({{"CNI_COMMAND", "ADD"},
                                           {"CNI_CONTAINERID", "../etc"},
                                           {"CNI_IFNAME", "eth/0"},
                                           {"CNI_ARGS", "novalue"}}));
  ASSERT_FALSE(args.ok());
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}) {
    EXPECT_NE(args.error().message.find(name), std::string::npos) << args.error().message;
  }
}

TEST(CniArgsTest, DelDoesNotMindWhatAddAsksForInCniArgs) {
  for (const char* extra : {"IP=10.0.0.300", "MAC=zz", "novalue", "=x;IP=,,/"}) {
    auto variables = GoodAdd();
    variables["CNI_ARGS"] = extra;
    for (const char* command : {"ADD", "CHECK"}) {
      variables["CNI_COMMAND"] = command;
      CniOr<CniArgs> refused = ParseCniArgs(From(variables));
      ASSERT_FALSE(refused.ok()) << command << " " << extra;
      EXPECT_EQ(refused.error().code, CniErrorCode::kInvalidEnvironment);
    }
    variables["CNI_COMMAND"] = "DEL";
    EXPECT_TRUE(ParseCniArgs(From(variables)).ok()) << extra;
  }
}

TEST(CniArgsTest, RefusesUnknownCommands) {
  for (const char* command : {"", "add", "GET", "ADDITIONAL"}) {
    EXPECT_FALSE(ParseCniArgs(From({{"CNI_COMMAND", command}})).ok()) << command;
  }
}

TEST(CniArgsTest, InterfaceNamesAreTheKernels) {
  for (const char* good : {"eth0", "a", "123456789012345", "net-1.2"}) {
    EXPECT_FALSE(InterfaceNameProblem(good).has_value()) << good;
  }
  for (const char* bad :
       {"", ".", "..", "1234567890123456", "a/b", "a:b", "a b", "a\tb", "a\n", "eth%d", "a%b"}) {
    EXPECT_TRUE(InterfaceNameProblem(bad).has_value()) << bad;
  }
}

TEST(CniArgsTest, ContainerIdsAndNetworkNames) {
  for (const char* good : {"a", "0", "a.b", "A_-.9"}) EXPECT_TRUE(IsCniName(good)) << good;
  for (const char* bad : {"", ".a", "_a", "-a", "a/b", "a b", "a\r\nb", "\xc3\xa4"}) {
    EXPECT_FALSE(IsCniName(bad)) << bad;
  }
  EXPECT_FALSE(IsCniName(std::string(300, 'a')));
}

TEST(CniArgsTest, HardwareAddresses) {
  EXPECT_EQ(MacToString(*ParseMac("0A:58:0a:f4:02:07")), "0a:58:0a:f4:02:07");
  for (const char* bad : {"", "0a:58:0a:f4:02", "0a:58:0a:f4:02:0g", "01:00:00:00:00:01",
                          "00:00:00:00:00:00", "0a58.0af4.0207", "0a:58:0a:f4:02:07:00"}) {
    EXPECT_FALSE(ParseMac(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace podroute
