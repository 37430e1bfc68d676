#include "routing/nft_codec.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "routing/netlink_socket.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

constexpr char kTable[] = "test";

std::vector<NetlinkMessage> MessagesOf(const NetlinkBatch& batch) {
  std::vector<NetlinkMessage> messages;
  std::span<const uint8_t> rest = batch.bytes();
  while (auto message = NextMessage(rest)) messages.push_back(*message);
  return messages;
}

NftElement Element(uint16_t port, const std::string& comment) {
  NftElement element;
  element.key = NftTuple().Protocol(6).Port(port).bytes();
  element.data = NftTuple().Address(IpAddress::V4(0x0a010002)).Port(80).bytes();
  element.comment = comment;
  return element;
}

NftMap PortMap() {
  return {"ports",
          {NftType::kProtocol, NftType::kPort},
          {NftType::kIpv4, NftType::kPort},
          "ports and pods"};
}

TEST(NftCodecTest, ATransactionBeginsAndEndsAndNamesItsGeneration) {
  NftTransaction transaction(kTable, 7);
  transaction.AddTable("what for");
  NetlinkBatch& batch = transaction.Finish();
  std::vector<NetlinkMessage> messages = MessagesOf(batch);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].header.nlmsg_type, NFNL_MSG_BATCH_BEGIN);
  EXPECT_EQ(messages[2].header.nlmsg_type, NFNL_MSG_BATCH_END);
  auto header = messages[0].Fixed<nfgenmsg>();
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(ntohs(header->res_id), NFNL_SUBSYS_NFTABLES);
  NetlinkAttributes attributes(messages[0].body.subspan(sizeof(nfgenmsg)));
  EXPECT_EQ(ntohl(attributes.U32(NFNL_BATCH_GENID)), 7u);
  NftTransaction any(kTable);
  EXPECT_FALSE(NetlinkAttributes(MessagesOf(any.Finish())[0].body.subspan(sizeof(nfgenmsg)))
                   .has(NFNL_BATCH_GENID));
}

TEST(NftCodecTest, ElementsComeBackAsTheyWent) {
  std::vector<NftElement> elements = {Element(80, "mine"), Element(81, "")};
  NftElement jump;
  jump.key = NftTuple().Address(IpAddress::V4(0x0a010002)).bytes();
  jump.jump = "somewhere";
  jump.comment = std::string(128, 'x');
  elements.push_back(jump);
  NftTransaction transaction(kTable);
  transaction.AddElements("ports", elements);
  std::vector<NetlinkMessage> messages = MessagesOf(transaction.Finish());
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[1].header.nlmsg_flags & NLM_F_EXCL, NLM_F_EXCL);
  EXPECT_EQ(DecodeNftElements(messages[1]), elements);
  EXPECT_TRUE(DecodeNftElements(messages[0]).empty());
}

TEST(NftCodecTest, ManyElementsAreSeveralMessages) {
  std::vector<NftElement> elements;
  for (uint16_t port = 1; port <= 1000; ++port) {
    elements.push_back(Element(port, std::string(128, 'x')));
  }
  NftTransaction transaction(kTable);
  transaction.AddElements("ports", elements);
  std::vector<NftElement> decoded;
  for (const NetlinkMessage& message : MessagesOf(transaction.Finish())) {
    std::vector<NftElement> part = DecodeNftElements(message);
    decoded.insert(decoded.end(), part.begin(), part.end());
  }
  EXPECT_EQ(decoded, elements);
}

TEST(NftCodecTest, MessagesThatAreCutShortYieldNoMoreThanTheyHold) {
  NftTransaction transaction(kTable);
  std::vector<NftElement> elements = {Element(80, "mine"), Element(81, "mine")};
  transaction.AddElements("ports", elements);
  std::vector<NetlinkMessage> messages = MessagesOf(transaction.Finish());
  NetlinkMessage whole = messages[1];
  for (size_t size = 0; size < whole.body.size(); ++size) {
    NetlinkMessage cut = whole;
    cut.body = whole.body.first(size);
    EXPECT_LE(DecodeNftElements(cut).size(), 2u);
    (void)DecodeNftChain(cut);
    (void)DecodeNftTable(cut);
    (void)DecodeNftGeneration(cut);
    EXPECT_FALSE(ShowsMadeNft(cut, whole));
    (void)ShowsMadeNft(whole, cut);
  }
}

TEST(NftCodecTest, ARuleIsShownOnlyByOneThatSaysTheSame) {
  auto message_of = [](NftTransaction& transaction, const NftRule& rule) {
    NftChain chain;
    chain.name = "c";
    chain.rules = {rule};
    transaction.SetRules(chain);
    return MessagesOf(transaction.FinishAsCheck()).back();
  };
  const NftRule rule = NftRule().LoadMeta(NFT_META_MARK, 0).SetLookup("s", 0, true);
  NftTransaction made(kTable);
  const NetlinkMessage wanted = message_of(made, rule);
  EXPECT_TRUE(ShowsMadeNft(wanted, wanted));
  for (const NftRule& other :
       {NftRule(rule).Verdict(NFT_RETURN), NftRule().LoadMeta(NFT_META_MARK, 0),
        NftRule().LoadMeta(NFT_META_MARK, 1).SetLookup("s", 0, true),
        NftRule().LoadMeta(NFT_META_MARK, 0).SetLookup("s", 0, false),
        NftRule().LoadMeta(NFT_META_MARK, 0).SetLookup("t", 0, true),
        NftRule().SetLookup("s", 0, true).LoadMeta(NFT_META_MARK, 0)}) {
    NftTransaction another(kTable);
    EXPECT_FALSE(ShowsMadeNft(message_of(another, other), wanted));
  }
  NftTransaction elsewhere("elsewhere");
  EXPECT_FALSE(ShowsMadeNft(message_of(elsewhere, rule), wanted));
  NftTransaction bridge(kTable, std::nullopt, kNftBridge);
  EXPECT_FALSE(ShowsMadeNft(message_of(bridge, rule), wanted));
}

class NftKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    Result<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Create(NETLINK_NETFILTER);
    if (!socket.ok() || TryShell("nft list tables") != 0) GTEST_SKIP() << "no nftables here";
    socket_ = std::move(*socket);
  }
  // 0, or the first errno.
  int Commit(NftTransaction& transaction) {
    Result<std::vector<NetlinkFailure>> failures = socket_->Execute(transaction.Finish());
    EXPECT_TRUE(failures.ok());
    return failures->empty() ? 0 : failures->front().error;
  }
  uint32_t Generation() {
    NetlinkBatch batch;
    EncodeGetNftGeneration(batch);
    std::optional<uint32_t> generation;
    auto result = socket_->Execute(
        batch, [&](const NetlinkMessage& message) { generation = DecodeNftGeneration(message); });
    EXPECT_TRUE(result.ok() && generation.has_value());
    return generation.value_or(0);
  }
  std::vector<NftElement> Elements() {
    NetlinkBatch batch;
    EncodeDumpNftElements(batch, kTable, "ports");
    std::vector<NftElement> elements;
    auto dumped = socket_->Dump(batch, [&](const NetlinkMessage& message) {
      for (NftElement& element : DecodeNftElements(message)) elements.push_back(element);
    });
    EXPECT_TRUE(dumped.ok()) << dumped.status().message();
    return elements;
  }

  std::unique_ptr<NetlinkSocket> socket_;
};

TEST_F(NftKernelTest, NftShowsEveryExpression) {
  NftChain jumped;
  jumped.name = "jumped";
  jumped.rules = {
      NftRule()
          .MatchFamily(IpFamily::kV4)
          .LoadMeta(NFT_META_L4PROTO, 0)
          .LoadDestinationPort(1)
          .MapLookup("ports", 0, 0)
          .DestinationNat(IpFamily::kV4, 0, 1),
      NftRule().SetMark(~0x10u, 0x10).Comment("marks"),
      NftRule().MatchPrefix(true, *IpPrefix::Parse("10.0.0.0/9")).Verdict(NFT_RETURN),
      NftRule().MatchPrefix(false, *IpPrefix::Parse("fd00::/61")).Verdict(NFT_RETURN),
      NftRule().MatchPrefix(false, *IpPrefix::Parse("192.0.2.1/32")).Verdict(NFT_RETURN)};
  NftChain base;
  base.name = "base";
  base.type = "nat";
  base.hook = NF_INET_PRE_ROUTING;
  base.priority = -90;
  base.rules = {
      NftRule().MatchInterface(true, "lo").MatchLocal(false, false).Verdict(NFT_JUMP, "jumped")};
  NftChain post;
  post.name = "post";
  post.type = "nat";
  post.hook = NF_INET_POST_ROUTING;
  post.priority = 110;
  post.rules = {NftRule().MatchMark(0x10, 0x10).MatchConnectionStatus(1 << 5).Masquerade()};
  NftTransaction transaction(kTable);
  transaction.AddTable("what for");
  transaction.AddMap(PortMap());
  for (const NftChain* chain : {&jumped, &base, &post}) transaction.AddChain(*chain);
  for (const NftChain* chain : {&jumped, &base, &post}) transaction.SetRules(*chain);
  std::vector<NftElement> elements = {Element(8080, "whose")};
  transaction.AddElements("ports", elements);
  ASSERT_EQ(Commit(transaction), 0);
  std::string listed = Shell("nft list table inet test");
  for (const char* line :
       {"comment \"what for\"", "type inet_proto . inet_service : ipv4_addr . inet_service",
        "comment \"ports and pods\"", "elements = { tcp . 8080 comment \"whose\" : 10.1.0.2 . 80 }",
        "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports",
        "meta mark set meta mark | 0x00000010 comment \"marks\"", "ip saddr 10.0.0.0/9 return",
        "ip6 daddr fd00::/61 return", "ip daddr 192.0.2.1 return",
        "type nat hook prerouting priority dstnat + 10; policy accept;",
        "iifname \"lo\" fib daddr type != local jump jumped",
        "type nat hook postrouting priority srcnat + 10; policy accept;",
        "meta mark & 0x00000010 == 0x00000010 ct status dnat masquerade fully-random"}) {
    EXPECT_NE(listed.find(line), std::string::npos) << line << "\n" << listed;
  }
  EXPECT_EQ(Elements(), elements);
  // Once more, with other rules: they replace the old ones.
  post.rules.clear();
  NftTransaction again(kTable);
  again.AddTable("");
  again.AddChain(post);
  again.SetRules(post);
  ASSERT_EQ(Commit(again), 0);
  EXPECT_EQ(Shell("nft list table inet test").find("masquerade"), std::string::npos);
}

TEST_F(NftKernelTest, ATransactionIsAllOrNothing) {
  NftTransaction made(kTable);
  made.AddTable("");
  made.AddMap(PortMap());
  std::vector<NftElement> first = {Element(80, "a")};
  made.AddElements("ports", first);
  ASSERT_EQ(Commit(made), 0);
  NftTransaction taken(kTable);
  taken.AddElements("ports", std::vector<NftElement>{Element(81, "b"), Element(80, "b")});
  EXPECT_EQ(Commit(taken), EEXIST);
  NftTransaction missing(kTable);
  missing.DeleteElements("ports", first);
  missing.DeleteElements("ports", std::vector<NftElement>{Element(99, "")});
  EXPECT_EQ(Commit(missing), ENOENT);
  EXPECT_EQ(Elements(), first);
}

TEST_F(NftKernelTest, NothingIsDoneOnceSomebodyElseHasChangedSomething) {
  uint32_t generation = Generation();
  Shell("nft add table inet other");
  NftTransaction stale(kTable, generation);
  stale.AddTable("");
  EXPECT_EQ(Commit(stale), ERESTART);
  EXPECT_EQ(Shell("nft list tables"), "table inet other\n");
  NftTransaction fresh(kTable, Generation());
  fresh.AddTable("");
  EXPECT_EQ(Commit(fresh), 0);
}

TEST_F(NftKernelTest, ACheckChangesNothing) {
  NftTransaction good(kTable);
  good.AddTable("");
  good.AddMap(PortMap());
  Result<std::vector<NetlinkFailure>> failures = socket_->Execute(good.FinishAsCheck());
  ASSERT_TRUE(failures.ok());
  EXPECT_TRUE(failures->empty());
  NftTransaction bad(kTable);
  bad.AddTable("");
  NftChain chain;
  chain.name = "x";
  chain.type = "no-such-type";
  bad.AddChain(chain);
  failures = socket_->Execute(bad.FinishAsCheck());
  ASSERT_TRUE(failures.ok());
  EXPECT_EQ(failures->size(), 1u);
  EXPECT_EQ(Shell("nft list tables"), "");
}

}  // namespace
}  // namespace podroute
