#include "k8sclient/node_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"
#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Result<NodeListPage> Decode(FakeResponse response) {
  FakeClock clock;
  FakeBody body(std::move(response));
  return DecodeNodeList(body, clock);
}

Result<NodeListPage> DecodeText(const std::string& json) {
  return Decode(FakeResponse::Body(json));
}

std::string ListOf(const std::string& items) {
  return R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[)" +
         items + "]}";
}

// The one Node that `json` is, inside a list with a good one on either side, which must survive it.
Node Only(const std::string& json) {
  Result<NodeListPage> page = DecodeText(
      ListOf(R"({"metadata":{"name":"before"}},)" + json + R"(,{"metadata":{"name":"after"}})"));
  EXPECT_TRUE(page.ok()) << page.status().message() << " in " << json.substr(0, 200);
  if (!page.ok() || page->nodes.size() != 3) return {};
  EXPECT_EQ(page->nodes[0].name, "before");
  EXPECT_EQ(page->nodes[2].name, "after");
  return page->nodes[1];
}

std::string Repeat(size_t n, const std::string& what, const std::string& separator = ",") {
  std::string text = what;
  for (size_t i = 1; i < n; ++i) text += separator + what;
  return text;
}

TEST(NodeDecoderTest, KeepsWhatWeUseOfATranscript) {
  NodeListPage page = Decode(Transcript("01-list")).value();
  EXPECT_EQ(page.resource_version, "217");
  EXPECT_EQ(page.continue_token, "");
  ASSERT_THAT(page.nodes, SizeIs(3));
  Node expected;
  expected.name = "worker1";
  expected.uid = "4b81b51d-7966-4fe5-96b4-f0e31d518b7f";
  expected.resource_version = "212";
  expected.creation_seconds = 1795383068;
  expected.pod_cidrs = {"10.244.2.0/24"};
  expected.internal_ips = {"192.168.0.2"};
  expected.pod_cidrs_total = 1;
  expected.addresses_total = 2;
  EXPECT_EQ(page.nodes[1], expected);
  EXPECT_EQ(page.nodes[0].name, "master1");
  EXPECT_EQ(page.nodes[2].name, "worker2");
}

TEST(NodeDecoderTest, PagesOfATranscriptCarryTheirToken) {
  NodeListPage first = Decode(Transcript("02-list-limit2")).value();
  EXPECT_EQ(first.continue_token,
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjE3LCJzdGFydCI6IndvcmtlcjFcdTAwMDAifQ");
  EXPECT_THAT(first.nodes, SizeIs(2));
  NodeListPage second = Decode(Transcript("03-list-continue")).value();
  EXPECT_EQ(second.continue_token, "");
  EXPECT_EQ(second.resource_version, first.resource_version);
  EXPECT_THAT(second.nodes, SizeIs(1));
}

TEST(NodeDecoderTest, ChunksMakeNoDifference) {
  for (const char* name : {"01-list", "02-list-limit2", "03-list-continue", "04-list-rv0"}) {
    NodeListPage whole = Decode(Transcript(name)).value();
    for (size_t chunk_bytes : {1, 2, 3, 7, 1000}) {
      FakeResponse response = Transcript(name);
      response.chunk_bytes = chunk_bytes;
      NodeListPage page = Decode(std::move(response)).value();
      EXPECT_EQ(page.nodes, whole.nodes) << name << " in pieces of " << chunk_bytes;
      EXPECT_EQ(page.resource_version, whole.resource_version);
      EXPECT_EQ(page.continue_token, whole.continue_token);
    }
  }
}

TEST(NodeDecoderTest, EveryTruncationIsAnError) {
  std::string text = Transcript("02-list-limit2").body[0].data;
  while (text.back() == '\n') text.pop_back();
  for (size_t size = 0; size < text.size(); ++size) {
    Result<NodeListPage> page = DecodeText(text.substr(0, size));
    ASSERT_FALSE(page.ok()) << size;
    ASSERT_EQ(page.status().code(), StatusCode::kUnavailable) << size;
    ASSERT_THAT(page.status().message(), HasSubstr("ended too early"));
  }
}

TEST(NodeDecoderTest, BrokenConnectionsAreAnErrorEvenBehindTheLastBrace) {
  FakeResponse response = Transcript("01-list");
  response.body.push_back(BodyStep::Error(Status(StatusCode::kUnavailable, "connection reset")));
  EXPECT_EQ(Decode(response).status(), Status(StatusCode::kUnavailable, "connection reset"));
}

TEST(NodeDecoderTest, WhatIsNoNodeListHasOneClearError) {
  struct Case {
    std::string body;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"<!DOCTYPE html>\n<html></html>",
       "not JSON at byte 0, before \"<!DOCTYPE html> <html></html>\": Invalid value."},
      {"", "the JSON ended too early, after 0 bytes"},
      {"null", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"5", "not a JSON object"},
      {"\"NodeList\"", "not a JSON object"},
      {"{}", "there is no kind in it: not a Kubernetes object"},
      {R"({"kind":"PodList","items":[]})", "kind is \"PodList\", not NodeList"},
      {R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[]})",
       "kind is \"Table\", not NodeList"},
      {R"({"items":[],"kind":"PodList"})", "kind is \"PodList\", not NodeList"},
      {R"({"kind":"Status","status":"Failure"})", "kind is \"Status\", not NodeList"},
      {R"({"kind":5,"items":[]})", "there is no kind in it: not a Kubernetes object"},
      {R"({"kind":"NodeList"})", "the list has no items"},
      {R"({"kind":"NodeList","items":{}})", "the list has no items"},
      {R"({"kind":"NodeList","items":"x"})", "the list has no items"},
      {R"({"kind":"NodeList","items":[],"items":[]})", "items comes twice"},
      {ListOf(R"({"metadata":{"name":"a"}},5)"), "items[1] is no object"},
      {ListOf("null"), "items[0] is no object"},
      {ListOf("[]"), "items[0] is no object"},
      {ListOf("\"a\""), "items[0] is no object"},
      {ListOf("{}"), "items[0] has no metadata.name"},
      {ListOf(R"({"metadata":{"name":5}})"), "items[0] has no metadata.name"},
      {ListOf(R"({"kind":"Pod","metadata":{"name":"a"}})"), "items[0] is a Pod, not a Node"},
      {ListOf("") + " {", "something follows the JSON at byte 84: {"},
      {ListOf("") + std::string(1, '\0'), "something follows the JSON at byte 83: "},
      {R"({"kind":"NodeList",})", nullptr},
      {std::string("{\"kind\":\"Node\0List\"}", 20), nullptr},
      {"{\"kind\":\"NodeList\x01\"}", nullptr},
      {R"({"kind":"NodeList","metadata":{"resourceVersion":")" + std::string(20000, '1') + "\"}}",
       "metadata has a text over 16 KiB long"},
  };
  for (const Case& c : cases) {
    Result<NodeListPage> page = DecodeText(c.body);
    ASSERT_FALSE(page.ok()) << c.body.substr(0, 200);
    if (c.message != nullptr) {
      EXPECT_EQ(page.status().message(), c.message);
    }
    EXPECT_THAT(page.status().message(), Not(HasSubstr("\n")));
  }
}

TEST(NodeDecoderTest, AcceptsEmptyLists) {
  EXPECT_THAT(DecodeText(ListOf("")).value().nodes, IsEmpty());
  EXPECT_THAT(DecodeText(R"({"kind":"NodeList","items":null})").value().nodes, IsEmpty());
}

TEST(NodeDecoderTest, MetadataAndKindMayFollowTheItems) {
  NodeListPage page = DecodeText(R"( {"items":[{"metadata":{"name":"a"}}],)"
                                 R"("metadata":{"continue":"t","resourceVersion":"9"},)"
                                 R"("kind":"List"} )")
                          .value();
  EXPECT_EQ(page.resource_version, "9");
  EXPECT_EQ(page.continue_token, "t");
  EXPECT_THAT(page.nodes, SizeIs(1));
}

TEST(NodeDecoderTest, PodCidrsWinOverPodCidr) {
  EXPECT_THAT(Only(R"({"metadata":{"name":"a"},"spec":{"podCIDR":"1.0.0.0/24"}})").pod_cidrs,
              ElementsAre("1.0.0.0/24"));
  EXPECT_THAT(Only(R"({"metadata":{"name":"a"},"spec":{"podCIDRs":["2.0.0.0/24","fd00::/64"],)"
                   R"("podCIDR":"1.0.0.0/24"}})")
                  .pod_cidrs,
              ElementsAre("2.0.0.0/24", "fd00::/64"));
  EXPECT_THAT(
      Only(R"({"metadata":{"name":"a"},"spec":{"podCIDR":"1.0.0.0/24","podCIDRs":[]}})").pod_cidrs,
      ElementsAre("1.0.0.0/24"));
  EXPECT_THAT(Only(R"({"metadata":{"name":"a"},"spec":{"podCIDR":"","podCIDRs":[""]}})").pod_cidrs,
              IsEmpty());
  EXPECT_THAT(Only(R"({"metadata":{"name":"a"}})").pod_cidrs, IsEmpty());
}

TEST(NodeDecoderTest, RepeatedPodCidrsCountOnce) {
  Node node = Only(R"({"metadata":{"name":"a"},"spec":{"podCIDRs":["x","y","x","x"]}})");
  EXPECT_THAT(node.pod_cidrs, ElementsAre("x", "y"));
  EXPECT_EQ(node.pod_cidrs_total, 2u);
}

TEST(NodeDecoderTest, ReadsAddressesOfBothKindsInOrder) {
  Node node =
      Only(R"({"metadata":{"name":"a"},"status":{"addresses":[)"
           R"({"address":"10.0.0.2","type":"InternalIP"},{"type":"Hostname","address":"a"},)"
           R"({"type":"ExternalIP","address":"1.2.3.4","more":{"type":"InternalIP"}},)"
           R"({"type":"InternalIP","address":"fd00::2"},{"type":"InternalIP"}]}})");
  EXPECT_THAT(node.internal_ips, ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_THAT(node.external_ips, ElementsAre("1.2.3.4"));
  EXPECT_EQ(node.addresses_total, 5u);
}

TEST(NodeDecoderTest, ReadsDeletionAndNetworkUnavailable) {
  Node node = Only(R"({"metadata":{"name":"a","deletionTimestamp":"2026-11-22T21:24:33Z"},)"
                   R"("status":{"conditions":[{"type":"Ready","status":"True"},)"
                   R"({"reason":"RouteCreated","type":"NetworkUnavailable","status":"False"}]}})");
  EXPECT_TRUE(node.deleting);
  ASSERT_TRUE(node.network_unavailable);
  EXPECT_EQ(node.network_unavailable->status, "False");
  EXPECT_EQ(node.network_unavailable->reason, "RouteCreated");
  EXPECT_FALSE(node.network_unavailable->ours);
  node = Only(R"({"metadata":{"name":"a"},"status":{"conditions":[)"
              R"({"type":"NetworkUnavailable","message":"podroute: the node's pod network"},)"
              R"({"type":"Ready","message":"kubelet is posting ready status"}]}})");
  EXPECT_TRUE(node.network_unavailable.value().ours);
  EXPECT_FALSE(Only(R"({"metadata":{"name":"a","deletionTimestamp":null}})").deleting);
}

// `format` with `value` in the place of every @.
std::string Fill(std::string format, const std::string& value) {
  for (size_t at = 0; (at = format.find('@', at)) != std::string::npos; at += value.size()) {
    format.replace(at, 1, value);
  }
  return format;
}

TEST(NodeDecoderTest, WrongTypesLoseOnlyTheirField) {
  for (const char* value : {"null", "true", "5", "-1.5e300", "18446744073709551615", R"("text")",
                            "[]", "{}", R"([[{"name":"no"}]])", R"({"name":{"name":"no"}})",
                            R"([{"type":5,"address":[]},7,null])"}) {
    SCOPED_TRACE(value);
    for (const char* format :
         {R"({"metadata":{"uid":@,"name":"a"},"spec":{"podCIDRs":["y"]}})",
          R"({"metadata":{"resourceVersion":@,"creationTimestamp":@,"name":"a",)"
          R"("labels":@,"deletionTimestamp":@},"spec":{"podCIDRs":["y"]}})",
          R"({"unknown":@,"status":@,"metadata":{"name":"a"},"kind":"Node",)"
          R"("spec":{"podCIDR":"y","podCIDRs":@}})",
          R"({"metadata":{"name":"a"},"spec":{"podCIDR":"y"},)"
          R"("status":{"addresses":@,"conditions":@}})"}) {
      Node node = Only(Fill(format, value));
      EXPECT_EQ(node.name, "a") << format;
      EXPECT_THAT(node.pod_cidrs, ElementsAre("y")) << format;
      EXPECT_THAT(node.internal_ips, IsEmpty()) << format;
    }
    EXPECT_EQ(Only(Fill(R"({"spec":@,"metadata":{"name":"a"}})", value)).name, "a");
  }
}

TEST(NodeDecoderTest, WhatIsSkippedMayHoldAnything) {
  for (const char* skipped :
       {R"({"a":"}]\"}","b":[{"c":"[{\\"},{}],"\\\"{":"\""})", R"([[],[{}],"]"])",
        R"({"number":1e999,"surrogate":"\ud800","x":nonsense})"}) {
    std::string json = ListOf(Fill(R"({"unknown":@,"metadata":{"labels":@,"name":"a"},"other":@},)"
                                   R"({"metadata":{"name":"b"}})",
                                   skipped));
    for (size_t chunk_bytes : {1, 2, 3, 1000}) {
      FakeResponse response = FakeResponse::Body(json);
      response.chunk_bytes = chunk_bytes;
      Result<NodeListPage> page = Decode(std::move(response));
      ASSERT_TRUE(page.ok()) << page.status().message() << json;
      ASSERT_THAT(page->nodes, SizeIs(2));
      EXPECT_EQ(page->nodes[0].name, "a");
      EXPECT_EQ(page->nodes[1].name, "b");
    }
  }
}

TEST(NodeDecoderTest, LastOfDuplicatedKeysWinsWhateverItsType) {
  Node node =
      Only(R"({"metadata":{"name":"b","uid":"u"},"spec":{"podCIDRs":["x"],"podCIDR":"z"},)"
           R"("status":{"addresses":[{"type":"InternalIP","address":"1.1.1.1"}]},)"
           R"("metadata":{"name":"a"},"spec":{"podCIDRs":["w"],"podCIDRs":["y"]},"status":5})");
  EXPECT_EQ(node.name, "a");
  EXPECT_EQ(node.uid, "");
  EXPECT_THAT(node.pod_cidrs, ElementsAre("y"));
  EXPECT_THAT(node.internal_ips, IsEmpty());
  EXPECT_EQ(node.addresses_total, 0u);
}

TEST(NodeDecoderTest, LongNamesAreCutButStayDistinct) {
  std::string just(253, 'n');
  EXPECT_EQ(Only(R"({"metadata":{"name":")" + just + "\"}}").name, just);
  EXPECT_FALSE(Only(R"({"metadata":{"name":")" + just + "\"}}").name_too_long);
  std::string mib(1 << 20, 'n');
  Node a = Only(R"({"metadata":{"name":")" + mib + "a\"}}");
  Node b = Only(R"({"metadata":{"name":")" + mib + "b\"}}");
  EXPECT_TRUE(a.name_too_long);
  EXPECT_EQ(a.name.size(), kMaxNodeNameBytes);
  EXPECT_EQ(a.name.substr(0, 237), std::string(236, 'n') + "~");
  EXPECT_NE(a.name, b.name);
  EXPECT_EQ(a.name, Only(R"({"metadata":{"name":")" + mib + "a\"}}").name);
}

TEST(NodeDecoderTest, HostileNodesAreKeptWithinBounds) {
  std::string mib(1 << 20, '9');
  Node node = Only(R"({"metadata":{"name":"a","uid":")" + mib + R"(","resourceVersion":")" + mib +
                   R"(","creationTimestamp":")" + mib + R"("},"spec":{"podCIDRs":[")" + mib +
                   R"("]},)" + R"("status":{"addresses":[)" +
                   Repeat(10000, R"({"type":"InternalIP","address":"1.1.1.1"})") +
                   R"(],"conditions":[{"type":"NetworkUnavailable","status":")" + mib +
                   R"(","reason":")" + mib + "\"}]}}");
  EXPECT_EQ(node.uid.size(), kMaxFieldBytes);
  EXPECT_EQ(node.resource_version, "");  // Opaque: useless when cut.
  EXPECT_EQ(node.creation_seconds, 0);
  EXPECT_EQ(node.pod_cidrs.at(0).size(), kMaxFieldBytes);
  EXPECT_THAT(node.internal_ips, SizeIs(kMaxNodeAddresses));
  EXPECT_EQ(node.addresses_total, 10000u);
  EXPECT_EQ(node.network_unavailable->status.size(), kMaxFieldBytes);

  std::string cidrs;
  for (int i = 0; i < 10000; ++i) cidrs += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\"";
  node = Only(R"({"metadata":{"name":"a"},"spec":{"podCIDRs":[)" + cidrs + "]}}");
  EXPECT_THAT(node.pod_cidrs, SizeIs(kMaxPodCidrs));
  EXPECT_EQ(node.pod_cidrs_total, 10000u);
}

TEST(NodeDecoderTest, NestingIsBoundedAndUsesNoStack) {
  Node node = Only(R"({"metadata":{"name":"a","x":)" + std::string(990, '[') +
                   std::string(990, ']') + "}}");
  EXPECT_EQ(node.name, "a");
  for (const std::string& open : {std::string("["), std::string("{\"a\":")}) {
    Result<NodeListPage> page =
        DecodeText(ListOf(R"({"metadata":{"name":"a","x":)" + Repeat(1000000, open, "")));
    EXPECT_EQ(page.status(), Status(StatusCode::kInternal, "nested more than 1000 deep"));
  }
}

TEST(NodeDecoderTest, InvalidUtf8AndEscapesAreTolerated) {
  Node node = Only(
      "{\"metadata\":{\"name\":\"\\u0061\",\"uid\":\"\xff\xfe\xc3\",\"labels\":"
      "{\"\xf0\":\"\xed\xa0\x80\"}},\"spec\":{\"podCIDR\":\"\\ud83d\\ude00\"}}");
  EXPECT_EQ(node.name, "a");
  EXPECT_EQ(node.uid, "\xff\xfe\xc3");
  EXPECT_THAT(node.pod_cidrs, ElementsAre("\xf0\x9f\x98\x80"));
}

// A body without end, made as it is read.
class EndlessBody final : public BodyStream {
 public:
  EndlessBody(std::string head, std::string again)
      : head_(std::move(head)), again_(std::move(again)) {}
  Result<size_t> Read(std::span<char> buffer) override {
    std::string& from = head_.empty() ? again_ : head_;
    size_t n = std::min(buffer.size(), from.size());
    std::copy_n(from.data(), n, buffer.data());
    if (head_.empty()) {
      std::rotate(again_.begin(), again_.begin() + static_cast<ptrdiff_t>(n), again_.end());
    } else {
      head_.erase(0, n);
    }
    total += n;
    return n;
  }
  void Cancel() override {}
  size_t total = 0;

 private:
  std::string head_, again_;
};

TEST(NodeDecoderTest, EndlessObjectsEndAtEightMebibytes) {
  struct Case {
    std::string head, again;
  };
  for (const Case& c :
       {Case{"", " "}, Case{R"({"kind":")", "x"}, Case{R"({"x":")", "xyz"},
        Case{R"({"kind":"NodeList","items":[{"metadata":{"labels":{)", R"("a":"b",)"},
        Case{R"({"kind":"NodeList","items":[{"metadata":{"name":"a"}},{"x":[)", "1,"},
        Case{R"({"x":)", "1"}}) {
    EndlessBody body(c.head, c.again);
    Result<NodeListPage> page = DecodeNodeList(body, SystemClock());
    ASSERT_FALSE(page.ok()) << c.head << c.again;
    EXPECT_LT(body.total, 9u << 20);
  }
}

TEST(NodeDecoderTest, ManyItemsTogetherMayExceedWhatOneMay) {
  // 40 MiB in all, of 200 KiB items.
  std::string item = R"({"metadata":{"name":"a","x":")" + std::string(200 << 10, 'x') + "\"}},";
  std::string body = R"({"kind":"NodeList","items":[)";
  for (int i = 0; i < 200; ++i) body += item;
  body.pop_back();
  EXPECT_THAT(DecodeText(body + "]}").value().nodes, SizeIs(200));
}

TEST(NodeDecoderTest, ArrivalIsThatOfTheFirstBytes) {
  FakeClock clock;
  std::string text = ListOf("");
  FakeResponse response{.body = {BodyStep::Do([&] { clock.Advance(std::chrono::seconds(5)); }),
                                 BodyStep::Data(text.substr(0, 1)),
                                 BodyStep::Do([&] { clock.Advance(std::chrono::seconds(9)); }),
                                 BodyStep::Data(text.substr(1))}};
  MonotonicTime start = clock.Now();
  FakeBody body(std::move(response));
  EXPECT_EQ(DecodeNodeList(body, clock).value().arrived - start, std::chrono::seconds(5));
}

TEST(NodeDecoderTest, TextsMayBeListsOrSingleNodes) {
  EXPECT_THAT(DecodeNodesText(Transcript("01-list").body[0].data).value(), SizeIs(3));
  EXPECT_THAT(DecodeNodesText(R"({"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Node",)"
                              R"("metadata":{"name":"a"}}],"kind":"List"})")
                  .value(),
              SizeIs(1));
  std::vector<Node> one = DecodeNodesText(R"({"metadata":{"name":"a"},"kind":"Node"})").value();
  EXPECT_THAT(one, SizeIs(1));
  EXPECT_EQ(one[0].name, "a");
  struct Case {
    const char* text;
    std::string message;
  };
  const std::string right =
      "; the output of `kubectl get nodes -o json` or `-o yaml` would be right";
  for (const Case& c :
       {Case{"", "the JSON ended too early, after 0 bytes" + right},
        Case{R"("NAME STATUS\nmaster1 Ready")", "not a JSON object" + right},
        Case{R"({"kind":"Node","metadata":{}})", "the Node has no metadata.name"},
        Case{R"({"kind":"Pod","metadata":{"name":"a"}})", "kind is \"Pod\", not NodeList" + right},
        Case{R"({"kind":"List","items":[{"kind":"Pod","metadata":{"name":"a"}}]})",
             "items[0] is a Pod, not a Node" + right}}) {
    EXPECT_EQ(DecodeNodesText(c.text).status(), Status(StatusCode::kInvalidArgument, c.message));
  }
}

TEST(NodeDecoderTest, TheStartupTaintIsFoundWhereItStands) {
  auto node = [](const std::string& taints) {
    Result<NodeListPage> page = DecodeText(
        R"({"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"n"},)"
        R"("spec":{"taints":)" +
        taints + "}}]}");
    EXPECT_TRUE(page.ok()) << page.status().message();
    return page.ok() && page->nodes.size() == 1 ? page->nodes[0].startup_taint
                                                : std::optional<size_t>(99);
  };
  const std::string ours = R"({"key":"podroute.io/network-unavailable","effect":"NoSchedule"})";
  const std::string other = R"({"key":"a","value":"podroute.io/network-unavailable"})";
  EXPECT_EQ(node("[" + ours + "]"), std::optional<size_t>(0));
  EXPECT_EQ(node("[" + other + "," + other + "," + ours + "," + other + "]"),
            std::optional<size_t>(2));
  for (const char* none : {"[]", "null", "{}", "[1,\"x\",[]]"}) {
    EXPECT_EQ(node(none), std::nullopt) << none;
  }
  EXPECT_EQ(node("[" + other + "]"), std::nullopt);
}

}  // namespace
}  // namespace podroute
