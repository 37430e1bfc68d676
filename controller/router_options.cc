#include "controller/router_options.h"

#include <gflags/gflags.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "controller/flag_values.h"
#include "routing/owner.h"

DEFINE_string(backend, "kernel", "where router mode keeps routes: kernel, bird, frr or exec");
DEFINE_string(owner, "",
              "tells several podroutes on one router apart: letters, digits, - and _, at most 32");
DEFINE_bool(set_sysctls, false,
            "router mode, kernel backend: set the kernel settings that a router needs, instead of "
            "warning about them");
DEFINE_string(bird_socket, "/run/bird/bird.ctl", "BIRD's control socket");
DEFINE_string(
    bird_file, "/etc/bird/podroute.conf",
    "the file that is ours and that bird.conf includes; with --owner, unless it is given, "
    "/etc/bird/podroute-OWNER.conf");
DEFINE_string(vtysh, "vtysh", "FRR's shell: a path, or a name to be looked for in PATH");
DEFINE_string(frr_vty_socket, "",
              "directory of the FRR daemons' vty sockets; empty: where vtysh looks by itself");
DEFINE_string(
    push_command, "",
    "exec backend: takes what should be on its standard input, and ends with 0 when done");
DEFINE_string(read_command, "",
              "exec backend: prints what the router has; empty: what was pushed last counts");
DEFINE_string(push_timeout, "30s",
              "exec backend: a command that takes longer is ended, and counts as failed");
DEFINE_string(format, "json", "exec backend: what both commands speak: bird, frr, ip or json");
DEFINE_bool(leader_elect, true, "router mode: write only while holding the Lease");
DEFINE_string(lease_name, "", "name of the Lease; empty: podroute, with --owner podroute-OWNER");
DEFINE_string(lease_namespace, "",
              "namespace of the Lease; empty: that of this pod, else kube-system");
DEFINE_string(identity, "",
              "who holds the Lease; no two processes may have one; empty: hostname_UUID");
DEFINE_string(lease_duration, "15s", "others wait this long for a leader that does not renew");
DEFINE_string(renew_deadline, "10s", "a leader that cannot renew for this long stops writing");
DEFINE_string(retry_period, "2s", "time between two renewals, or two looks at the Lease");

namespace podroute {
namespace {

constexpr size_t kMaxIdentityBytes = 253;  // Far more than any host has.

// As client-go's users make it: readable, and another one after each start.
std::string NewIdentity() {
  char host[HOST_NAME_MAX + 1] = {};
  if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') host[0] = '?';
  Result<std::string> uuid = ReadFile("/proc/sys/kernel/random/uuid");
  std::string unique = uuid.ok() ? *uuid : std::to_string(getpid());
  unique.erase(unique.find_last_not_of(" \n") + 1);
  return std::string(host) + "_" + unique;
}

// An owner's name may have upper case and underscores, a Lease's not. Two owners may end up with
// one Lease: then only one of them writes, which is seen at once.
std::string LeaseNameFor(const std::string& owner) {
  if (owner.empty()) return "podroute";
  std::string name = "podroute-" + owner;
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
  }
  while (name.back() == '-') name.back() = '0';
  return name;
}

bool IsDefault(const char* flag) {
  gflags::CommandLineFlagInfo info;
  return gflags::GetCommandLineFlagInfo(flag, &info) && info.is_default;
}

// What would be ignored is most likely a forgotten --backend.
Status CheckBackendsFlags(BackendKind backend) {
  using K = BackendKind;
  for (auto [flag, kind, name] :
       {std::tuple{"set_sysctls", K::kKernel, "kernel"},
        std::tuple{"bird_socket", K::kBird, "bird"}, std::tuple{"bird_file", K::kBird, "bird"},
        std::tuple{"vtysh", K::kFrr, "frr"}, std::tuple{"frr_vty_socket", K::kFrr, "frr"},
        std::tuple{"push_command", K::kExec, "exec"}, std::tuple{"read_command", K::kExec, "exec"},
        std::tuple{"push_timeout", K::kExec, "exec"}, std::tuple{"format", K::kExec, "exec"}}) {
    if (kind == backend || IsDefault(flag)) continue;
    return {StatusCode::kInvalidArgument,
            "--" + std::string(flag) + " is for --backend=" + name + ", which is not given"};
  }
  return Status::Ok();
}

Status ReadPaths(RouterOptions* options) {
  options->bird_socket = FLAGS_bird_socket;
  options->bird_file = FLAGS_bird_file;
  // Two owners with one file would undo each other's.
  if (IsDefault("bird_file") && !options->owner.empty()) {
    options->bird_file = "/etc/bird/podroute-" + options->owner + ".conf";
  }
  for (const auto& [flag, path] : {std::pair{"bird_socket", &options->bird_socket},
                                   std::pair{"bird_file", &options->bird_file}}) {
    if (!path->starts_with('/')) return WrongFlag(flag, *path, "not an absolute path");
  }
  options->vtysh = FLAGS_vtysh;
  options->frr_vty_socket = FLAGS_frr_vty_socket;
  if (!options->frr_vty_socket.empty() && !options->frr_vty_socket.starts_with('/')) {
    return WrongFlag("frr_vty_socket", options->frr_vty_socket, "not an absolute path");
  }
  if (options->vtysh.empty()) return WrongFlag("vtysh", "", "not a program");
  return Status::Ok();
}

Result<ElectionTimings> ReadTimings() {
  ElectionTimings timings;
  for (auto [flag, text, target] :
       {std::tuple{"lease_duration", &FLAGS_lease_duration, &timings.lease_duration},
        std::tuple{"renew_deadline", &FLAGS_renew_deadline, &timings.renew_deadline},
        std::tuple{"retry_period", &FLAGS_retry_period, &timings.retry_period}}) {
    Result<Duration> value = ParseDuration(*text);
    if (!value.ok()) return value.status().WithContext("--" + std::string(flag));
    *target = *value;
  }
  PODROUTE_RETURN_IF_ERROR(CheckTimings(timings));
  return timings;
}

}  // namespace

std::vector<std::pair<std::string, std::vector<std::string>>> ListRouterFlags() {
  return {
      {"backend", {"run", "plan", "cleanup"}},
      {"owner", {"run", "plan", "check", "cleanup"}},
      {"set_sysctls", {"run"}},
      {"bird_socket", {"run", "cleanup"}},
      {"bird_file", {"run", "cleanup"}},
      {"vtysh", {"run", "cleanup"}},
      {"frr_vty_socket", {"run", "cleanup"}},
      {"push_command", {"run", "cleanup"}},
      {"read_command", {"run", "cleanup"}},
      {"push_timeout", {"run", "cleanup"}},
      {"format", {"run", "cleanup"}},
      {"leader_elect", {"run"}},
      {"lease_name", {"run"}},
      {"lease_namespace", {"run"}},
      {"identity", {"run"}},
      {"lease_duration", {"run"}},
      {"renew_deadline", {"run"}},
      {"retry_period", {"run"}},
  };
}

Result<RouterOptions> ReadRouterOptions() {
  RouterOptions options;
  using K = BackendKind;
  PODROUTE_ASSIGN_OR_RETURN(
      options.backend,
      ParseWord<K>(
          "backend", FLAGS_backend,
          {{"kernel", K::kKernel}, {"bird", K::kBird}, {"frr", K::kFrr}, {"exec", K::kExec}}));
  PODROUTE_RETURN_IF_ERROR(CheckBackendsFlags(options.backend));
  if (Status owner = CheckOwner(FLAGS_owner); !owner.ok()) {
    return WrongFlag("owner", FLAGS_owner, owner.message());
  }
  options.owner = FLAGS_owner;
  options.set_sysctls = FLAGS_set_sysctls;
  PODROUTE_RETURN_IF_ERROR(ReadPaths(&options));
  options.push_command = FLAGS_push_command;
  options.read_command = FLAGS_read_command;
  Result<Duration> push_timeout = ParseDuration(FLAGS_push_timeout);
  if (!push_timeout.ok()) return push_timeout.status().WithContext("--push_timeout");
  if (*push_timeout <= Duration::zero()) {
    return WrongFlag("push_timeout", FLAGS_push_timeout, "too short for any command");
  }
  options.push_timeout = *push_timeout;
  PODROUTE_ASSIGN_OR_RETURN(options.format, ParseExecFormat(FLAGS_format));
  options.leader_elect = FLAGS_leader_elect;
  options.lease_name = FLAGS_lease_name.empty() ? LeaseNameFor(FLAGS_owner) : FLAGS_lease_name;
  PODROUTE_RETURN_IF_ERROR(CheckObjectName("lease_name", options.lease_name));
  options.lease_namespace = FLAGS_lease_namespace;
  if (!FLAGS_lease_namespace.empty()) {
    PODROUTE_RETURN_IF_ERROR(CheckObjectName("lease_namespace", FLAGS_lease_namespace));
  }
  options.identity = FLAGS_identity.empty() ? NewIdentity() : FLAGS_identity;
  bool printable = std::all_of(options.identity.begin(), options.identity.end(),
                               [](char c) { return c > ' ' && c < '\x7f'; });
  if (!printable || options.identity.size() > kMaxIdentityBytes) {
    return WrongFlag("identity", options.identity,
                     "not printable ASCII without spaces, at most 253 characters");
  }
  PODROUTE_ASSIGN_OR_RETURN(options.timings, ReadTimings());
  return options;
}

}  // namespace podroute
