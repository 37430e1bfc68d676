// Nodes as they change, quarrel and lie (DESIGN rules 5 to 7), end to end.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"
#include "tests/controller/fake_api.h"

namespace podroute {
namespace {

class AgentNodesTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (!IsSkipped()) StartServer();
  }

  bool Has(const std::string& route) {
    return ("\n" + OurRoutes()).find("\n" + route + "\n") != std::string::npos;
  }
  // Everything that was asked for before has been done when this node has its route.
  void Witness(int i) {
    PutNode(UsualNodeV4(i));
    std::string n = std::to_string(i);
    EXPECT_TRUE(
        Eventually("the witness", [&] { return Has("10.244." + n + ".0/24 192.168.0." + n); }));
  }
};

TEST_F(AgentNodesTest, ANewInternalIpIsOneReplacementOfTheNexthopObjectAndNoRouteIsDeleted) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  kernel_->Clear();
  TestNode moved = UsualNode(2);
  moved.internal_ips = {"192.168.0.102", "fd00:192:168::102"};
  PutNode(moved);
  EXPECT_TRUE(
      RoutesBecome("10.244.2.0/24 192.168.0.102\n10.244.3.0/24 192.168.0.3\n"
                   "fd00:10:244:2::/64 fd00:192:168::102\nfd00:10:244:3::/64 fd00:192:168::3\n"));
  EXPECT_EQ(kernel_->Count("newnexthop"), 2);
  EXPECT_EQ(kernel_->Count("newnexthop 192.168.0.102\n"), 1);
  EXPECT_EQ(kernel_->Count("newnexthop fd00:192:168::102\n"), 1);
  EXPECT_EQ(kernel_->Count("del"), 0);
}

TEST_F(AgentNodesTest, NodesThatSwapTheirAddressesAreNeverWithoutARoute) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  kernel_->Clear();
  TestNode two = UsualNode(2), three = UsualNode(3);
  std::swap(two.internal_ips, three.internal_ips);
  agent().Signal(SIGSTOP);  // Both changes in one pass.
  PutNodes({two, three});
  agent().Signal(SIGCONT);
  EXPECT_TRUE(
      RoutesBecome("10.244.2.0/24 192.168.0.3\n10.244.3.0/24 192.168.0.2\n"
                   "fd00:10:244:2::/64 fd00:192:168::3\nfd00:10:244:3::/64 fd00:192:168::2\n"));
  for (std::string dst : {"10.244.2.0/24", "10.244.3.0/24", "fd00:10:244:2::/64"}) {
    size_t gone = kernel_->text().find("del " + dst), come = kernel_->text().find("new " + dst);
    EXPECT_TRUE(gone == std::string::npos || come < gone) << dst;
  }
}

TEST_F(AgentNodesTest, OfTwoNodesWithOnePodCidrTheOlderKeepsItAndTheSurvivorHasIt) {
  TestNode older = UsualNode(2), younger = UsualNode(3);
  older.created = "2026-01-02T00:00:00Z";
  younger.created = "2026-01-03T00:00:00Z";
  younger.pod_cidrs = older.pod_cidrs;
  std::string to_older = "10.244.2.0/24 192.168.0.2\nfd00:10:244:2::/64 fd00:192:168::2\n";
  std::string to_younger = "10.244.2.0/24 192.168.0.3\nfd00:10:244:2::/64 fd00:192:168::3\n";
  PutNodes({UsualNode(1), younger});
  StartAgentAndWait();
  EXPECT_TRUE(RoutesBecome(to_younger));
  PutNode(older);
  EXPECT_TRUE(RoutesBecome(to_older));
  EXPECT_TRUE(Says("refused node=node3 cidr=\"10.244.2.0/24\" reason=OverlapsNode"));
  kernel_->Clear();
  DeleteNode("node2");
  EXPECT_TRUE(RoutesBecome(to_younger));
  EXPECT_EQ(kernel_->Count("del "), 0) << "the route was there all the time";
  PutNode(older);
  EXPECT_TRUE(RoutesBecome(to_older));
  kernel_->Clear();
  DeleteNode("node3");
  Witness(9);
  EXPECT_EQ(kernel_->Count("10.244.2.0/24"), 0)
      << "the younger's end is nothing to the older's route";
  EXPECT_TRUE(Has("10.244.2.0/24 192.168.0.2"));
}

TEST_F(AgentNodesTest, OfTwoNodesWhosePodCidrsOverlapTheSurvivorHasItsOwn) {
  TestNode wide = UsualNodeV4(2), narrow = UsualNodeV4(3);
  wide.created = "2026-01-02T00:00:00Z";
  narrow.created = "2026-01-03T00:00:00Z";
  wide.pod_cidrs = {"10.244.2.0/23"};
  PutNodes({UsualNode(1), wide, narrow});
  StartAgentAndWait();
  EXPECT_EQ(OurRoutes(), "10.244.2.0/23 192.168.0.2\n");
  DeleteNode("node2");
  EXPECT_TRUE(RoutesBecome("10.244.3.0/24 192.168.0.3\n"));
}

TEST_F(AgentNodesTest, ANodeThatIsAddressedBySomebodyElsesAddressTakesNothingFromIt) {
  TestNode thief = UsualNodeV4(3);
  thief.internal_ips = {"192.168.0.2"};
  PutNodes({UsualNodeV4(1), UsualNodeV4(2), thief});
  StartAgentAndWait();
  EXPECT_EQ(OurRoutes(), "10.244.2.0/24 192.168.0.2\n10.244.3.0/24 192.168.0.2\n");
  DeleteNode("node3");
  EXPECT_TRUE(RoutesBecome("10.244.2.0/24 192.168.0.2\n"));
  PutNode(thief);
  EXPECT_TRUE(Eventually("both", [&] { return Has("10.244.3.0/24 192.168.0.2"); }));
  DeleteNode("node2");
  EXPECT_TRUE(RoutesBecome("10.244.3.0/24 192.168.0.2\n"));
}

TEST_F(AgentNodesTest, AThousandRoutesGoAndComeWithTheirLink) {
  Order("POST", "nodes?count=1000");
  Shell("ip addr add 172.16.255.254/12 dev lan");
  StartAgent();
  EXPECT_TRUE(Says("routes are in place routes=999"));
  std::string routes = OurRoutes();
  Shell("ip link set lan down");
  EXPECT_TRUE(Says("refusals changed new=999"));
  EXPECT_TRUE(RoutesBecome(""));
  Shell("ip link set lan up");
  EXPECT_TRUE(RoutesBecome(routes));
}

// ---- Hostile Nodes. The API server's own address: 192.168.0.1 here is this machine's; 127.0.0.1
// the server's.

std::string Raw(const std::string& name, const std::string& spec, const std::string& status,
                const std::string& more = "") {
  return R"({"metadata":{"name":")" + name + R"(","creationTimestamp":"2020-01-01T00:00:00Z")" +
         more + R"(},"spec":)" + spec + R"(,"status":)" + status + "}";
}

std::string Claims(const std::string& name, const std::string& cidr) {
  return Raw(name, R"({"podCIDR":")" + cidr + R"("})",
             R"({"addresses":[{"type":"InternalIP","address":"192.168.0.66"}]})");
}

// The most memory that it has ever had, in MiB.
[[maybe_unused]] int PeakMebibytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::atoi(line.c_str() + 6) / 1024;
  }
  return -1;
}

struct Liar {
  std::string json, log;
};

// All older than the honest ones.
std::vector<Liar> Liars() {
  const std::string good = R"({"podCIDR":"10.244.70.0/24"})";
  const std::string address = R"({"addresses":[{"type":"InternalIP","address":"192.168.0.66"}]})";
  std::string many_addresses = R"({"addresses":[)";
  for (int i = 0; i < 10'000; ++i) {
    many_addresses += R"({"type":"InternalIP","address":"10.1.)" + std::to_string(i / 250) + "." +
                      std::to_string(i % 250) + R"("},)";
  }
  many_addresses += R"({"type":"InternalIP","address":"192.168.0.66"}]})";
  std::string many_cidrs = R"({"podCIDRs":["10.244.71.0/24")";
  for (int i = 0; i < 10'000; ++i)
    many_cidrs += ",\"10.245." + std::to_string(i % 256) + "." + std::to_string(i / 256) + "/32\"";
  many_cidrs += "]}";
  const std::string deep = std::string(900, '[') + std::string(900, ']');
  return {
      {Claims("default", "0.0.0.0/0"), "node=default cidr=\"0.0.0.0/0\" reason=TooWide"},
      {Claims("default6", "::/0"), "node=default6 cidr=\"::/0\" reason=TooWide"},
      {Claims("half", "0.0.0.0/1"), "node=half cidr=\"0.0.0.0/1\" reason=TooWide"},
      {Claims("lan", "192.168.0.0/24"), "node=lan cidr=\"192.168.0.0/24\" reason=Contains"},
      {Claims("part", "192.168.0.0/25"), "node=part cidr=\"192.168.0.0/25\" reason=Contains"},
      {Claims("around", "192.168.0.0/16"), "node=around cidr=\"192.168.0.0/16\" reason=Contains"},
      {Claims("lan6", "fd00:192:168::/64"), "node=lan6 cidr=\"fd00:192:168::/64\" reason=Contains"},
      {Claims("me", "192.168.0.1/32"), "node=me cidr=\"192.168.0.1/32\" reason=Contains"},
      {Claims("apiserver", "127.0.0.1/32"), "node=apiserver cidr=\"127.0.0.1/32\" reason="},
      {Claims("multicast", "224.0.0.0/8"), "node=multicast cidr=\"224.0.0.0/8\" reason=Reserved"},
      {Claims("garbage", "so; reboot\\n$(reboot)"), "node=garbage cidr=\"so; reboot"},
      {Claims("forged", R"(1\" reason=None x=\")"),
       R"(node=forged cidr="1\" reason=None x=\"" reason=Malformed)"},
      {Claims("bits", "10.244.72.7/24"), "node=bits cidr=\"10.244.72.7/24\" reason=Malformed"},
      {Claims("mapped", "::ffff:10.244.73.0/120"), "node=mapped"},
      {Raw("addresses", good, many_addresses), "node=addresses cidr=\"\" reason=TooManyAddresses"},
      {Raw("cidrs", many_cidrs, address), "node=cidrs cidr=\"\" reason=TooManyPodCIDRs"},
      {Claims(std::string(1 << 20, 'x'), "10.244.74.0/24"), "cidr=\"\" reason=InvalidName"},
      {Claims("evil\\u0000\\nE1122 forged", "10.244.75.0/24"), "node=evil"},
      {Claims("long", std::string(1 << 20, '9')), "node=long cidr=\"9999"},
      {Raw("number", R"({"podCIDR":7,"podCIDRs":7})", address),
       "node=number cidr=\"\" reason=NoPod"},
      {Raw("object", R"({"podCIDR":{"a":1},"podCIDRs":[[1],{},null,true]})", address),
       "node=object"},
      {Raw("null", R"({"podCIDR":null,"podCIDRs":null})", "null"),
       "node=null cidr=\"\" reason=NoPod"},
      {Raw("specless", "[1,2]", "\"x\""), "node=specless cidr=\"\" reason=NoPodCIDR"},
      {Raw("homeless", R"({"podCIDR":"10.244.76.0/24"})", R"({"addresses":{"a":"b"}})"),
       "node=homeless cidr=\"10.244.76.0/24\" reason=NoAddress"},
      {Raw("far", R"({"podCIDR":"10.244.77.0/24"})",
           R"({"addresses":[{"type":"InternalIP","address":"203.0.113.9"}]})"),
       "node=far cidr=\"10.244.77.0/24\" reason=NextHopNotConnected"},
      {Raw("us", R"({"podCIDR":"10.244.78.0/24"})",
           R"({"addresses":[{"type":"InternalIP","address":"192.168.0.1"}]})"),
       "node=us cidr=\"10.244.78.0/24\" reason=NextHopIsLocal"},
      {Raw("zero", R"({"podCIDR":"10.244.79.0/24"})",
           R"({"addresses":[{"type":"InternalIP","address":"0.0.0.0"}]})"),
       "node=zero cidr=\"10.244.79.0/24\" reason=NoAddress"},
      {Raw("deep", R"({"podCIDR":"10.244.80.7/24"})", address, R"(,"annotations":)" + deep),
       "node=deep cidr=\"10.244.80.7/24\" reason=Malformed"},
  };
}

TEST_F(AgentNodesTest, LyingNodesAreRefusedWithAReasonEachAndTheHonestOnesServed) {
  std::vector<std::string> nodes;
  for (const Liar& liar : Liars()) nodes.push_back(liar.json);
  for (int i = 1; i <= 4; ++i) nodes.push_back(UsualNode(i).Json());
  std::string list = NodeListJson("10", nodes);
  FakeApi api([&](const std::string&) { return OkResponse(list); });
  std::string before = Strangers();
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
  EXPECT_TRUE(Says("routes are in place"));
  for (const Liar& liar : Liars()) {
    EXPECT_GE(agent().Says("refused " + (liar.log.starts_with("node=") ? liar.log : "")), 1)
        << liar.log;
    EXPECT_GE(agent().Says(liar.log), 1) << liar.log;
  }
  EXPECT_EQ(Strangers(), before);
  EXPECT_LT(agent().log().size(), 20'000u);
}

TEST_F(AgentNodesTest, LyingNodesInAWatchAreRefusedAndTheHonestOnesServed) {
  std::string list = NodeListJson("10", {UsualNode(1).Json(), UsualNode(2).Json()});
  FakeApi api([&](const std::string&) { return OkResponse(list); });
  StartAgentAndWait({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  int version = 11;
  auto event = [&](std::string node) {
    node.insert(node.find("\"metadata\":{") + 12,
                "\"resourceVersion\":\"" + std::to_string(version++) + "\",");
    api.Send(R"({"type":"ADDED","object":)" + node + "}\n");
  };
  for (const Liar& liar : Liars()) event(liar.json);
  event(UsualNode(3).Json());
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  for (const Liar& liar : Liars()) EXPECT_GE(agent().Says(liar.log), 1) << liar.log;
  EXPECT_EQ(agent().Says("watch failed"), 0);
  EXPECT_EQ(api.watches(), 1u);
}

TEST_F(AgentNodesTest, ThousandsOfLiarsCostNeitherMemoryNorLog) {
  std::vector<std::string> nodes;
  std::string name(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) nodes.push_back(Claims(std::to_string(i) + name, "10.244.2.0/24"));
  std::string addresses = R"({"addresses":[)";
  for (int i = 0; i < 10'000; ++i) {
    addresses += R"({"type":"InternalIP","address":"10.1.)" + std::to_string(i / 250) + "." +
                 std::to_string(i % 250) + R"("},)";
  }
  addresses.back() = ']';
  addresses += "}";
  for (int i = 0; i < 40; ++i) {
    nodes.push_back(
        Raw("addresses" + std::to_string(i), R"({"podCIDR":"10.244.2.0/24"})", addresses));
  }
  for (int i = 0; i < 5000; ++i) nodes.push_back(Claims("wide" + std::to_string(i), "0.0.0.0/0"));
  for (int i = 1; i <= 4; ++i) nodes.push_back(UsualNode(i).Json());
  std::string answer = OkResponse(NodeListJson("10", nodes));
  ASSERT_GT(answer.size(), 50u << 20);
  FakeApi api([&](const std::string&) { return answer; });
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
  EXPECT_TRUE(Says("refusals changed new=5080"));
  EXPECT_LT(agent().log().size(), 60'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(PeakMebibytes(agent().pid()), 40);
#endif
}

// No API server lets so much through; if one did, what it sends is not taken for a list, and routes
// stay as they are.
TEST_F(AgentNodesTest, NestingBeyondAllReasonIsNoList) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  StopAgent();
  std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  std::string list = NodeListJson(
      "10", {UsualNode(1).Json(),
             Raw("deep", R"({"podCIDR":"10.244.80.0/24"})", "{}", R"(,"annotations":)" + deep)});
  FakeApi api([&](const std::string&) { return OkResponse(list); });
  kernel_->Clear();
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(Says("list failed"));
  EXPECT_TRUE(agent().running());
  EXPECT_EQ(kernel_->text(), "");
  EXPECT_EQ(StopAgent(), 0);
}

}  // namespace
}  // namespace podroute
