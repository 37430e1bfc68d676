// What tests of the BIRD backend share.
#ifndef PODROUTE_TESTS_ROUTING_BIRD_TEST_UTIL_H_
#define PODROUTE_TESTS_ROUTING_BIRD_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "routing/bird_backend.h"
#include "routing/bird_config.h"
#include "tests/lab/bird_router.h"
#include "tests/lab/netns.h"

namespace podroute {

inline Route BirdRoute(const std::string& dst, const std::string& gateway,
                       const std::string& node = "") {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  route.node = node;
  return route;
}

inline RouteSet Ordered(RouteSet routes) {
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

// "10.1.0.0/24 192.168.0.2", one a line, of one family: as BirdRouter::Table.
inline std::string ToText(const RouteSet& routes, IpFamily family) {
  std::string text;
  for (const Route& route : routes) {
    if (route.dst.family() != family) continue;
    text += route.dst.ToString() + " " + route.via.gateway.ToString() + "\n";
  }
  return text;
}

inline std::string Lines(std::string text) {
  std::vector<std::string> lines;
  std::istringstream stream(std::move(text));
  for (std::string line; std::getline(stream, line);) lines.push_back(line + "\n");
  std::sort(lines.begin(), lines.end());
  std::string sorted;
  for (const std::string& line : lines) sorted += line;
  return sorted;
}

inline std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

inline void Spill(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

inline ::testing::AssertionResult AllOk(const std::vector<RouteResult>& results) {
  for (const RouteResult& result : results) {
    if (!result.status.ok()) return ::testing::AssertionFailure() << result.status.message();
  }
  return ::testing::AssertionSuccess();
}

// A router with one LAN and BIRD in a network namespace of its own, for each test.
class BirdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_NEED_BIRD_OR_SKIP();
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.1/16 fd00::1/64");
    bird_ = std::make_unique<BirdRouter>();
    options_.socket_path = bird_->socket_path();
    options_.file_path = bird_->file_path();
    options_.apply_timeout = std::chrono::seconds(60);  // A busy machine is no fault.
  }

  std::unique_ptr<BirdBackend> NewBackend(const BirdOptions& options) {
    Result<std::unique_ptr<BirdBackend>> backend = BirdBackend::Create(options);
    EXPECT_TRUE(backend.ok()) << backend.status().message();
    return std::move(*backend);
  }
  void StartBoth() {
    bird_->Start();
    backend_ = NewBackend(options_);
  }

  // Read, plan, apply: one pass of the reconcile loop.
  static std::vector<RouteResult> Reconcile(BirdBackend& backend, const RouteSet& desired) {
    Result<RouteSet> actual = backend.ReadOwned();
    EXPECT_TRUE(actual.ok()) << actual.status().message();
    if (!actual.ok()) return {};
    return backend.Apply(Plan(*actual, desired), desired);
  }
  std::vector<RouteResult> Reconcile(const RouteSet& desired) {
    return Reconcile(*backend_, desired);
  }
  RouteSet ReadOrDie() {
    Result<RouteSet> routes = backend_->ReadOwned();
    EXPECT_TRUE(routes.ok()) << routes.status().message();
    return routes.ok() ? *routes : RouteSet();
  }

  // BIRD's tables, the file, and what ReadOwned says are all of them `desired`.
  void ExpectInPlace(const RouteSet& desired) {
    EXPECT_EQ(Lines(bird_->Table("podroute4")), Lines(ToText(desired, IpFamily::kV4)));
    EXPECT_EQ(Lines(bird_->Table("podroute6")), Lines(ToText(desired, IpFamily::kV6)));
    EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(desired, ""));
    EXPECT_TRUE(Plan(ReadOrDie(), desired).empty());
    EXPECT_EQ(bird_->Birdc("configure status").find("undo in"), std::string::npos);
    ExpectNothingLeft();
  }
  void ExpectNothingLeft() {
    for (const auto& entry : std::filesystem::directory_iterator(bird_->dir())) {
      EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
    }
  }

  std::unique_ptr<BirdRouter> bird_;
  BirdOptions options_;
  std::unique_ptr<BirdBackend> backend_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_ROUTING_BIRD_TEST_UTIL_H_
