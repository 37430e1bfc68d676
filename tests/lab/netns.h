// A network namespace of a test's own.
#ifndef PODROUTE_TESTS_LAB_NETNS_H_
#define PODROUTE_TESTS_LAB_NETNS_H_

#include <string>

#include "base/status.h"

namespace podroute {

// Moves the calling thread into a new, empty network namespace with `lo` up: a private one, in a
// user namespace of its own where we are not root (that once a process, which must have one thread
// then). Nothing is left behind when the process ends. An error says why it is not permitted here:
// skip.
Status EnterPrivateNetns();

// Runs a shell command in the calling thread's network namespace; returns what it prints to
// standard output. A command that fails ends the test program with the command and what it said.
std::string Shell(const std::string& command);

// As Shell, but returns the exit code.
int TryShell(const std::string& command);

// The index of a link in the calling thread's network namespace. Aborts when there is none.
int IfIndex(const std::string& name);

// A shell command that waits until each global IPv6 address, of that link or of all, is one that
// the kernel takes packets for. It makes the local route that lets it do so in its own time, also
// without duplicate address detection (Linux 6.18).
std::string AwaitIpv6(const std::string& link = "");

// A veth pair `name` and `name`p, both up, with `addresses` ("192.168.0.1/16 fd00::1/64") on the
// first. Returns its index. A veth because not every kernel has dummy links.
int AddLan(const std::string& name, const std::string& addresses);

}  // namespace podroute

// In a test or fixture: a fresh namespace, or skipped with the reason.
#define PODROUTE_ENTER_NETNS_OR_SKIP()                                               \
  do {                                                                               \
    ::podroute::Status podroute_entered_ = ::podroute::EnterPrivateNetns();          \
    if (!podroute_entered_.ok()) {                                                   \
      GTEST_SKIP() << "no network namespaces here: " << podroute_entered_.message(); \
    }                                                                                \
  } while (false)

#endif  // PODROUTE_TESTS_LAB_NETNS_H_
