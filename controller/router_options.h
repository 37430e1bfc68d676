// The flags of router mode.
#ifndef PODROUTE_CONTROLLER_ROUTER_OPTIONS_H_
#define PODROUTE_CONTROLLER_ROUTER_OPTIONS_H_

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/leader_election.h"
#include "routing/exec_format.h"

namespace podroute {

enum class BackendKind { kKernel, kBird, kFrr, kExec };

struct RouterOptions {
  BackendKind backend = BackendKind::kKernel;
  std::string owner;  // Tells several podroutes on one router apart; empty: the one without a name.
  bool set_sysctls = false;

  std::string bird_socket, bird_file;                // Absolute paths.
  std::string vtysh, frr_vty_socket;                 // The latter a directory; empty: vtysh's own.
  std::string push_command, read_command;            // Empty: none.
  Duration push_timeout = std::chrono::seconds(30);  // Of either command; positive.
  ExecFormat format = ExecFormat::kJson;

  bool leader_elect = true;
  std::string lease_name;       // Never empty.
  std::string lease_namespace;  // Empty: the pod's, else kube-system.
  std::string identity;         // Never empty.
  ElectionTimings timings;
};

// The flags as typed values. REQUIRES: they are set. Errors are one line that names the flag.
Result<RouterOptions> ReadRouterOptions();

// Their names and the verbs that they are for.
std::vector<std::pair<std::string, std::vector<std::string>>> ListRouterFlags();

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_ROUTER_OPTIONS_H_
