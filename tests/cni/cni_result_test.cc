#include "cni/cni_result.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace podroute {
namespace {

CniResult Example() {
  CniResult result;
  result.interfaces = {{"cni0", "02:00:00:00:00:01", "", 1500},
                       {"eth0", "02:00:00:00:00:02", "/run/netns/x", 1500}};
  result.ips = {
      {{IpAddress::Parse("10.1.2.3").value(), 24}, IpAddress::Parse("10.1.2.1").value(), 1},
      {{IpAddress::Parse("fd00::3").value(), 64}, std::nullopt, 1}};
  CniRoute route;
  route.dst = IpPrefix::Parse("0.0.0.0/0").value();
  route.gateway = IpAddress::Parse("10.1.2.1").value();
  route.mtu = 1400;
  route.priority = 5;
  result.routes = {route};
  result.dns.nameservers = {"10.96.0.10"};
  return result;
}

TEST(CniResultTest, TheNewestFormHasEverything) {
  EXPECT_EQ(RenderResult(Example(), CniVersion::k110),
            R"({"cniVersion":"1.1.0","interfaces":[)"
            R"({"name":"cni0","mac":"02:00:00:00:00:01","mtu":1500},)"
            R"({"name":"eth0","mac":"02:00:00:00:00:02","mtu":1500,"sandbox":"/run/netns/x"}],)"
            R"("ips":[{"interface":1,"address":"10.1.2.3/24","gateway":"10.1.2.1"},)"
            R"({"interface":1,"address":"fd00::3/64"}],)"
            R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.2.1","mtu":1400,"priority":5}],)"
            R"("dns":{"nameservers":["10.96.0.10"]}})");
}

TEST(CniResultTest, FormsBefore100HaveTheAddressesVersionAndNoMtu) {
  for (CniVersion version : {CniVersion::k030, CniVersion::k031, CniVersion::k040}) {
    std::string text = RenderResult(Example(), version);
    EXPECT_NE(text.find(R"({"version":"4","interface":1,"address":"10.1.2.3/24")"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("version":"6")"), std::string::npos) << text;
    EXPECT_EQ(text.find("mtu"), std::string::npos) << text;
  }
  EXPECT_EQ(RenderResult(Example(), CniVersion::k100).find("\"version\""), std::string::npos);
}

TEST(CniResultTest, WhatIsRenderedReadsBackTheSame) {
  for (CniVersion version : {CniVersion::k040, CniVersion::k110}) {
    Result<rapidjson::Document> document = ParseJsonObject(RenderResult(Example(), version));
    ASSERT_TRUE(document.ok());
    std::optional<std::string> problem;
    CniResult read = ReadResult(JsonReader(*document, "", &problem));
    EXPECT_FALSE(problem.has_value()) << *problem;
    EXPECT_EQ(RenderResult(read, version), RenderResult(Example(), version));
  }
}

TEST(CniResultTest, ErrorsHaveCodeMessageAndDetails) {
  EXPECT_EQ(RenderError({CniErrorCode::kInvalidConfig, std::nullopt, "a \"b\"", "do c"},
                        CniVersion::k040),
            R"({"cniVersion":"0.4.0","code":7,"msg":"a \"b\"","details":"do c"})");
}

TEST(CniResultTest, AnErrorIsValidUtf8WhateverItQuotes) {
  EXPECT_EQ(
      RenderError({CniErrorCode::kIoFailure, std::nullopt, "x\xff\xfey", ""}, CniVersion::k110),
      R"({"cniVersion":"1.1.0","code":5,"msg":"x??y"})");
  EXPECT_NE(
      RenderError({CniErrorCode::kIoFailure, std::nullopt, "sch\xc3\xb6n", ""}, CniVersion::k110)
          .find("sch\xc3\xb6n"),
      std::string::npos);
}

TEST(CniResultTest, VersionRepeatsWhatWasAskedFor) {
  EXPECT_EQ(RenderVersion("0.4.0"), R"({"cniVersion":"0.4.0","supportedVersions":)"
                                    R"(["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})");
  EXPECT_NE(RenderVersion("").find(R"("cniVersion":"1.1.0")"), std::string::npos);
}

TEST(CniResultTest, ADelegatedPluginsErrorKeepsItsCode) {
  CniError error = ReadError(R"({"code":11,"msg":"later","details":"busy"})", "dhcp");
  EXPECT_EQ(error.number(), 11u);
  EXPECT_EQ(error.message, "dhcp: later");
  EXPECT_EQ(error.details, "busy");
  EXPECT_EQ(ReadError("panic: nil", "dhcp").number(), 104u);
}

}  // namespace
}  // namespace podroute
