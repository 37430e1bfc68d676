// BIRD of a test's own, in the calling thread's network namespace.
#ifndef PODROUTE_TESTS_LAB_BIRD_ROUTER_H_
#define PODROUTE_TESTS_LAB_BIRD_ROUTER_H_

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace podroute {

// Why BIRD cannot be started here (not installed, BIRD 1); OK when it can.
Status CanRunBird();

// One daemon with configuration, socket and pid file in a directory of its own; nothing of the
// machine's BIRD is touched. Ends with the test program, whatever becomes of that. One thread;
// aborts with what the daemon said when it does not start.
class BirdRouter {
 public:
  BirdRouter();  // Starts nothing; bird.conf is there, and includes podroute.conf if that is there.
  ~BirdRouter();  // Kills what runs.
  BirdRouter(const BirdRouter&) = delete;
  BirdRouter& operator=(const BirdRouter&) = delete;

  const std::string& dir() const { return dir_; }
  std::string File(const std::string& name) const { return dir_ + "/" + name; }
  std::string socket_path() const { return File("run/bird.ctl"); }
  std::string conf_path() const { return File("bird.conf"); }
  // What podroute keeps.
  std::string file_path() const { return File("podroute.conf"); }

  // A log, "protocol device", two kernel protocols that export all, and the line that includes
  // podroute.conf (not an error when there is none).
  std::string DefaultConf() const;
  void WriteConf(const std::string& text) const;

  // Returns when it can be asked.
  void Start();
  bool TryStart();  // False when it ends instead.
  // SIGKILL, and waits until it is gone. Its socket's file stays.
  void Kill();
  void Signal(int signal) const;
  pid_t pid() const { return pid_; }

  // birdc with this command; what it prints, also when BIRD refuses.
  std::string Birdc(const std::string& command) const;
  // The routes of a protocol that are in BIRD's table, one a line: "10.1.0.0/24 192.168.0.2".
  std::string Table(const std::string& protocol) const;

  // How often it has begun to reconfigure, by the default configuration's log. ("show status" has
  // the time of the last one, but reckons that from two clocks anew: it may be off by a
  // millisecond the next time.)
  int Reconfigurations() const;

 private:
  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace podroute

#define PODROUTE_NEED_BIRD_OR_SKIP()                                \
  do {                                                              \
    ::podroute::Status podroute_bird_ = ::podroute::CanRunBird();   \
    if (!podroute_bird_.ok()) {                                     \
      GTEST_SKIP() << "no BIRD here: " << podroute_bird_.message(); \
    }                                                               \
  } while (false)

#endif  // PODROUTE_TESTS_LAB_BIRD_ROUTER_H_
