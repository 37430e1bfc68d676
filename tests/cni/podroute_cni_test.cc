// The executable itself, called as a container runtime does.
#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/subprocess.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {
namespace {

constexpr char kReferenceDir[] = "/usr/lib/cni";  // Debian's containernetworking-plugins.

std::string Plugin() { return std::filesystem::absolute("cni/podroute-cni"); }

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool IsSanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

TEST(PodrouteCniTest, IsOneSmallStaticExecutable) {
  if (IsSanitized()) GTEST_SKIP() << "sanitizers have no static runtime";
  Result<std::string> content = ReadFile(Plugin());
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_LT(content->size(), 3u << 20);
  Elf64_Ehdr header;
  ASSERT_GE(content->size(), sizeof header);
  std::memcpy(&header, content->data(), sizeof header);
  ASSERT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    size_t at = header.e_phoff + static_cast<size_t>(i) * header.e_phentsize;
    ASSERT_LE(at + sizeof segment, content->size());
    std::memcpy(&segment, content->data() + at, sizeof segment);
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_INTERP)) << "wants a dynamic linker";
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_DYNAMIC));
  }
}

TEST(PodrouteCniTest, AnswersVersionAndErrorsOnStandardOutput) {
  CniProcess version(Plugin(), {{"CNI_COMMAND", "VERSION"}}, R"({"cniVersion":"0.4.0"})");
  EXPECT_EQ(version.Wait().exit_code, 0);
  EXPECT_EQ(version.Wait().out,
            "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":"
            "[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
  CniProcess nothing(Plugin(), {}, "");
  EXPECT_EQ(nothing.Wait().exit_code, 1);
  EXPECT_TRUE(Has(nothing.Wait().out, R"("code":4,"msg":"CNI_COMMAND is not set")"))
      << nothing.Wait().out;
  CniProcess garbage(Plugin(), {{"CNI_COMMAND", "STATUS"}}, "{");
  EXPECT_TRUE(Has(garbage.Wait().out, R"("code":6)")) << garbage.Wait().out;
}

class PodrouteCniNetTest : public ::testing::Test {
 protected:
  void SetUp() override { PODROUTE_ENTER_NETNS_OR_SKIP(); }

  std::string Conf(const std::string& type, const std::string& ranges,
                   const std::string& more = "") {
    return R"({"cniVersion":"1.0.0","name":"pods","type":")" + type +
           R"(","bridge":"cni0","isDefaultGateway":true,)" + more +
           R"("ipam":{"type":"host-local","dataDir":")" + dir_.path() + R"(","ranges":)" + ranges +
           "}}";
  }
  static CniVariables Variables(const std::string& command, const std::string& container,
                                const std::string& netns) {
    return {{"CNI_COMMAND", command},
            {"CNI_CONTAINERID", container},
            {"CNI_NETNS", netns},
            {"CNI_IFNAME", "eth0"},
            {"CNI_PATH", kReferenceDir}};
  }
  SubprocessResult Call(const std::string& program, const std::string& command,
                        const std::string& container, const std::string& netns,
                        const std::string& conf) {
    return CniProcess(program, Variables(command, container, netns), conf).Wait();
  }
  void MustCall(const std::string& program, const std::string& command,
                const std::string& container, const std::string& netns, const std::string& conf) {
    SubprocessResult result = Call(program, command, container, netns, conf);
    EXPECT_EQ(result.exit_code, 0) << program << " " << command << ": " << result.out << result.err;
  }
  std::set<std::string> Reserved() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path() + "/pods")) {
      if (IpAddress::Parse(entry.path().filename().string()).ok()) {
        names.insert(entry.path().filename());
      }
    }
    return names;
  }
  bool HasReference() { return access("/usr/lib/cni/host-local", X_OK) == 0; }

  TempDir dir_;
};

#define SKIP_WITHOUT_REFERENCE()                                    \
  if (!HasReference()) {                                            \
    GTEST_SKIP() << "the reference plugins are not here; Debian's " \
                    "containernetworking-plugins has them";         \
  }

TEST_F(PodrouteCniNetTest, FiftyAddsEightAtATimeGetFiftyAddresses) {
  constexpr size_t kPods = 50;
  constexpr size_t kAtOnce = 8;
  std::string conf =
      Conf("podroute-cni", R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]])");
  std::vector<std::unique_ptr<TestPod>> pods;
  for (size_t i = 0; i < kPods; ++i) pods.push_back(std::make_unique<TestPod>());
  for (const char* command : {"ADD", "DEL"}) {
    std::vector<std::unique_ptr<CniProcess>> running(kPods);
    for (size_t i = 0; i < kPods + kAtOnce; ++i) {
      if (i >= kAtOnce) {
        SubprocessResult result = running[i - kAtOnce]->Wait();
        EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
      }
      if (i < kPods) {
        running[i] = std::make_unique<CniProcess>(
            Plugin(), Variables(command, "c" + std::to_string(i), pods[i]->path()), conf);
      }
    }
    size_t expected = std::string(command) == "ADD" ? kPods : 0;
    EXPECT_EQ(Reserved().size(), expected * 2);
    EXPECT_EQ(Shell("ip -o link show type veth | wc -l"), std::to_string(expected) + "\n");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() + "/.podroute/pods"));
}

TEST_F(PodrouteCniNetTest, NeedsLessThanFourMebibytes) {
  if (IsSanitized()) GTEST_SKIP() << "sanitizers use much";
  // All of its address space, so its resident memory the more.
  std::string limited = dir_.WriteScript("limited", "ulimit -v 4096; exec " + Plugin());
  constexpr char kNat[] = R"("ipMasq":true,"capabilities":{"portMappings":true},
      "runtimeConfig":{"portMappings":[{"hostPort":53,"containerPort":53,"protocol":"udp"}]},)";
  for (const char* more : {"", kNat}) {
    std::string conf =
        Conf("podroute-cni", R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]])", more);
    TestPod pod;
    MustCall(limited, "ADD", "a", pod.path(), conf);
    MustCall(limited, "DEL", "a", pod.path(), conf);
  }
}

TEST_F(PodrouteCniNetTest, IsTheLoopbackPluginUnderThatName) {
  std::string loopback = dir_.File("loopback");
  std::filesystem::create_symlink(Plugin(), loopback);
  TestPod pod;
  std::string conf = R"({"cniVersion":"1.0.0","name":"lo","type":"loopback"})";
  EXPECT_FALSE(Has(pod.Run("ip link show lo"), "LOOPBACK,UP"));
  SubprocessResult result = Call(loopback, "ADD", "a", pod.path(), conf);
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_TRUE(Has(result.out, R"("address":"127.0.0.1/8")")) << result.out;
  EXPECT_TRUE(Has(pod.Run("ip link show lo"), "LOOPBACK,UP"));
  std::string check = conf;
  check.pop_back();
  check += ",\"prevResult\":" + result.out + "}";
  MustCall(loopback, "CHECK", "a", pod.path(), check);
  MustCall(loopback, "DEL", "a", pod.path(), conf);
  MustCall(loopback, "DEL", "a", "", conf);
}

TEST_F(PodrouteCniNetTest, SharesItsStoreWithTheReferencePlugin) {
  SKIP_WITHOUT_REFERENCE();
  constexpr int kRounds = 60;
  std::string conf = Conf("host-local", R"([[{"subnet":"10.1.0.0/24"}]])");
  std::string host_local = std::string(kReferenceDir) + "/host-local";
  TestPod pod;
  // Four at once, half of them ours; each keeps what it got.
  for (int round = 0; round < kRounds; round += 4) {
    std::vector<std::unique_ptr<TestPod>> pods;
    std::vector<std::unique_ptr<CniProcess>> running;
    for (int i = 0; i < 4; ++i) {
      pods.push_back(std::make_unique<TestPod>());
      running.push_back(std::make_unique<CniProcess>(
          i % 2 == 0 ? Plugin() : host_local,
          Variables("ADD", "c" + std::to_string(round + i), pods.back()->path()), conf));
    }
    for (auto& process : running) {
      SubprocessResult result = process->Wait();
      ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    }
    ASSERT_EQ(Reserved().size(), static_cast<size_t>(round + 4)) << "an address was given twice";
  }
  // Each takes back what the other gave.
  for (int i = 0; i < kRounds; ++i) {
    MustCall(i % 2 == 0 ? host_local : Plugin(), "DEL", "c" + std::to_string(i), pod.path(), conf);
  }
  EXPECT_TRUE(Reserved().empty());
}

TEST_F(PodrouteCniNetTest, GoesRoundTheSameWayAsTheReferencePlugin) {
  SKIP_WITHOUT_REFERENCE();
  std::string conf = Conf("host-local", R"([[{"subnet":"10.1.0.0/29"}]])");
  std::string host_local = std::string(kReferenceDir) + "/host-local";
  TestPod a;
  TestPod b;
  MustCall(Plugin(), "ADD", "a", a.path(), conf);
  MustCall(host_local, "ADD", "r", a.path(), conf);
  MustCall(Plugin(), "ADD", "b", b.path(), conf);
  EXPECT_EQ(Reserved(), (std::set<std::string>{"10.1.0.2", "10.1.0.3", "10.1.0.4"}));
  SubprocessResult check = Call(host_local, "CHECK", "a", a.path(), conf);
  EXPECT_EQ(check.exit_code, 0) << check.out;
}

TEST_F(PodrouteCniNetTest, TakesDownWhatTheReferenceBridgePutUpAndTheOtherWayRound) {
  SKIP_WITHOUT_REFERENCE();
  std::string ranges = R"([[{"subnet":"10.1.0.0/24"}]])";
  std::string bridge = std::string(kReferenceDir) + "/bridge";
  TestPod a;
  TestPod b;
  MustCall(bridge, "ADD", "a", a.path(), Conf("bridge", ranges));
  MustCall(Plugin(), "ADD", "b", b.path(), Conf("podroute-cni", ranges));
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.3"), 0);
  MustCall(Plugin(), "DEL", "a", a.path(), Conf("podroute-cni", ranges));
  MustCall(bridge, "DEL", "b", b.path(), Conf("bridge", ranges));
  EXPECT_EQ(Shell("ip -br link show type veth"), "");
  EXPECT_TRUE(Reserved().empty());
}

TEST_F(PodrouteCniNetTest, DelegatesToAReferenceIpamPlugin) {
  if (access("/usr/lib/cni/static", X_OK) != 0) {
    GTEST_SKIP() << "the reference plugin `static` is not here";
  }
  std::string conf = R"({"cniVersion":"1.0.0","name":"pods","type":"podroute-cni","isGateway":true,
      "ipam":{"type":"static","addresses":[{"address":"10.5.0.9/24","gateway":"10.5.0.1"}],
              "routes":[{"dst":"0.0.0.0/0"}]}})";
  TestPod pod;
  MustCall(Plugin(), "ADD", "a", pod.path(), conf);
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.5.0.1"), 0);
  EXPECT_TRUE(Has(pod.Run("ip route"), "default via 10.5.0.1"));
  MustCall(Plugin(), "DEL", "a", pod.path(), conf);
}

}  // namespace
}  // namespace podroute
