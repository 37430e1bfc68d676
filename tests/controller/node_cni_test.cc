// The local side alone, told what an agent would tell it. As a part of the agents: agent_cni_test,
// agent_bridge_test.
#include "controller/node_cni.h"

#include <gtest/gtest.h>

#include <memory>

#include "routing/local_network_reader.h"
#include "tests/base/temp_dir.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Nobody is asked anything: the reporter does not run.
class NoTransport final : public HttpTransport {
 public:
  Result<HttpResponse> Send(const HttpRequest&) override {
    return Status(StatusCode::kUnavailable, "nobody");
  }
  void ReloadCredentials() override {}
  void Shutdown() override {}
};

class NodeCniTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.1/24");
    loop_ = std::move(EventLoop::Create().value());
    options_.node_name = "node1";
    options_.cni_conf_dir = dir_.File("net.d");
    options_.cni_bin_dir = "";
    options_.sysctl_dir = "/proc/sys";
    cni_ = std::move(NodeCni::Create(*loop_, options_, clock_, metrics_, reporter_).value());
    auto node = std::make_shared<Node>();
    node->name = "node1";
    node->pod_cidrs = {"10.244.1.0/24"};
    node->internal_ips = {"192.168.0.1"};
    node_ = node;
  }
  static bool HasGateway() {
    return TryShell("ip address show dev cni0 2>/dev/null | grep -q ' 10.244.1.1/24 '") == 0;
  }

  TempDir dir_;
  Options options_;
  Clock& clock_ = SystemClock();
  NoTransport transport_;
  Metrics metrics_{"host", "kernel"};
  NodeReporter reporter_{transport_, clock_, "here"};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<NodeCni> cni_;
  std::shared_ptr<const Node> node_;
};

TEST_F(NodeCniTest, ABridgeThatGoesBeforeAnybodyHasSeenItIsMadeAgain) {
  const LocalNetwork before = ReadLocalNetwork().value();
  cni_->Update(node_, {}, before, true);
  ASSERT_TRUE(HasGateway());
  Shell("ip link del cni0");
  // The links are as they were when they were read last.
  cni_->Update(node_, {}, ReadLocalNetwork().value(), true);
  EXPECT_TRUE(HasGateway());
  cni_->Update(node_, {}, ReadLocalNetwork().value(), true);
  Shell("ip link del cni0");
  cni_->Update(node_, {}, ReadLocalNetwork().value(), true);
  EXPECT_TRUE(HasGateway());
}

}  // namespace
}  // namespace podroute
