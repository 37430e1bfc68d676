#include "cni/nat_table.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include <cerrno>
#include <string>
#include <vector>

namespace podroute {
namespace {

// A kernel that answers questions about its generation, has every chain and no elements, and
// refuses transactions as it is told.
class FakeKernel : public NetlinkTransport {
 public:
  int generation_error = 0;
  std::vector<int> commit_errors;  // Of the next transactions; 0 afterwards.
  int commits = 0;

  using NetlinkTransport::Execute;
  Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch& batch,
                                              const Handler& on_reply) override {
    batch.Number(1);
    std::vector<NetlinkFailure> failures;
    if (batch.header(0).nlmsg_type == NFNL_MSG_BATCH_BEGIN) {
      auto at = static_cast<size_t>(commits++);
      int error = at < commit_errors.size() ? commit_errors[at] : forever_;
      if (error != 0) failures.push_back({0, error, ""});
      return failures;
    }
    if (generation_error != 0) {
      failures.push_back({0, generation_error, ""});
      return failures;
    }
    NetlinkBatch answer;
    answer.Begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN, 0, nfgenmsg{});
    answer.PutU32(NFTA_GEN_ID, htonl(1));
    for (size_t i = 1; i < batch.size(); ++i) {
      answer.Begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, 0, nfgenmsg{});
      answer.PutU32(NFTA_CHAIN_USE, htonl(1));
    }
    answer.Number(1);
    std::span<const uint8_t> rest = answer.bytes();
    while (auto message = NextMessage(rest)) on_reply(*message);
    return failures;
  }
  Result<DumpResult> Dump(NetlinkBatch& /*request*/, const Handler& /*on_entry*/) override {
    return DumpResult{};
  }
  void RefuseForEver(int error) { forever_ = error; }

 private:
  int forever_ = 0;
};

NatElement Element() {
  PortMapping mapping{80, 80, IPPROTO_TCP, {}};
  CniIp ip;
  ip.address = {IpAddress::V4(0x0a010002), 24};
  return PortMapElements({mapping}, {ip}, "pods a eth0")[0];
}

bool Alive(const std::string& /*owner*/) { return true; }

TEST(NatTableTest, WhatIsRefusedBecauseOthersWereQuickerIsTriedAgain) {
  FakeKernel kernel;
  kernel.commit_errors = {ERESTART, EAGAIN, ENOENT, ERESTART};
  CniProblem problem = NatTable(kernel).Add({}, {Element()}, Alive);
  EXPECT_FALSE(problem.has_value()) << problem->message;
  EXPECT_EQ(kernel.commits, 5);
}

TEST(NatTableTest, ItDoesNotTryForEver) {
  FakeKernel kernel;
  kernel.RefuseForEver(ERESTART);
  CniProblem problem = NatTable(kernel).Add({}, {Element()}, Alive);
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->code, CniErrorCode::kTryAgainLater);
  EXPECT_LT(kernel.commits, 1000);
}

TEST(NatTableTest, AnyOtherRefusalIsToldAtOnce) {
  FakeKernel kernel;
  kernel.commit_errors = {EPERM};
  CniProblem problem = NatTable(kernel).Add({}, {Element()}, Alive);
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->code, CniErrorCode::kKernel);
  EXPECT_EQ(kernel.commits, 1);
}

TEST(NatTableTest, AKernelWithoutNftablesIsNamed) {
  FakeKernel kernel;
  kernel.generation_error = EINVAL;  // As nfnetlink puts it.
  NatTable table(kernel);
  CniProblem problem = table.Add({}, {Element()}, Alive);
  ASSERT_TRUE(problem.has_value());
  EXPECT_NE(problem->message.find("no nf_tables"), std::string::npos) << problem->message;
  EXPECT_NE(problem->details.find("Linux 5.2"), std::string::npos) << problem->details;
  Result<std::vector<NatElement>> removed =
      table.Remove({kHostPort4Map}, [](const NatElement&) { return true; });
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.status().code(), StatusCode::kUnsupported);
}

TEST(NatTableTest, ChainsHaveAsManyRulesAsTheySay) {
  NatLayout layout;
  AddHostPorts(layout, "cni0", true);
  AddMasquerading(layout, {*IpPrefix::Parse("10.1.0.0/16"), *IpPrefix::Parse("fd00::/64")});
  EXPECT_EQ(layout.chains.size(), 10u);
  for (const NatLayout::Chain& chain : layout.chains) {
    EXPECT_EQ(chain.rules().size(), chain.rule_count) << chain.chain.name;
  }
}

TEST(NatTableTest, NothingToRemoveIsNoTransaction) {
  FakeKernel kernel;
  Result<std::vector<NatElement>> removed =
      NatTable(kernel).Remove({kHostPort4Map}, [](const NatElement&) { return true; });
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_TRUE(removed->empty());
  EXPECT_EQ(kernel.commits, 0);
}

}  // namespace
}  // namespace podroute
