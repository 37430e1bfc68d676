// What the tests of the FRR backend share: real daemons in a network namespace of their own.
#ifndef PODROUTE_TESTS_ROUTING_FRR_TEST_UTIL_H_
#define PODROUTE_TESTS_ROUTING_FRR_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "routing/frr_backend.h"
#include "tests/base/temp_dir.h"
#include "tests/lab/frr_router.h"
#include "tests/lab/netns.h"

namespace podroute {

inline void PrintTo(const Status& status, std::ostream* out) {
  *out << StatusCodeName(status.code()) << " \"" << status.message() << "\"";
}
inline void PrintTo(const RouteResult& result, std::ostream* out) { PrintTo(result.status, out); }

inline Route R(const std::string& dst, const std::string& gateway) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  return route;
}

inline RouteSet Ordered(RouteSet routes) {
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

// "ip route 10.244.1.0/24 192.168.0.11 tag 110", and nothing else. (No std::regex: GCC 12 warns of
// it under AddressSanitizer.)
inline bool IsOurForm(const std::string& line, const std::string& tag) {
  std::istringstream in(line);
  std::string ip, route, dst, gateway, tagged;
  in >> ip >> route >> dst >> gateway >> tagged;
  return line == ip + " route " + dst + " " + gateway + " tag " + tag &&
         (ip == "ip" || ip == "ipv6") &&
         gateway.find_first_not_of("0123456789abcdef.:") == std::string::npos;
}

// The lines of our form with this tag, or all others.
inline std::string LinesOf(const std::string& config, const std::string& tag, bool with) {
  std::istringstream in(config);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (IsOurForm(line, tag) == with) out += line + "\n";
  }
  return out;
}

class FrrTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_NEED_FRR_OR_SKIP();
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.254/16 fd00::254/64");
    frr_ = std::make_unique<FrrRouter>();
    frr_->StartStatic();
    backend_ = NewBackend(kFrrTag);
  }
  FrrOptions Options(const std::string& vtysh = "vtysh") const {
    FrrOptions options;
    options.vtysh = vtysh;
    options.vty_socket_dir = frr_->dir();
    return options;
  }
  std::unique_ptr<FrrBackend> NewBackend(uint32_t tag) const {
    FrrOptions options = Options();
    options.tag = tag;
    return Make(options);
  }
  static std::unique_ptr<FrrBackend> Make(const FrrOptions& options) {
    Result<std::unique_ptr<FrrBackend>> made = FrrBackend::Create(options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  // Read, plan, apply: one pass of the reconcile loop.
  static std::vector<RouteResult> Pass(FrrBackend& backend, const RouteSet& desired) {
    Result<RouteSet> actual = backend.ReadOwned();
    if (!actual.ok()) return {{RouteChange(), actual.status()}};
    return backend.Apply(Plan(*actual, desired), desired);
  }
  // The first error, if any.
  static Status Reconcile(FrrBackend& backend, const RouteSet& desired) {
    for (const RouteResult& result : Pass(backend, desired)) {
      if (!result.status.ok()) return result.status;
    }
    return Status::Ok();
  }
  Status Reconcile(const RouteSet& desired) { return Reconcile(*backend_, Ordered(desired)); }
  std::string Ours(const std::string& tag = "110") const {
    return LinesOf(frr_->RunningConfig(), tag, true);
  }
  std::string Others() const {
    return LinesOf(frr_->Vtysh("-c 'show running-config'"), "110", false);
  }
  // Until the kernel has just these routes of zebra's: "10.244.1.0/24 192.168.0.1".
  static void AwaitKernel(const std::string& family, const std::string& expected) {
    std::string have;
    for (int i = 0; i < 5000; ++i) {
      have = Shell("ip " + family +
                   " route show proto 196 | sed 's/ nhid [0-9]*//; s/ via / /; "
                   "s/ dev .*//' | sort");
      if (have == expected) return;
      poll(nullptr, 0, 2);
    }
    ADD_FAILURE() << "the kernel has\n" << have << "and not\n" << expected;
  }

  std::unique_ptr<FrrRouter> frr_;
  std::unique_ptr<FrrBackend> backend_;
};

// A vtysh that does something else on one of its ways of being called.
class FakeVtysh {
 public:
  // `when`: a pattern of sh's for all arguments.
  FakeVtysh(const std::string& when, const std::string& then)
      : path_(dir_.WriteScript("vtysh", "case \"$*\" in " + when + ") " + then +
                                            " ;; *) exec vtysh \"$@\" ;; esac")) {}
  const std::string& path() const { return path_; }

 private:
  TempDir dir_;
  std::string path_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_ROUTING_FRR_TEST_UTIL_H_
