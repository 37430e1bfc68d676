// The command line: flags from arguments, environment and flag files, checked and typed.
#ifndef PODROUTE_CONTROLLER_OPTIONS_H_
#define PODROUTE_CONTROLLER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "cni/conflist.h"
#include "controller/flag_values.h"
#include "controller/router_options.h"
#include "k8sclient/config_loader.h"
#include "routing/plan_printer.h"

namespace podroute {

enum class Mode { kHost, kLocal, kRouter };
enum class Against { kDefault, kKernel, kNothing };

struct Options {
  Mode mode = Mode::kHost;
  std::string kubeconfig, context;
  std::string node_name;         // Resolved: flag, $NODE_NAME, hostname in lower case.
  bool node_name_given = false;  // It is not the hostname.
  std::string from_file;
  std::vector<IpPrefix> cluster_cidrs;
  PlanFormat output = PlanFormat::kIp;
  bool output_given = false;  // Else each verb has a default of its own.
  Against against = Against::kDefault;
  bool detailed_exitcode = false;
  uint32_t route_table = 254, route_metric = 110;
  uint8_t route_protocol = 110;
  Duration resync_period = std::chrono::seconds(60);
  double max_delete_fraction = 0.5;
  bool cleanup_on_exit = false;
  bool masquerade = true;
  std::vector<IpPrefix> non_masquerade_cidrs;  // Beside cluster_cidrs.
  std::string metrics_address;                 // IP:PORT; empty: nothing is served.
  RouterOptions router;
  std::string cni_bin_dir, cni_conf_dir;  // Empty: that half is not installed.
  std::string cni_network_name = kNetworkName, cni_data_dir = kIpamDataDir;
  std::string cni_plugin;  // Empty: the one that came with this executable.
  uint32_t cni_mtu = 0;    // Bytes; 0: the uplink's.
  std::string sysctl_dir;  // Where kernel settings are written.
};

// One flag as `podroute help` and docs/reference.md show it.
struct FlagInfo {
  std::string name, default_value, description;
  std::vector<std::string> verbs;  // Those it is for.
};

struct CommandLine {
  std::string verb;                    // "help" when none is given.
  std::vector<std::string> arguments;  // What follows the verb and is no flag.
};

// Sets the flags: PODROUTE_<FLAG> from the environment first, then arguments in order, where the
// last one wins; --flagfile=F reads more of them from a file. Hyphens and underscores are the same.
// Errors are one line that names the flag, what is wrong with it and what would be right.
Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments,
                                     const EnvironmentLookup& environment);

// A line for each of these names of variables that looks like a flag's and is none: a slip there
// would otherwise leave the flag as it is, without a word. No error, for others use the prefix too
// (Kubernetes for a Service called podroute).
std::vector<std::string> ComplainOfVariables(const std::vector<std::string>& names);

// The flags as typed values. REQUIRES: ParseCommandLine succeeded.
Result<Options> ReadOptions(const EnvironmentLookup& environment);

// All flags of podroute (not glog's), by name.
std::vector<FlagInfo> ListFlags();

// The verbs in the order that help shows them, with a line about each.
struct VerbInfo {
  std::string_view name, summary;
};
const std::vector<VerbInfo>& ListVerbs();

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_OPTIONS_H_
