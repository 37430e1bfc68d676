// Whose a hostPort is: who gets it, who keeps it, and that nobody keeps it for ever.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cni/link_ops.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/nat_fixture.h"

namespace podroute {
namespace {

class HostPortOwnerTest : public NatTest {
 protected:
  static std::string Plugin() { return std::filesystem::absolute("cni/podroute-cni"); }
  static CniVariables Variables(const std::string& command, const std::string& container,
                                const std::string& netns) {
    return {{"CNI_COMMAND", command},
            {"CNI_CONTAINERID", container},
            {"CNI_NETNS", netns},
            {"CNI_IFNAME", "eth0"},
            {"CNI_PATH", "/usr/lib/cni"}};
  }
  static std::string Pods() {
    return Shell("nft list ruleset | grep -o '\"pods [a-z0-9]* eth0\"' | sort -u || true");
  }
};

TEST_F(HostPortOwnerTest, APortThatAnotherPodHasIsRefusedByName) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Mapped(Mapping(8080, 80)));
  CniAnswer answer =
      Call("ADD", "b", b.path(), Mapped(Mapping(9090, 90) + "," + Mapping(8080, 80)));
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_TRUE(Has(answer.output, R"("code":105)")) << answer.output;
  EXPECT_TRUE(Has(answer.output, "tcp port 8080 belongs to \\\"pods a eth0\\\"")) << answer.output;
  // Nothing of the second is left, and the first has its port.
  EXPECT_EQ(Pods(), "\"pods a eth0\"\n");
  EXPECT_FALSE(Has(Elements(), "9090"));
  EXPECT_EQ(TryShell("ip link show " + HostVethName({"b", "eth0"})), 1);
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
  // On another address, or of another protocol, it is another port.
  MustAdd("b", b, Mapped(Mapping(8080, 80, "tcp", "192.168.9.77") + "," + Mapping(8080, 8, "udp")));
}

TEST_F(HostPortOwnerTest, WhatALostPodLeftIsTakenOver) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Mapped(Mapping(8080, 80) + "," + Mapping(53, 53, "udp")));
  Shell("ip link del " + HostVethName({"a", "eth0"}));  // As a namespace's end does.
  MustAdd("b", b, Mapped(Mapping(8080, 81)));
  WhoServer server(b.path(), IPPROTO_TCP, 81, "b");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "b 192.168.9.2");
  // The first one's DEL comes late and takes its own only.
  MustDel("a", "", Mapped(""));
  EXPECT_EQ(Pods(), "\"pods b eth0\"\n");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "b 192.168.9.2");
}

TEST_F(HostPortOwnerTest, SomebodysOwnElementIsNeverTakenOver) {
  TestPod a;
  MustAdd("a", a, Mapped(Mapping(8080, 80)));
  Shell("nft add element inet podroute-cni hostport4 '{ tcp . 99 : 192.0.2.1 . 99 }'");
  TestPod b;
  CniAnswer answer = Call("ADD", "b", b.path(), Mapped(Mapping(99, 80)));
  EXPECT_TRUE(Has(answer.output, "tcp port 99 belongs to an element without owner"))
      << answer.output;
}

TEST_F(HostPortOwnerTest, AnAddAfterAKilledOneReplacesWhatThatLeft) {
  TestPod a;
  MustAdd("a", a, Mapped(Mapping(8080, 80)));
  Shell("ip link del " + HostVethName({"a", "eth0"}));
  std::filesystem::remove_all(dir_.path() + "/pods");
  std::filesystem::remove_all(dir_.path() + "/.podroute");
  MustAdd("a", a, Mapped(Mapping(8080, 81)));  // Another address, another port.
  WhoServer server(a.path(), IPPROTO_TCP, 81, "a");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
}

TEST_F(HostPortOwnerTest, DelNeedsNothingButTheConfiguration) {
  std::string mapped = Mapped(Mapping(8080, 80) + "," + Mapping(53, 53, "udp", "127.0.0.1"));
  // Before there is a table; twice; with no namespace; with no mappings; with wrong ones.
  MustDel("a", "", Mapped(""));
  // Without capabilities too: the specification has the runtime remove them.
  std::vector<std::string> confs = {
      Mapped(""), mapped, DualStack(), Mapped(Mapping(-1, 70000)),
      DualStack(mapped.substr(mapped.find("\"runtimeConfig"))
                    .substr(0, mapped.substr(mapped.find("\"runtimeConfig")).find("\"ipam")))};
  for (const std::string& conf : confs) {
    TestPod pod;
    MustAdd("a", pod, mapped);
    EXPECT_NE(Elements(), "");
    MustDel("a", "", conf);
    EXPECT_EQ(Elements(), "") << conf;
    MustDel("a", pod.path(), conf);
  }
}

TEST_F(HostPortOwnerTest, GcRemovesWhatIsNotListedOfItsOwnNetwork) {
  TestPod a;
  TestPod b;
  TestPod c;
  MustAdd("a", a, Mapped(Mapping(81, 80)));
  MustAdd("b", b, Mapped(Mapping(82, 80)));
  std::string other = Mapped(Mapping(83, 80));
  other.replace(other.find("\"pods\""), 6, "\"other\"");
  MustAdd("c", c, other);
  // And one whose link is gone already.
  Shell(
      "nft add element inet podroute-cni hostport4 "
      "'{ tcp . 84 comment \"pods gone eth0\" : 10.1.0.9 . 80 }'");
  CniAnswer answer =
      Call("GC", "", "",
           Mapped("", R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}],)"));
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  EXPECT_EQ(Pods(), "\"pods a eth0\"\n");
  EXPECT_TRUE(Has(Elements(), "\"other c eth0\"")) << Elements();
}

TEST_F(HostPortOwnerTest, CheckComparesElementsAndRules) {
  TestPod pod;
  std::string conf = Mapped(Mapping(8080, 80) + "," + Mapping(53, 53, "udp", "127.0.0.1"));
  std::string result = MustAdd("a", pod, conf);
  auto check = [&] { return Call("CHECK", "a", pod.path(), After(conf, result)).output; };
  EXPECT_EQ(check(), "");
  struct Case {
    const char* spoil;
    const char* mend;
    const char* said;
  };
  for (const Case& c :
       {Case{"delete element inet podroute-cni hostport6 { tcp . 8080 }",
             "add element inet podroute-cni hostport6 { tcp . 8080 comment \"pods a eth0\" : "
             "fd00:1::2 . 80 }",
             "tcp port 8080 does not lead to this pod in hostport6"},
        Case{"delete element inet podroute-cni hostip4 { 127.0.0.1 . udp . 53 }",
             "add element inet podroute-cni hostip4 { 127.0.0.1 . udp . 53 comment \"pods a "
             "eth0\" : 10.1.0.2 . 53 }",
             "udp port 53 of 127.0.0.1 does not lead"},
        Case{"add element inet podroute-cni hostport4 { tcp . 1 comment \"pods a eth0\" : "
             "10.1.0.2 . 1 }",
             "delete element inet podroute-cni hostport4 { tcp . 1 }",
             "tcp port 1 is this pod's"}}) {
    Shell(std::string("nft '") + c.spoil + "'");
    EXPECT_TRUE(Has(check(), R"("code":103)")) << c.spoil << " -> " << check();
    EXPECT_TRUE(Has(check(), c.said)) << c.spoil << " -> " << check();
    Shell(std::string("nft '") + c.mend + "'");
    EXPECT_EQ(check(), "") << "after " << c.mend;
  }
  Shell("nft flush chain inet podroute-cni hairpin-masquerade");
  EXPECT_TRUE(Has(check(), "the chain hairpin-masquerade")) << check();
}

TEST_F(HostPortOwnerTest, TheNextAddMendsTheTable) {
  for (const char* spoil :
       {"flush ruleset", "flush table inet podroute-cni", "flush chain inet podroute-cni hostports",
        "delete chain inet podroute-cni hairpin-cni0", "delete table inet podroute-cni"}) {
    TestPod pod;
    MustAdd("a", pod, Mapped(Mapping(8080, 80)));
    Shell(std::string("nft ") + spoil);
    TestPod next;
    MustAdd("b", next, Mapped(Mapping(8081, 80)));
    WhoServer server(next.path(), IPPROTO_TCP, 80, "b");
    EXPECT_EQ(FromOtherNode(kNode4, 8081), "b 192.168.9.2") << spoil;
    EXPECT_EQ(From(next.path(), kNode4, 8081), "b 10.1.0.1") << spoil;
    MustDel("a", pod.path(), Mapped(""));
    MustDel("b", next.path(), Mapped(""));
    EXPECT_EQ(Elements(), "") << spoil;
  }
}

TEST_F(HostPortOwnerTest, NftReadsBackWhatItLists) {
  TestPod pod;
  MustAdd("a", pod, Mapped(Mapping(8080, 80), R"("ipMasq":true,)"));
  Shell("nft list ruleset > " + dir_.File("before") + " && nft flush ruleset && nft -f " +
        dir_.File("before") + " && nft list ruleset > " + dir_.File("after") + " && cmp " +
        dir_.File("before") + " " + dir_.File("after"));
  WhoServer server(pod.path(), IPPROTO_TCP, 80, "a");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
  MustDel("a", pod.path(), Mapped("", R"("ipMasq":true,)"));
  EXPECT_EQ(Elements(), "");
}

TEST_F(HostPortOwnerTest, SixteenAtATimeGetTheirPortsAndGiveThemBack) {
  constexpr int kPods = 16;
  std::vector<std::unique_ptr<TestPod>> pods;
  for (int i = 0; i < kPods; ++i) pods.push_back(std::make_unique<TestPod>());
  auto all = [&](const std::string& command) {
    std::vector<std::unique_ptr<CniProcess>> running;
    for (int i = 0; i < kPods; ++i) {
      std::string mapping = Mapping(9000 + i, 80) + "," + Mapping(9000 + i, 53, "udp");
      running.push_back(std::make_unique<CniProcess>(
          Plugin(), Variables(command, "p" + std::to_string(i), pods[i]->path()),
          Mapped(command == "ADD" ? mapping : "", R"("ipMasq":true,)")));
    }
    for (auto& process : running) {
      EXPECT_EQ(process->Wait().exit_code, 0) << process->Wait().out << process->Wait().err;
    }
  };
  all("ADD");
  EXPECT_EQ(Shell("nft list table inet podroute-cni | grep -o '\"pods p[0-9]* eth0\"' | wc -l"),
            std::to_string(kPods * 6) + "\n");
  all("DEL");
  EXPECT_EQ(Elements(), "");
}

TEST_F(HostPortOwnerTest, OfManyThatWantOnePortOneGetsIt) {
  constexpr int kPods = 8;
  std::vector<std::unique_ptr<TestPod>> pods;
  std::vector<std::unique_ptr<CniProcess>> running;
  for (int i = 0; i < kPods; ++i) {
    pods.push_back(std::make_unique<TestPod>());
    running.push_back(std::make_unique<CniProcess>(
        Plugin(), Variables("ADD", "p" + std::to_string(i), pods.back()->path()),
        Mapped(Mapping(8080, 80))));
  }
  int won = 0;
  for (auto& process : running) {
    if (process->Wait().exit_code == 0) {
      ++won;
    } else {
      EXPECT_TRUE(Has(process->Wait().out, "tcp port 8080 belongs to")) << process->Wait().out;
    }
  }
  EXPECT_EQ(won, 1);
}

TEST_F(HostPortOwnerTest, StatusIsContentWhereTheKernelIs) {
  EXPECT_EQ(Call("STATUS", "", "", Mapped("", R"("ipMasq":true,)")).output, "");
  EXPECT_EQ(Shell("nft list tables"), "");  // Asking makes nothing.
}

}  // namespace
}  // namespace podroute
