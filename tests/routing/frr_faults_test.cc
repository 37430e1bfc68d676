// What the FRR backend does when daemons are gone, hang or restart, and when it may not go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <memory>
#include <string>

#include "tests/routing/frr_test_util.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

class FrrFaultsTest : public FrrTest {};

bool Readable(int fd, int timeout_ms) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, timeout_ms) == 1;
}

TEST_F(FrrFaultsTest, AHungDaemonIsAClearErrorWithinTheLimitAndRecoversByItself) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  FrrOptions options = Options();
  options.read_timeout = options.apply_timeout = std::chrono::milliseconds(300);
  std::unique_ptr<FrrBackend> backend = Make(options);
  frr_->Signal("staticd", SIGSTOP);
  Result<RouteSet> owned = backend->ReadOwned();
  EXPECT_EQ(owned.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(owned.status().message(),
              HasSubstr("staticd on " + frr_->dir() + "/staticd.vty does not answer"));
  RouteSet desired = {R("10.244.2.0/24", "192.168.0.2")};
  EXPECT_EQ(backend->Apply(Plan({}, desired), desired)[0].status.code(),
            StatusCode::kDeadlineExceeded);
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  frr_->Signal("staticd", SIGCONT);
  EXPECT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.2.0/24 192.168.0.2\n");
}

TEST_F(FrrFaultsTest, AKilledDaemonIsAnErrorAndNotAnEmptyConfiguration) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  frr_->Kill("staticd");
  Status status = Reconcile({R("10.244.1.0/24", "192.168.0.1")});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("connect to staticd on " + frr_->dir() + "/staticd.vty"));
}

TEST_F(FrrFaultsTest, ARestartIsNoticedAndTheRoutesArePutBack) {
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  backend_->DrainEvents();
  EXPECT_FALSE(Readable(backend_->event_fd(), 0));
  frr_->Kill("staticd");
  frr_->Start("staticd");
  EXPECT_TRUE(Readable(backend_->event_fd(), -1));
  backend_->DrainEvents();
  EXPECT_EQ(Ours(), "");
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
}

TEST_F(FrrFaultsTest, RoutesAreInTheKernelAgainAfterZebraWasRestarted) {
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  frr_->Kill("zebra");
  frr_->Start("zebra");
  EXPECT_TRUE(Readable(backend_->event_fd(), -1));
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
}

TEST_F(FrrFaultsTest, WithoutThePermitNothingIsSent) {
  bool leader = true;
  FrrOptions options = Options();
  options.may_write = [&] { return leader; };
  std::unique_ptr<FrrBackend> backend = Make(options);
  ASSERT_EQ(Reconcile(*backend, {R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  leader = false;
  std::string before = frr_->RunningConfig();
  Status status = Reconcile(*backend, {R("10.244.1.0/24", "192.168.0.2")});
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrFaultsTest, AStopEndsWhatIsRunning) {
  StopToken stop;
  stop.Stop();
  FrrOptions options = Options();
  options.stop = &stop;
  EXPECT_EQ(Make(options)->ReadOwned().status().code(), StatusCode::kCancelled);
}

TEST_F(FrrFaultsTest, AMissingVtyshIsNamed) {
  Status status = Reconcile(*Make(Options("/nowhere/vtysh")), {R("10.244.1.0/24", "192.168.0.1")});
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("/nowhere/vtysh"));
}

}  // namespace
}  // namespace podroute
