// FRR of a test's own, in the calling thread's network namespace.
#ifndef PODROUTE_TESTS_LAB_FRR_ROUTER_H_
#define PODROUTE_TESTS_LAB_FRR_ROUTER_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "base/status.h"

namespace podroute {

// Why FRR cannot be started here (not installed, not root); OK when it can. From the first OK on,
// all that this program starts is in a process namespace that ends with it, so that no daemon
// outlives a test that crashes, and no directory of theirs. REQUIRES: one thread.
Status CanRunFrr();

// zebra, staticd and others from /usr/lib/frr with sockets, pid files and (empty) configuration in
// a directory of their own; nothing of the machine's FRR is touched. One thread; aborts with what
// the daemon said when one does not start.
class FrrRouter {
 public:
  FrrRouter();   // Starts nothing.
  ~FrrRouter();  // Kills what runs.
  FrrRouter(const FrrRouter&) = delete;
  FrrRouter& operator=(const FrrRouter&) = delete;

  // Its *.vty sockets are here.
  const std::string& dir() const { return dir_; }

  // Returns when the daemon can be asked. `more`: further arguments, unquoted.
  void Start(const std::string& daemon, const std::string& more = "");
  void StartStatic() {
    Start("zebra");
    Start("staticd");
  }
  // SIGKILL, and waits until it is gone. Its socket's file stays.
  void Kill(const std::string& daemon);
  void Signal(const std::string& daemon, int signal);

  // Of a daemon that runs.
  pid_t pid(const std::string& daemon) const { return pids_.at(daemon); }

  // vtysh with these arguments, for a shell; returns what it prints.
  std::string Vtysh(const std::string& args) const;
  // The same as a command to be run.
  std::string VtyshCommand(const std::string& args) const;
  // Enters lines in configuration mode, in one go.
  void Configure(const std::string& lines) const;
  // Of staticd.
  std::string RunningConfig() const { return Vtysh("-d staticd -c 'show running-config'"); }

 private:
  std::string dir_;
  std::map<std::string, pid_t> pids_;
};

}  // namespace podroute

#define PODROUTE_NEED_FRR_OR_SKIP()                               \
  do {                                                            \
    ::podroute::Status podroute_frr_ = ::podroute::CanRunFrr();   \
    if (!podroute_frr_.ok()) {                                    \
      GTEST_SKIP() << "no FRR here: " << podroute_frr_.message(); \
    }                                                             \
  } while (false)

#endif  // PODROUTE_TESTS_LAB_FRR_ROUTER_H_
