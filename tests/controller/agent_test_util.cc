#include "tests/controller/agent_test_util.h"

#include <linux/rtnetlink.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "routing/netlink_codec.h"

namespace podroute {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
// What no notification tells of: what the API server has counted, mostly.
constexpr int kLookAgainMs = 20;

std::string Quote(const std::string& text) { return "\"" + text + "\""; }

std::string Lines(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string V4Route(int i) {
  std::string n = std::to_string(i);
  return "10.244." + n + ".0/24 192.168.0." + n;
}

std::string V6Route(int i) {
  std::string n = std::to_string(i);
  return "fd00:10:244:" + n + "::/64 fd00:192:168::" + n;
}

std::string Describe(const KernelRoute& route) {
  std::string text = route.dst.ToString();
  for (const NextHop& via : route.via) text += " via " + via.gateway.ToString();
  return text + " proto " + std::to_string(route.mark.protocol) + " metric " +
         std::to_string(route.mark.metric);
}

}  // namespace

std::string TestNode::Json() const {
  std::string text = R"({"kind":"Node","apiVersion":"v1","metadata":{"name":)" + Quote(name) +
                     R"(,"creationTimestamp":)" + Quote(created) + R"(},"spec":{)";
  if (!pod_cidrs.empty()) {
    text += R"("podCIDR":)" + Quote(pod_cidrs[0]) + R"(,"podCIDRs":[)";
    for (const std::string& cidr : pod_cidrs) {
      text += (&cidr == &pod_cidrs[0] ? "" : ",") + Quote(cidr);
    }
    text += "]";
  }
  text += R"(},"status":{"addresses":[)";
  for (const std::string& address : internal_ips) {
    text += (&address == &internal_ips[0] ? "" : ",") +
            (R"({"type":"InternalIP","address":)" + Quote(address)) + "}";
  }
  return text + "]}}";
}

TestNode UsualNode(int i) {
  std::string n = std::to_string(i);
  return {.name = "node" + n,
          .pod_cidrs = {"10.244." + n + ".0/24", "fd00:10:244:" + n + "::/64"},
          .internal_ips = {"192.168.0." + n, "fd00:192:168::" + n}};
}

TestNode UsualNodeV4(int i) {
  TestNode node = UsualNode(i);
  node.pod_cidrs.resize(1);
  node.internal_ips.resize(1);
  return node;
}

std::string UsualRoutes(int first, int last) {
  std::vector<std::string> lines;
  for (int i = std::max(first, 2); i <= last; ++i) {
    lines.push_back(V4Route(i));
    lines.push_back(V6Route(i));
  }
  return Lines(lines);
}

std::string UsualRoutesV4(int first, int last) {
  std::vector<std::string> lines;
  for (int i = std::max(first, 2); i <= last; ++i) lines.push_back(V4Route(i));
  return Lines(lines);
}

std::string NodeListJson(const std::string& version, const std::vector<std::string>& nodes) {
  std::string text = R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":)" +
                     Quote(version) + R"(},"items":[)";
  for (const std::string& node : nodes) text += (&node == &nodes[0] ? "" : ",") + node;
  return text + "]}";
}

// ---- KernelLog

KernelLog::KernelLog() {
  auto socket = NotificationSocket::Create(
      {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP}, 8 << 20, nullptr);
  EXPECT_TRUE(socket.ok()) << socket.status().message();
  socket_ = std::move(*socket);
}

const std::string& KernelLog::text() {
  if (!socket_) return text_;
  Result<bool> complete = socket_->Drain([&](const NetlinkMessage& message) {
    switch (message.header.nlmsg_type) {
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        auto route = DecodeRoute(message);
        bool matters = route && route->mark.table != RT_TABLE_LOCAL &&
                       route->mark.protocol != RTPROT_KERNEL && route->type != RTN_MULTICAST &&
                       (route->flags & RTM_F_CLONED) == 0;
        if (!matters) return;
        text_ += message.header.nlmsg_type == RTM_NEWROUTE ? "new " : "del ";
        text_ += Describe(*route) + "\n";
        return;
      }
      case RTM_NEWNEXTHOP:
      case RTM_DELNEXTHOP: {
        auto nexthop = DecodeNexthop(message);
        text_ += message.header.nlmsg_type == RTM_NEWNEXTHOP ? "newnexthop" : "delnexthop";
        if (nexthop && nexthop->usable) text_ += " " + nexthop->via.gateway.ToString();
        text_ += "\n";
        return;
      }
      default:
        return;
    }
  });
  EXPECT_TRUE(complete.ok() && *complete) << "the test's own monitor has lost notifications";
  return text_;
}

int KernelLog::Count(const std::string& what) {
  const std::string& all = text();
  int times = 0;
  for (size_t at = 0; (at = all.find(what, at)) != std::string::npos; at += what.size()) ++times;
  return times;
}

void KernelLog::Clear() {
  text();
  text_.clear();
}

// ---- AgentTest

void AgentTest::SetUp() {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  dir_ = std::make_unique<TempDir>();
  // As the agent would: it makes routes of the kernel's own, which are no business of most tests.
  Shell("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  lan_ = AddLan("lan", "192.168.0.1/24 fd00:192:168::1/64");
  auto netlink = NetlinkSocket::Create();
  ASSERT_TRUE(netlink.ok()) << netlink.status().message();
  netlink_ = std::move(*netlink);
  kernel_ = std::make_unique<KernelLog>();
}

void AgentTest::TearDown() {
  if (HasFailure()) {
    for (auto& child : children_) {
      std::cerr << "---- log of process " << child->pid() << "\n" << child->log();
    }
    if (kernel_) std::cerr << "---- changes in the kernel\n" << kernel_->text();
    if (netlink_) {
      std::cerr << "---- routes\n" << Shell("ip route; ip -6 route; ip nexthop; ip addr");
    }
  }
  children_.clear();
  server_.reset();
}

void AgentTest::StartServer(const ServerProcessOptions& options) {
  auto server = ServerProcess::Start(options);
  ASSERT_TRUE(server.ok()) << server.status().message();
  server_ = std::move(*server);
}

void AgentTest::PutNodes(const std::vector<TestNode>& nodes) {
  std::vector<std::string> items;
  for (const TestNode& node : nodes) items.push_back(node.Json());
  PutJson(NodeListJson("1", items));
}

void AgentTest::PutJson(const std::string& json) {
  auto done = server_->Control("POST", "objects", json);
  ASSERT_TRUE(done.ok()) << done.status().message();
}

void AgentTest::DeleteNode(const std::string& name) {
  auto answer = server_->Call("DELETE", "/api/v1/nodes/" + name);
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  ASSERT_EQ(answer->status, 200) << answer->body;
}

std::string AgentTest::Order(const std::string& method, const std::string& order) {
  auto done = server_->Control(method, order);
  EXPECT_TRUE(done.ok()) << order << ": " << done.status().message();
  return done.ok() ? *done : "";
}

int AgentTest::Asked(const std::string& what) {
  std::string stats = Order("GET", "stats");
  size_t at = stats.find(Quote(what) + ":");
  return at == std::string::npos ? 0 : std::atoi(stats.c_str() + at + what.size() + 3);
}

ChildProcess& AgentTest::Start(std::vector<std::string> arguments, bool unprivileged) {
  arguments.insert(arguments.begin(), DataPath("controller/podroute"));
  bool has_config = std::any_of(arguments.begin(), arguments.end(), [](const std::string& a) {
    return a == "cleanup" || a.starts_with("--kubeconfig") || a.starts_with("--from_file");
  });
  if (!has_config && server_) arguments.push_back("--kubeconfig=" + server_->kubeconfig());
  // Never this machine's own directories. In front, where a test's own flags win.
  if (std::any_of(arguments.begin(), arguments.end(),
                  [](const std::string& a) { return a == "run" || a == "cleanup"; })) {
    arguments.insert(arguments.begin() + 1,
                     {"--cni_bin_dir=" + BinDir(), "--cni_conf_dir=" + ConfDir(),
                      "--cni_data_dir=" + DataDir()});
  }
  // Several of them may run here at one time.
  if (std::any_of(arguments.begin(), arguments.end(),
                  [](const std::string& a) { return a == "run"; })) {
    arguments.insert(arguments.begin() + 1, "--metrics_address=127.0.0.1:0");
  }
  const char* path = std::getenv("PATH");
  ChildProcessOptions options{
      .argv = std::move(arguments),
      .environment = {{"PATH", path ? path : "/usr/bin:/bin"}, {"HOME", dir_->path()}},
      .unprivileged = unprivileged};
  for (const char* name : {"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) options.environment.emplace_back(name, value);
  }
  children_.push_back(std::make_unique<ChildProcess>(options));
  return agent();
}

ChildProcess& AgentTest::StartAgent(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"run", "--mode=host", "--node_name=node1", "--resync_period=1h"});
  return Start(std::move(flags));
}

ChildProcess& AgentTest::StartAgentAndWait(std::vector<std::string> flags) {
  ChildProcess& started = StartAgent(std::move(flags));
  EXPECT_TRUE(Says("routes are in place"));
  return started;
}

AgentTest::Ran AgentTest::Run(const std::vector<std::string>& arguments, bool unprivileged) {
  ChildProcess& child = Start(arguments, unprivileged);
  int code = child.Wait();
  Ran ran{code, child.out(), child.log()};
  children_.pop_back();
  return ran;
}

int AgentTest::StopAgent() {
  agent().Signal(SIGTERM);
  EXPECT_TRUE(Eventually("the agent ends", [&] { return !agent().running(); }));
  return agent().running() ? -1 : agent().Wait();
}

int AgentTest::MetricsPort() {
  EXPECT_TRUE(Says("metrics and health are served"));
  const std::string& log = agent().log();
  size_t at = log.find(" port=", log.find("metrics and health are served"));
  return at == std::string::npos ? 0 : std::atoi(log.c_str() + at + 6);
}

std::string AgentTest::Get(const std::string& path) {
  return Shell("curl -sS --noproxy '*' -w '%{http_code}' http://127.0.0.1:" +
               std::to_string(MetricsPort()) + path);
}

double AgentTest::Value(const std::string& metric) {
  std::string all = "\n" + Get("/metrics");
  size_t at = all.find("\n" + metric + " ");
  return at == std::string::npos ? -1 : std::atof(all.c_str() + at + metric.size() + 2);
}

::testing::AssertionResult AgentTest::Becomes(const std::string& metric, double value) {
  return Eventually(metric, [&] { return Value(metric) == value; });
}

::testing::AssertionResult AgentTest::Fails(const std::string& backend, const std::string& reason,
                                            const std::string& words) {
  auto counted = [&](const std::string& operation) {
    return Value("podroute_backend_errors_total{backend=\"" + backend + "\",operation=\"" +
                 operation + "\",reason=\"" + reason + "\"}") > 0;
  };
  return Eventually(reason + " and \"" + words + "\"", [&] {
    const std::string log = agent().log();
    for (size_t at = log.find("reason=" + reason); at != std::string::npos;
         at = log.find("reason=" + reason, at + 1)) {
      const std::string line = log.substr(at, log.find('\n', at) - at);
      if (line.find(words) != std::string::npos) return counted("read") || counted("apply");
    }
    return false;
  });
}

::testing::AssertionResult AgentTest::Eventually(const std::string& what,
                                                 const std::function<bool()>& so) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    kernel_->text();
    std::vector<pollfd> fds = {{kernel_->fd(), POLLIN, 0}};
    for (auto& child : children_) {
      child->log();
      fds.push_back({child->log_fd(), POLLIN, 0});
    }
    if (so()) return ::testing::AssertionSuccess();
    if (std::chrono::steady_clock::now() > deadline) {
      return ::testing::AssertionFailure() << "not in half a minute: " << what;
    }
    poll(fds.data(), fds.size(), kLookAgainMs);
  }
}

::testing::AssertionResult AgentTest::Says(const std::string& text, int times) {
  return Eventually("the log says " + Quote(text),
                    [&] { return agent().Says(text) >= times || !agent().running(); }) &&
                 agent().Says(text) >= times
             ? ::testing::AssertionSuccess()
             : ::testing::AssertionFailure() << "the log does not say " << Quote(text)
                                             << (agent().running() ? "" : ": the agent has ended");
}

::testing::AssertionResult AgentTest::RoutesBecome(const std::string& routes) {
  if (Eventually("routes", [&] { return OurRoutes() == routes; })) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "the routes are\n"
                                       << OurRoutes() << "and should be\n"
                                       << routes;
}

std::string AgentTest::OurRoutes() {
  std::vector<std::string> lines;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    NetlinkBatch request;
    EncodeDumpRoutes(request, family, RouteMark());
    auto dumped = netlink_->Dump(request, [&](const NetlinkMessage& message) {
      auto route = DecodeRoute(message);
      if (!route || route->mark.table != 254 || route->mark.protocol != 110 ||
          route->mark.metric != 110 || route->type != RTN_UNICAST) {
        return;
      }
      std::string line = route->dst.ToString();
      for (const NextHop& via : route->via) line += " " + via.gateway.ToString();
      lines.push_back(line);
    });
    EXPECT_TRUE(dumped.ok()) << dumped.status().message();
  }
  return Lines(lines);
}

std::string AgentTest::Strangers() {
  return Shell(
      "{ for f in -4 -6; do ip -o -d $f route show table all; done |"
      " awk '!(/^unicast / && / proto 110 / && / metric 110 / && / table main /) &&"
      " !/nh_info .* proto 110/ && !/ dev cni0 /';"
      " ip nexthop | awk '!/ proto 110 /'; } | sort");
}

std::string AgentTest::WriteTemp(const std::string& name, const std::string& text) {
  return dir_->Write(name, text);
}

}  // namespace podroute
