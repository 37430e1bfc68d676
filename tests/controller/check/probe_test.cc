// Requests that the kernel's own network really answers.
#include "controller/check/probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Their answers are more than a socket's buffer holds: they are read between the requests.
TEST(ProbeTest, AllThatAnswerAreHeard) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  Shell("ip route add local 10.9.0.0/16 dev lo");
  std::vector<ProbeFact> probes;
  for (uint32_t i = 1; i <= 1000; ++i) {
    probes.push_back({"node", IpAddress::V4(0x0a090000 + i), ProbeFact::Of::kNode, 60000});
  }
  ASSERT_TRUE(Probe(&probes).ok());
  EXPECT_EQ(std::count_if(probes.begin(), probes.end(),
                          [](const ProbeFact& probe) { return probe.reached == Reached::kFull; }),
            1000);
}

}  // namespace
}  // namespace podroute
