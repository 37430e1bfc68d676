#include "routing/rule_codec.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <sys/socket.h>

#include <functional>
#include <vector>

namespace podroute {
namespace {

IpAddress A(const char* text) { return IpAddress::Parse(text).value(); }

NetlinkMessage First(const NetlinkBatch& batch) {
  std::span<const uint8_t> rest = batch.bytes();
  return NextMessage(rest).value();
}

struct Spec {
  fib_rule_hdr body{};
  NetlinkBatch batch;
  void Begin(uint8_t family, uint8_t action, uint32_t priority) {
    body.family = family;
    body.action = action;
    batch.Begin(RTM_NEWRULE, 0, body);
    batch.PutU32(FRA_PRIORITY, priority);
  }
};

void PutRange(NetlinkBatch& batch, uint16_t type, uint16_t first, uint16_t last) {
  std::vector<uint8_t> bytes(4);
  std::memcpy(bytes.data(), &first, 2);
  std::memcpy(bytes.data() + 2, &last, 2);
  batch.Put(type, bytes);
}

TEST(RuleCodecTest, ARuleIsShownAsItIsGivenToIp) {
  const std::vector<std::pair<std::string, std::function<void(Spec*)>>> cases = {
      {"priority 32766 lookup main",
       [](Spec* s) {
         s->Begin(AF_INET, FR_ACT_TO_TBL, 32766);
         s->batch.PutU32(FRA_TABLE, 254);
       }},
      {"priority 5 not from 10.244.1.0/24 to 10.244.2.0/24 lookup 1000",
       [](Spec* s) {
         s->body.src_len = s->body.dst_len = 24;
         s->body.flags = FIB_RULE_INVERT;
         s->Begin(AF_INET, FR_ACT_TO_TBL, 5);
         s->batch.PutAddress(FRA_SRC, A("10.244.1.0"));
         s->batch.PutAddress(FRA_DST, A("10.244.2.0"));
         s->batch.PutU32(FRA_TABLE, 1000);
       }},
      {"priority 6 iif cni0 fwmark 16/255 ipproto 6 dport 80-90 prohibit",
       [](Spec* s) {
         s->Begin(AF_INET, FR_ACT_PROHIBIT, 6);
         s->batch.PutText(FRA_IIFNAME, "cni0");
         s->batch.PutU32(FRA_FWMARK, 16);
         s->batch.PutU32(FRA_FWMASK, 255);
         s->batch.PutU8(FRA_IP_PROTO, 6);
         PutRange(s->batch, FRA_DPORT_RANGE, 80, 90);
       }},
      {"priority 7 to fd00:10:244:2::/64 unreachable",
       [](Spec* s) {
         s->body.dst_len = 64;
         s->Begin(AF_INET6, FR_ACT_UNREACHABLE, 7);
         s->batch.PutAddress(FRA_DST, A("fd00:10:244:2::"));
       }},
      {"priority 8 blackhole", [](Spec* s) { s->Begin(AF_INET, FR_ACT_BLACKHOLE, 8); }},
      {"priority 9 goto 100",
       [](Spec* s) {
         s->Begin(AF_INET, FR_ACT_GOTO, 9);
         s->batch.PutU32(FRA_GOTO, 100);
       }},
      {"priority 1000 lookup [l3mdev-table]",
       [](Spec* s) {
         s->Begin(AF_INET, FR_ACT_TO_TBL, 1000);
         s->batch.PutU8(FRA_L3MDEV, 1);
       }},
  };
  for (const auto& [text, make] : cases) {
    Spec spec;
    make(&spec);
    std::optional<KernelRule> rule = DecodeRule(First(spec.batch));
    ASSERT_TRUE(rule) << text;
    EXPECT_EQ(RuleText(*rule), text);
    EXPECT_EQ(rule->suppress_length, -1);
    EXPECT_EQ(rule->other, rule->l3mdev);
  }
}

TEST(RuleCodecTest, ConditionsThatWeCannotJudgeAreKnownToBeThere) {
  Spec tos;
  tos.body.tos = 16;
  tos.Begin(AF_INET, FR_ACT_TO_TBL, 1);
  EXPECT_TRUE(DecodeRule(First(tos.batch))->other);
  Spec newer;
  newer.Begin(AF_INET, FR_ACT_TO_TBL, 1);
  newer.batch.PutU8(FRA_DPORT_RANGE + 1, 4);
  EXPECT_TRUE(DecodeRule(First(newer.batch))->other);
}

TEST(RuleCodecTest, WhatIsNoRuleIsNone) {
  NetlinkBatch batch;
  batch.Begin(RTM_NEWRULE, 0, uint32_t{0});
  EXPECT_FALSE(DecodeRule(First(batch)));
  Spec packet;
  packet.Begin(AF_PACKET, FR_ACT_TO_TBL, 1);
  EXPECT_FALSE(DecodeRule(First(packet.batch)));
}

TEST(RuleCodecTest, AQuestionSaysWhatIsKnownOfThePackets) {
  NetlinkBatch batch;
  EncodeAskRoute(batch, {A("10.244.2.2"), A("10.244.1.2"), 7, 6, 0, 80});
  NetlinkMessage message = First(batch);
  auto fixed = message.Fixed<rtmsg>();
  NetlinkAttributes attributes(message.body.subspan(sizeof(rtmsg)));
  EXPECT_EQ(fixed->rtm_dst_len, 32);
  EXPECT_EQ(fixed->rtm_src_len, 32);
  EXPECT_EQ(fixed->rtm_flags, unsigned{RTM_F_LOOKUP_TABLE});
  EXPECT_EQ(attributes.Address(RTA_DST), A("10.244.2.2"));
  EXPECT_EQ(attributes.Address(RTA_SRC), A("10.244.1.2"));
  EXPECT_EQ(attributes.U32(RTA_IIF), 7u);
  EXPECT_EQ(attributes.get(RTA_IP_PROTO)[0], 6);
  EXPECT_FALSE(attributes.has(RTA_SPORT));
  EXPECT_EQ(attributes.get(RTA_DPORT)[1], 80);

  NetlinkBatch v6;
  EncodeAskRoute(v6, {A("fd00::2"), std::nullopt});
  message = First(v6);
  EXPECT_EQ(message.Fixed<rtmsg>()->rtm_flags, 0u);
  EXPECT_FALSE(NetlinkAttributes(message.body.subspan(sizeof(rtmsg))).has(RTA_IIF));
}

// It is part of a command that somebody will run.
TEST(RuleTextTest, ALinksNameIsOneWordForTheShell) {
  KernelRule rule;
  rule.priority = 7;
  rule.iif = "a;b$(c)";
  EXPECT_NE(RuleText(rule).find("priority 7 iif 'a;b$(c)'"), std::string::npos) << RuleText(rule);
}

}  // namespace
}  // namespace podroute
