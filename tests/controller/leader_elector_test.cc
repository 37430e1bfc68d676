// The elector's threads, over HTTP against an API server.
#include "controller/leader_elector.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "k8sclient/config_loader.h"
#include "k8sclient/cpprest_transport.h"
#include "tests/apiserver/server_process.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kLease[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podroute";

class LeaderElectorTest : public ::testing::Test {
 protected:
  struct Candidate {
    std::unique_ptr<HttpTransport> transport;
    std::unique_ptr<LeaderElector> elector;
  };

  void SetUp() override {
    auto server = ServerProcess::Start();
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
  }

  Candidate Start(const std::string& identity, ElectionTimings timings = {}) {
    LoadOptions load;
    load.kubeconfig = server_->kubeconfig();
    Candidate candidate;
    candidate.transport = NewCpprestTransport(LoadClientConfig(load).value()).value();
    ElectorOptions options;
    options.identity = identity;
    options.timings = timings;
    // Without the mutex: the elector's is held. What is missed so is looked at soon after.
    candidate.elector = std::make_unique<LeaderElector>(options, *candidate.transport,
                                                        [this] { changed_.notify_all(); });
    candidate.elector->Start();
    return candidate;
  }

  // False after half a minute.
  bool Eventually(const std::function<bool()>& so) {
    auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (!so()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, milliseconds(20));
    }
    return true;
  }

  bool Leads(const Candidate& candidate) { return candidate.elector->permit() != nullptr; }
  void Order(const std::string& order) {
    auto done = server_->Control("POST", order);
    ASSERT_TRUE(done.ok()) << done.status().message();
  }
  std::string Lease() { return server_->Call("GET", kLease).value().body; }
  bool LeaseHas(const std::string& text) { return Lease().find(text) != std::string::npos; }
  int Watches() {
    std::string stats = server_->Control("GET", "stats").value();
    size_t at = stats.find("\"watches\":");
    return std::atoi(stats.c_str() + at + 10);
  }

  std::unique_ptr<ServerProcess> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

constexpr ElectionTimings kQuick{seconds(2), milliseconds(1500), milliseconds(200)};

TEST_F(LeaderElectorTest, OneLeadsAndItsReleaseIsNoticedByTheOtherAtOnce) {
  // What would do without a watch, a poll, would come after the test has given up.
  const ElectionTimings slow{seconds(1800), seconds(1200), seconds(300)};
  Candidate a = Start("a", slow);
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  EXPECT_TRUE(LeaseHas(R"("leaseDurationSeconds":1800)")) << Lease();
  Candidate b = Start("b", slow);
  ASSERT_TRUE(Eventually([&] { return Watches() == 2; }));
  EXPECT_FALSE(Leads(b));
  std::shared_ptr<WritePermit> permit = a.elector->permit();
  a.elector->Stop();
  EXPECT_FALSE(permit->open());
  EXPECT_TRUE(permit->closed().stopped());
  ASSERT_TRUE(Eventually([&] { return Leads(b); }));
  EXPECT_TRUE(LeaseHas(R"("holderIdentity":"b")")) << Lease();
  EXPECT_TRUE(LeaseHas(R"("leaseTransitions":1)")) << Lease();
  b.elector->Stop();
  EXPECT_TRUE(LeaseHas(R"("holderIdentity":"")")) << Lease();
  EXPECT_TRUE(LeaseHas(R"("leaseDurationSeconds":1)")) << Lease();
}

TEST_F(LeaderElectorTest, WithoutAWatchTheReleaseIsPolledFor) {
  Order("faults?kind=status&status=403&watch=1&count=-1");
  Candidate a = Start("a", kQuick);
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  Candidate b = Start("b", kQuick);
  a.elector->Stop();
  EXPECT_TRUE(Eventually([&] { return Leads(b); }));
}

TEST_F(LeaderElectorTest, AServerThatAnswersNothingMoreEndsThePermitInTime) {
  Candidate a = Start("a", kQuick);
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  std::shared_ptr<WritePermit> permit = a.elector->permit();
  Order("faults?kind=stall&count=-1");
  ASSERT_TRUE(Eventually([&] { return permit->closed().stopped(); }));
  EXPECT_FALSE(permit->open());
  EXPECT_FALSE(Leads(a));
  ASSERT_TRUE(server_->Control("DELETE", "faults").ok());
  EXPECT_TRUE(Eventually([&] { return Leads(a); }));
  EXPECT_FALSE(permit->open()) << "an old permit is opened again";
  EXPECT_TRUE(LeaseHas(R"("leaseTransitions":0)")) << Lease();
}

TEST_F(LeaderElectorTest, AServerThatRestartsCostsNothing) {
  Candidate a = Start("a");
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  std::shared_ptr<WritePermit> permit = a.elector->permit();
  std::string before = Lease();
  EXPECT_TRUE(LeaseHas(R"("leaseDurationSeconds":15)")) << before;
  Order("restart?versions=keep");
  EXPECT_TRUE(Eventually([&] { return Lease() != before; })) << "not renewed";
  EXPECT_TRUE(permit->open());
}

TEST_F(LeaderElectorTest, AClosedOneKeepsTheLeaseUntilItIsStopped) {
  Candidate a = Start("a", kQuick);
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  a.elector->Close();
  EXPECT_FALSE(Leads(a));
  std::string before = Lease();
  EXPECT_TRUE(Eventually([&] { return Lease() != before; })) << "not renewed";
  EXPECT_TRUE(LeaseHas(R"("holderIdentity":"a")")) << Lease();
  EXPECT_FALSE(Leads(a));
}

TEST_F(LeaderElectorTest, SomeoneElsesLeaseEndsThePermitAtOnce) {
  Candidate a = Start("a");
  ASSERT_TRUE(Eventually([&] { return Leads(a) && Watches() == 1; }));
  std::shared_ptr<WritePermit> permit = a.elector->permit();
  ASSERT_TRUE(server_
                  ->Call("PATCH", kLease, R"({"spec":{"holderIdentity":"thief"}})",
                         "application/merge-patch+json")
                  .ok());
  EXPECT_TRUE(Eventually([&] { return permit->closed().stopped(); }));
  EXPECT_FALSE(Leads(a));
}

// Whoever stops while the server does not answer ends nevertheless.
TEST_F(LeaderElectorTest, StopEndsWithAServerThatDoesNotAnswer) {
  Candidate a = Start("a", kQuick);
  ASSERT_TRUE(Eventually([&] { return Leads(a); }));
  Order("faults?kind=stall&count=-1");
  a.elector->Stop();
  EXPECT_FALSE(Leads(a));
}

}  // namespace
}  // namespace podroute
