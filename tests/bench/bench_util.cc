#include "tests/bench/bench_util.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "routing/netlink_codec.h"

namespace podroute {
namespace {

constexpr int kPatienceMs = 30000;

// The end of the log, where standard error is a file.
std::string EndOfLog() {
  char text[1000];
  off_t size = lseek(STDERR_FILENO, 0, SEEK_END);
  if (size <= 0) return "";
  off_t from = std::max<off_t>(0, size - static_cast<off_t>(sizeof text));
  ssize_t n = pread(STDERR_FILENO, text, sizeof text, from);
  return n > 0 ? "\n..." + std::string(text, static_cast<size_t>(n)) : "";
}

}  // namespace

void Check(bool good, std::string_view what) {
  if (good) return;
  printf("%s: %.*s%s\n", program_invocation_short_name, static_cast<int>(what.size()), what.data(),
         EndOfLog().c_str());
  fflush(stdout);
  _exit(1);  // Other threads are in the middle of things.
}

double MillisecondsSince(BenchClock::time_point start) {
  return std::chrono::duration<double, std::milli>(BenchClock::now() - start).count();
}

double Milliseconds(const std::function<void()>& work) {
  BenchClock::time_point start = BenchClock::now();
  work();
  return MillisecondsSince(start);
}

double OthersCpuSeconds() {
  auto seconds = [](clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  };
  return seconds(CLOCK_PROCESS_CPUTIME_ID) - seconds(CLOCK_THREAD_CPUTIME_ID);
}

double Percentile(std::vector<double> values, double p) {
  Check(!values.empty(), "no samples");
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(p * static_cast<double>(values.size())))];
}

std::string Distribution(const std::vector<double>& milliseconds) {
  char text[160];
  snprintf(text, sizeof text,
           "p50 %7.3f ms, p90 %7.3f ms, p99 %7.3f ms, max %7.3f ms (%zu samples)",
           Median(milliseconds), Percentile(milliseconds, 0.9), Percentile(milliseconds, 0.99),
           Percentile(milliseconds, 1), milliseconds.size());
  return text;
}

bool IsShort(int argc, char** argv) {
  const bool is_short = argc == 2 && std::string_view(argv[1]) == "--short";
  Check(argc == 1 || is_short, "the only argument is --short");
  setvbuf(stdout, nullptr, _IOLBF, 0);
  return is_short;
}

RouteWitness::RouteWitness()
    : socket_(OrDie(NotificationSocket::Create(
          {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP}, 64 << 20, nullptr))) {}

void RouteWitness::Await(const Wanted& wanted, const char* what) {
  for (bool seen = false; !seen;) {
    pollfd ready = {socket_->fd(), POLLIN, 0};
    Check(poll(&ready, 1, kPatienceMs) == 1, std::string("waited in vain for ") + what);
    bool complete = OrDie(
        socket_->Drain([&](const NetlinkMessage& message) { seen = wanted(message) || seen; }));
    Check(complete, "notifications were lost");
  }
}

void RouteWitness::AwaitRoute(uint16_t type, const IpPrefix& dst) {
  Await(
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != type) return false;
        auto route = DecodeRoute(message);
        return route && route->dst == dst;
      },
      ("a route to " + dst.ToString()).c_str());
}

void RouteWitness::AwaitRoutes(size_t count, uint8_t protocol) {
  std::set<IpPrefix> seen;
  Await(
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != RTM_NEWROUTE) return false;
        auto route = DecodeRoute(message);
        if (route && route->mark.protocol == protocol) seen.insert(route->dst);
        return seen.size() >= count;
      },
      "all routes");
}

uint32_t RouteWitness::AwaitNexthop(const IpAddress& gateway) {
  uint32_t id = 0;
  Await(
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != RTM_NEWNEXTHOP) return false;
        auto nexthop = DecodeNexthop(message);
        if (!nexthop || !nexthop->usable || nexthop->via.gateway != gateway) return false;
        id = nexthop->id;
        return true;
      },
      ("a nexthop object with gateway " + gateway.ToString()).c_str());
  return id;
}

void RouteWitness::Clear() {
  OrDie(socket_->Drain([](const NetlinkMessage&) {}));
}

}  // namespace podroute
