#include "k8sclient/host_resolver.h"

#include <gtest/gtest.h>

#include <chrono>

namespace podroute {
namespace {

constexpr std::chrono::minutes kLong{5};

TEST(HostResolver, AnAddressIsItsOwnAnswer) {
  HostResolver resolver;
  for (const char* host : {"192.0.2.7", "fd00::1"}) {
    auto addresses = resolver.Resolve(host, kLong);
    ASSERT_TRUE(addresses.ok()) << addresses.status().message();
    EXPECT_EQ(*addresses, std::vector<IpAddress>{*IpAddress::Parse(host)});
  }
}

TEST(HostResolver, ResolvesAName) {
  HostResolver resolver;
  auto addresses = resolver.Resolve("localhost", kLong);
  ASSERT_TRUE(addresses.ok()) << addresses.status().message();
  for (const IpAddress& address : *addresses) EXPECT_TRUE(address.IsLoopback());
}

TEST(HostResolver, NamesTheHostThatHasNoAddress) {
  HostResolver resolver;
  Status status = resolver.Resolve("no-such-host.invalid", kLong).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.message().find("resolve no-such-host.invalid: "), 0u) << status.message();
}

TEST(HostResolver, ShutdownIsForEver) {
  HostResolver resolver;
  resolver.Shutdown();
  EXPECT_EQ(resolver.Resolve("no-such-host.invalid", kLong).status().code(),
            StatusCode::kCancelled);
}

TEST(HostResolver, GoesBeforeItsQuestionIsAnswered) {
  // The thread that asks still owns all that it needs.
  HostResolver resolver;
  EXPECT_FALSE(resolver.Resolve("no-such-host.invalid", std::chrono::nanoseconds(1)).ok());
}

}  // namespace
}  // namespace podroute
