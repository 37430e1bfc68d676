#include "cni/host_local.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "cni/ip_store.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

class HostLocalTest : public ::testing::Test {
 protected:
  IpamConf Conf(const std::string& ipam_fields, const std::string& more = "") {
    CniOr<NetConf> conf = ParseNetConf(R"({"cniVersion":"1.1.0","name":"net",)" + more +
                                       R"("ipam":{"type":"host-local","dataDir":")" + dir_.path() +
                                       "\"," + ipam_fields + "}}");
    EXPECT_TRUE(conf.ok()) << conf.error().message;
    EXPECT_FALSE(conf->unsupported.has_value()) << conf->unsupported->message;
    return conf->ipam;
  }
  IpamConf Small() { return Conf(R"("ranges":[[{"subnet":"10.0.0.0/29"}]])"); }

  std::string Add(const IpamConf& conf, const std::string& container) {
    CniOr<CniResult> result = HostLocalAdd(conf, "net", {container, "eth0"});
    if (!result.ok()) return std::to_string(result.error().number()) + " " + result.error().message;
    std::string text;
    for (const CniIp& ip : result->ips) {
      text += (text.empty() ? "" : " ") + ip.address.ToString() + " via " + ip.gateway->ToString();
    }
    return text;
  }
  void Del(const IpamConf& conf, const std::string& container) {
    CniProblem problem = HostLocalDel(conf, "net", {container, "eth0"});
    EXPECT_FALSE(problem.has_value()) << problem->message;
  }

  TempDir dir_;
};

TEST_F(HostLocalTest, GivesOneAfterTheOtherUntilNoneIsFree) {
  IpamConf conf = Small();
  EXPECT_EQ(Add(conf, "a"), "10.0.0.2/29 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "b"), "10.0.0.3/29 via 10.0.0.1");
  Del(conf, "a");
  // Round robin: what was just given back rests.
  EXPECT_EQ(Add(conf, "c"), "10.0.0.4/29 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "d"), "10.0.0.5/29 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "e"), "10.0.0.6/29 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "f"), "10.0.0.2/29 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "g"), "101 no free address in 10.0.0.1-10.0.0.6");
  Del(conf, "c");
  EXPECT_EQ(Add(conf, "g"), "10.0.0.4/29 via 10.0.0.1");
}

TEST_F(HostLocalTest, TheSameAttachmentGetsNoSecondAddress) {
  IpamConf conf = Small();
  Add(conf, "a");
  EXPECT_EQ(Add(conf, "a"), "101 10.0.0.2 is already a's eth0");
}

TEST_F(HostLocalTest, DelIsIdempotentEvenWithoutAStore) {
  IpamConf conf = Small();
  Del(conf, "a");
  Add(conf, "a");
  Del(conf, "a");
  Del(conf, "a");
}

TEST_F(HostLocalTest, ASetWithoutAFreeAddressUndoesTheOthers) {
  IpamConf conf = Conf(
      R"("ranges":[[{"subnet":"10.0.0.0/29"}],[{"subnet":"fd00::/64","rangeEnd":"fd00::2"}]])");
  EXPECT_EQ(Add(conf, "a"), "10.0.0.2/29 via 10.0.0.1 fd00::2/64 via fd00::1");
  EXPECT_EQ(Add(conf, "b"), "101 no free address in fd00::1-fd00::2");
  Result<IpStore> store = IpStore::Open(dir_.path(), "net");
  EXPECT_EQ(store->Addresses()->size(), 2u);
}

TEST_F(HostLocalTest, RequestedAddressesAreGivenOrRefusedByName) {
  auto asking = [&](const std::string& ips) {
    return Conf(R"("ranges":[[{"subnet":"10.0.0.0/29"}]])",
                R"("runtimeConfig":{"ips":[)" + ips + "]},");
  };
  EXPECT_EQ(Add(asking("\"10.0.0.5\""), "a"), "10.0.0.5/29 via 10.0.0.1");
  EXPECT_EQ(Add(asking("\"10.0.0.5\""), "b"), "101 requested address 10.0.0.5 is taken");
  EXPECT_EQ(Add(asking("\"10.0.0.1\""), "b"), "101 requested address 10.0.0.1 is the gateway's");
  EXPECT_EQ(Add(asking("\"10.0.0.7\""), "b"), "101 requested address 10.0.0.7 is in no range");
  EXPECT_EQ(Add(asking("\"10.9.0.7\""), "b"), "101 requested address 10.9.0.7 is in no range");
}

TEST_F(HostLocalTest, ResolvConfBecomesDns) {
  std::string path = dir_.Write("resolv.conf",
                                "# c\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch a b\n"
                                "options ndots:5\ndomain d\n");
  IpamConf conf = Conf(R"("ranges":[[{"subnet":"10.0.0.0/29"}]],"resolvConf":")" + path + "\"");
  CniOr<CniResult> result = HostLocalAdd(conf, "net", {"a", "eth0"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->dns.nameservers, (std::vector<std::string>{"1.1.1.1", "2.2.2.2"}));
  EXPECT_EQ(result->dns.search, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(result->dns.domain, "d");
}

TEST_F(HostLocalTest, CheckAsksForTheVeryAddresses) {
  IpamConf conf = Small();
  EXPECT_TRUE(HostLocalCheck(conf, "net", {"a", "eth0"}, {}).has_value());
  Add(conf, "a");
  EXPECT_FALSE(HostLocalCheck(conf, "net", {"a", "eth0"}, {A("10.0.0.2")}).has_value());
  EXPECT_TRUE(HostLocalCheck(conf, "net", {"a", "eth0"}, {A("10.0.0.3")}).has_value());
}

TEST_F(HostLocalTest, StatusIsUnavailableWhenARangeIsFullOrTheStoreCannotBeWritten) {
  IpamConf conf = Conf(R"("ranges":[[{"subnet":"10.0.0.0/30"}]])");
  EXPECT_FALSE(HostLocalStatus(conf, "net").has_value());
  Add(conf, "a");
  CniProblem full = HostLocalStatus(conf, "net");
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(full->code, CniErrorCode::kUnavailable);
  conf.data_dir = dir_.Write("a-file", "");
  CniProblem unwritable = HostLocalStatus(conf, "net");
  ASSERT_TRUE(unwritable.has_value());
  EXPECT_EQ(unwritable->code, CniErrorCode::kUnavailable);
  EXPECT_NE(unwritable->message.find("a-file"), std::string::npos) << unwritable->message;
}

TEST_F(HostLocalTest, StaleOwnersAreThoseThatAreNotListed) {
  IpamConf conf = Small();
  Add(conf, "a");
  Add(conf, "b");
  CniOr<std::vector<CniAttachment>> stale = HostLocalStale(conf, "net", {{"a", "eth0"}});
  ASSERT_TRUE(stale.ok());
  EXPECT_EQ(*stale, (std::vector<CniAttachment>{{"b", "eth0"}}));
}

TEST_F(HostLocalTest, FindsTheOneHoleInARangeThatIsNearlyFull) {
  IpamConf conf = Conf(R"("ranges":[[{"subnet":"10.0.0.0/22"}]])");
  {
    Result<IpStore> store = IpStore::Open(dir_.path(), "net");
    for (uint64_t i = 2; i < 1023; ++i) {
      if (i != 700) dir_.Write("net/" + A("10.0.0.0").Plus(i).ToString(), "x\r\neth0");
    }
  }
  EXPECT_EQ(Add(conf, "a"), "10.0.2.188/22 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "b"), "101 no free address in 10.0.0.1-10.0.3.254");
}

TEST_F(HostLocalTest, GoesOnRoundRobinThroughARangeThatIsNearlyFull) {
  IpamConf conf = Conf(R"("ranges":[[{"subnet":"10.0.0.0/22"}]])");
  for (uint64_t i = 2; i < 1023; ++i) {
    dir_.Write("net/" + A("10.0.0.0").Plus(i).ToString(), "c" + std::to_string(i) + "\r\neth0");
  }
  Del(conf, "c700");
  Del(conf, "c300");
  EXPECT_EQ(Add(conf, "a"), "10.0.1.44/22 via 10.0.0.1");
  Del(conf, "c200");
  EXPECT_EQ(Add(conf, "b"), "10.0.2.188/22 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "c"), "10.0.0.200/22 via 10.0.0.1");
  Del(conf, "b");
  EXPECT_EQ(Add(conf, "d"), "10.0.2.188/22 via 10.0.0.1");
}

TEST_F(HostLocalTest, WhatAnotherPluginDidMeanwhileIsSeen) {
  IpamConf conf = Conf(R"("ranges":[[{"subnet":"10.0.0.0/22"}]])");
  auto file = [&](uint64_t i) { return dir_.File("net/" + A("10.0.0.0").Plus(i).ToString()); };
  for (uint64_t i = 2; i < 1023; ++i) {
    if (i != 500 && i != 501) {
      dir_.Write("net/" + A("10.0.0.0").Plus(i).ToString(), "x\r\neth0");
    }
  }
  EXPECT_EQ(Add(conf, "a"), "10.0.1.244/22 via 10.0.0.1");  // Makes the bitmap.
  dir_.Write("net/10.0.1.245", "x\r\neth0");
  std::filesystem::remove(file(100));
  std::filesystem::remove(file(900));
  EXPECT_EQ(Add(conf, "b"), "10.0.3.132/22 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "c"), "10.0.0.100/22 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "d"), "101 no free address in 10.0.0.1-10.0.3.254");
}

TEST_F(HostLocalTest, RangesOfOneSubnetAreFilledOneAfterTheOther) {
  IpamConf conf = Conf(R"("ranges":[[
      {"subnet":"10.0.0.0/16","rangeStart":"10.0.1.10","rangeEnd":"10.0.1.99"},
      {"subnet":"10.0.0.0/16","rangeStart":"10.0.2.10","rangeEnd":"10.0.2.99"}]])");
  for (int i = 10; i < 100; ++i) {
    EXPECT_EQ(Add(conf, "low" + std::to_string(i)),
              "10.0.1." + std::to_string(i) + "/16 via 10.0.0.1");
  }
  for (int i = 10; i < 100; ++i) {
    EXPECT_EQ(Add(conf, "high" + std::to_string(i)),
              "10.0.2." + std::to_string(i) + "/16 via 10.0.0.1");
  }
  // Both are in one bitmap by now: what is between the ranges must not be given.
  EXPECT_EQ(Add(conf, "more"), "101 no free address in 10.0.1.10-10.0.1.99, 10.0.2.10-10.0.2.99");
  Del(conf, "high55");
  Del(conf, "low99");
  EXPECT_EQ(Add(conf, "more"), "10.0.1.99/16 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "again"), "10.0.2.55/16 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "none"), "101 no free address in 10.0.1.10-10.0.1.99, 10.0.2.10-10.0.2.99");
}

TEST_F(HostLocalTest, TwoSetsMayShareASubnet) {
  IpamConf conf = Conf(R"("ranges":[
      [{"subnet":"10.0.0.0/16","rangeStart":"10.0.1.10","rangeEnd":"10.0.1.11"}],
      [{"subnet":"10.0.0.0/16","rangeStart":"10.0.1.12","rangeEnd":"10.0.1.13"}]])");
  EXPECT_EQ(Add(conf, "a"), "10.0.1.10/16 via 10.0.0.1 10.0.1.12/16 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "b"), "10.0.1.11/16 via 10.0.0.1 10.0.1.13/16 via 10.0.0.1");
  EXPECT_EQ(Add(conf, "c"), "101 no free address in 10.0.1.10-10.0.1.11");
}

TEST_F(HostLocalTest, StatusWithoutRangesLooksAtTheStoreOnly) {
  IpamConf conf;
  conf.type = "host-local";
  conf.data_dir = dir_.path();
  EXPECT_FALSE(HostLocalStatus(conf, "net").has_value());
  conf.data_dir = dir_.Write("a-file", "");
  EXPECT_TRUE(HostLocalStatus(conf, "net").has_value());
}

}  // namespace
}  // namespace podroute
