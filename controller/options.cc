#include "controller/options.h"

#include <gflags/gflags.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "controller/status_address.h"
#include "routing/owner.h"

DEFINE_string(mode, "host",
              "host: direct routes on every node; router: one shared router; local: no routes");
DEFINE_string(kubeconfig, "", "kubeconfig file; empty: as $KUBECONFIG, in-cluster, ~/.kube/config");
DEFINE_string(context, "", "context of the kubeconfig; empty: its current-context");
DEFINE_string(node_name, "",
              "name of the Node that this machine is; empty: $NODE_NAME, else the hostname");
DEFINE_string(from_file, "",
              "Nodes from `kubectl get nodes -o json` or `-o yaml`; '-' is standard input");
DEFINE_string(cluster_cidr, "", "prefixes that podCIDRs must lie in, comma separated; empty: any");
DEFINE_string(
    output, "ip",
    "plan: ip (commands that a shell runs), table, json, bird or frr; check: table (also when it "
    "is not given) or json");
DEFINE_string(
    against, "",
    "what the plan is compared with: kernel or nothing; empty: kernel in host mode when this "
    "machine is the node, else nothing");
DEFINE_bool(detailed_exitcode, false, "exit with 2 when there is something to do");
DEFINE_string(route_table, "254", "routing table that our routes are in");
DEFINE_string(route_protocol, "110", "protocol that marks routes and nexthop objects as ours");
DEFINE_string(route_metric, "110", "metric that our routes have");
DEFINE_string(resync_period, "60s", "full scan of the kernel's state this often");
DEFINE_double(
    max_delete_fraction, 0.5,
    "deleting more than this part of our routes (and more than 10) at once is confirmed by a "
    "second, consistent list first");
DEFINE_bool(cleanup_on_exit, false,
            "remove the CNI configuration and our routes when told to stop");
DEFINE_bool(
    masquerade, true,
    "host and local mode: what pods send to outside of the cluster gets the node's address");
DEFINE_string(non_masquerade_cidrs, "",
              "prefixes that pods reach with their own addresses, beside --cluster_cidr; comma "
              "separated");
DEFINE_string(metrics_address, "127.0.0.1:9434",
              "where /metrics, /healthz and /readyz are served over HTTP: IP:PORT; empty: nowhere");
DEFINE_string(cni_bin_dir, "/opt/cni/bin", "where the CNI plugin is installed; empty: it is not");
DEFINE_string(cni_conf_dir, "/etc/cni/net.d",
              "where the CNI network configuration is installed; empty: it is not");
DEFINE_string(cni_network_name, podroute::kNetworkName,
              "name of the CNI network; reservations of addresses are kept under it");
DEFINE_string(cni_data_dir, podroute::kIpamDataDir,
              "where reservations of addresses are kept, by network");
DEFINE_string(cni_plugin, "",
              "the CNI plugin to install; empty: podroute-cni beside this executable");
DEFINE_string(sysctl_dir, "/proc/sys",
              "where kernel settings are read and written; a container's /proc/sys is read-only");
DEFINE_string(cni_mtu, "0", "MTU of pods' interfaces; 0: that of the link to the other nodes");

namespace podroute {
namespace {

const std::map<std::string, std::vector<std::string>>& FlagVerbs() {
  static const auto& verbs = *[] {
    auto* all = new std::map<std::string, std::vector<std::string>>{
        {"mode", {"run", "plan", "check", "cleanup"}},
        {"kubeconfig", {"run", "plan", "check"}},
        {"context", {"run", "plan", "check"}},
        {"node_name", {"run", "plan", "check"}},
        {"from_file", {"plan"}},
        {"cluster_cidr", {"run", "plan", "check"}},
        {"output", {"plan", "check"}},
        {"against", {"plan"}},
        {"detailed_exitcode", {"plan"}},
        {"route_table", {"run", "plan", "check", "cleanup"}},
        {"route_protocol", {"run", "plan", "check", "cleanup"}},
        {"route_metric", {"run", "plan", "check", "cleanup"}},
        {"resync_period", {"run"}},
        {"max_delete_fraction", {"run"}},
        {"cleanup_on_exit", {"run"}},
        {"masquerade", {"run", "check"}},
        {"non_masquerade_cidrs", {"run", "check"}},
        {"metrics_address", {"run"}},
        {"cni_bin_dir", {"run", "check", "cleanup"}},
        {"cni_conf_dir", {"run", "check", "cleanup"}},
        {"cni_network_name", {"run", "check", "cleanup"}},
        {"cni_data_dir", {"run", "check", "cleanup"}},
        {"cni_plugin", {"run"}},
        {"cni_mtu", {"run", "check"}},
        {"sysctl_dir", {"run"}},
    };
    for (auto& [flag, its_verbs] : ListRouterFlags()) all->emplace(flag, std::move(its_verbs));
    return all;
  }();
  return verbs;
}

constexpr int kMaxFlagfileDepth = 8;
constexpr char kVariablePrefix[] = "PODROUTE_";

Status Wrong(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

std::string Normalized(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t cost = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = cost;
    }
  }
  return row.back();
}

template <typename Names>
std::string Suggestion(std::string_view wrong, const Names& names, std::string_view prefix) {
  std::string best;
  size_t least = wrong.size() / 3 + 1;
  for (const auto& entry : names) {
    std::string_view name = entry;
    size_t distance = EditDistance(wrong, name);
    if (distance <= least) {
      least = distance - (distance > 0);
      best = name;
    }
  }
  return best.empty() ? "" : "; did you mean " + std::string(prefix) + best + "?";
}

// Ours and glog's; not gflags' own, which print and exit.
bool IsSettable(const gflags::CommandLineFlagInfo& info) {
  return FlagVerbs().contains(info.name) || info.filename.find("logging") != std::string::npos ||
         info.filename.find("vlog") != std::string::npos;
}

// The variables that flags are read from, and the names of these.
const std::map<std::string, std::string>& FlagVariables() {
  static const auto& variables = *[] {
    auto* all = new std::map<std::string, std::string>{{"PODROUTE_FLAGFILE", "flagfile"}};
    std::vector<gflags::CommandLineFlagInfo> flags;
    gflags::GetAllFlags(&flags);
    for (const gflags::CommandLineFlagInfo& info : flags) {
      if (!IsSettable(info)) continue;
      std::string variable = kVariablePrefix + info.name;
      std::transform(variable.begin(), variable.end(), variable.begin(),
                     [](unsigned char c) { return std::toupper(c); });
      all->emplace(std::move(variable), info.name);
    }
    return all;
  }();
  return variables;
}

// Applies one flag after another to gflags' registry.
class FlagSetter {
 public:
  Status Set(const std::string& name, const std::string& value, const std::string& where) {
    gflags::CommandLineFlagInfo info;
    if (!Find(name, &info)) return Unknown(name, where);
    // An empty result means that the value does not parse as the flag's type.
    if (gflags::SetCommandLineOption(info.name.c_str(), value.c_str()).empty()) {
      return Wrong(where + "--" + info.name + "=" + Printable(value) + ": not " +
                   TypeName(info.type));
    }
    if (FlagVerbs().contains(info.name)) set_.insert(info.name);
    return Status::Ok();
  }

  // arguments[*at] is a flag; takes its value from the next one where it needs to.
  Status Consume(const std::vector<std::string>& arguments, size_t* at, const std::string& where,
                 int depth) {
    std::string_view text = arguments[*at];
    text.remove_prefix(text.starts_with("--") ? 2 : 1);
    size_t equals = text.find('=');
    std::string name = Normalized(text.substr(0, equals));
    std::optional<std::string> value;
    if (equals != std::string_view::npos) value = std::string(text.substr(equals + 1));
    gflags::CommandLineFlagInfo info;
    if (name != "flagfile" && !Find(name, &info)) {
      if (!value && name.starts_with("no") && Find(name.substr(2), &info) && info.type == "bool") {
        return Set(info.name, "false", where);
      }
      return Unknown(name, where);
    }
    if (!value && name != "flagfile" && info.type == "bool") return Set(name, "true", where);
    if (!value) {
      if (*at + 1 == arguments.size()) return Wrong(where + "--" + name + " needs a value");
      value = arguments[++*at];
    }
    return name == "flagfile" ? ReadFlagfile(*value, depth + 1) : Set(name, *value, where);
  }

  Status ReadFlagfile(const std::string& path, int depth) {
    if (depth > kMaxFlagfileDepth)
      return Wrong("--flagfile=" + path + ": files name each other in a circle");
    PODROUTE_ASSIGN_OR_RETURN(std::string content, ReadFile(path, 1 << 20));
    size_t number = 0;
    for (size_t start = 0; start < content.size();) {
      size_t end = std::min(content.find('\n', start), content.size());
      std::string line = content.substr(start, end - start);
      start = end + 1;
      ++number;
      line.erase(line.find_last_not_of(" \t\r") + 1);
      line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
      if (line.empty() || line[0] == '#') continue;
      std::string where = path + ":" + std::to_string(number) + ": ";
      if (line[0] != '-')
        return Wrong(where + "\"" + Printable(line) + "\" is not a flag (--name=value)");
      size_t at = 0;
      PODROUTE_RETURN_IF_ERROR(Consume({line}, &at, where, depth));
    }
    return Status::Ok();
  }

  // Flags set for a verb that has no use for them are mistakes.
  Status CheckVerb(const std::string& verb) const {
    if (verb == "help" || verb == "version") return Status::Ok();
    auto wrong = std::find_if(set_.begin(), set_.end(), [&](const std::string& name) {
      const std::vector<std::string>& verbs = FlagVerbs().at(name);
      return std::find(verbs.begin(), verbs.end(), verb) == verbs.end();
    });
    if (wrong == set_.end()) return Status::Ok();
    std::string names;
    for (const std::string& v : FlagVerbs().at(*wrong)) {
      if (!names.empty()) names += ", ";
      names += v;
    }
    return Wrong("--" + *wrong + " is for " + names + ", not for " + verb);
  }

  void ForgetSet() { set_.clear(); }

 private:
  static std::string TypeName(const std::string& type) {
    return type == "bool" ? "true or false" : type == "double" ? "a number" : "a " + type;
  }

  static bool Find(const std::string& name, gflags::CommandLineFlagInfo* info) {
    return gflags::GetCommandLineFlagInfo(name.c_str(), info) && IsSettable(*info);
  }

  static Status Unknown(const std::string& name, const std::string& where) {
    std::vector<std::string> names;
    for (const auto& [known, verbs] : FlagVerbs()) names.push_back(known);
    return Wrong(where + "unknown flag --" + Printable(name) + Suggestion(name, names, "--") +
                 " ('podroute help' lists them)");
  }

  std::set<std::string> set_;
};

Status CheckVerbName(const std::string& verb) {
  std::vector<std::string_view> names;
  for (const VerbInfo& info : ListVerbs()) names.push_back(info.name);
  if (std::find(names.begin(), names.end(), verb) != names.end()) return Status::Ok();
  return Wrong("unknown verb \"" + Printable(verb) + "\"" + Suggestion(verb, names, "") +
               " ('podroute help' lists them)");
}

std::string GivenNodeName(const EnvironmentLookup& environment) {
  return FLAGS_node_name.empty() ? environment("NODE_NAME") : FLAGS_node_name;
}

std::string HostNodeName() {
  char host[HOST_NAME_MAX + 1] = {};
  if (gethostname(host, sizeof host - 1) != 0) return "";
  // As the kubelet makes the node's name from it.
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return name;
}

}  // namespace

const std::vector<VerbInfo>& ListVerbs() {
  static const auto& verbs = *new std::vector<VerbInfo>{
      {"run", "keep routes as they should be, until told to stop"},
      {"plan", "print what would be done, and exit; needs no privileges"},
      {"check", "examine this node or cluster, and say what is wrong and how to mend it"},
      {"cleanup", "remove everything that podroute owns on this machine"},
      {"version", "print the version"},
      {"help", "print this, or a verb's flags: podroute help [verb]"},
  };
  return verbs;
}

std::vector<FlagInfo> ListFlags() {
  std::vector<FlagInfo> flags;
  for (const auto& [name, verbs] : FlagVerbs()) {
    gflags::CommandLineFlagInfo info;
    if (!gflags::GetCommandLineFlagInfo(name.c_str(), &info)) std::abort();  // A misspelt table.
    std::string description = info.description;
    flags.push_back({name, info.default_value, std::move(description), verbs});
  }
  return flags;
}

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments,
                                     const EnvironmentLookup& environment) {
  CommandLine line;
  FlagSetter setter;
  if (std::string path = environment("PODROUTE_FLAGFILE"); !path.empty()) {
    PODROUTE_RETURN_IF_ERROR(setter.ReadFlagfile(path, 1));
  }
  for (const auto& [variable, name] : FlagVariables()) {
    if (name == "flagfile") continue;
    if (std::string value = environment(variable); !value.empty()) {
      PODROUTE_RETURN_IF_ERROR(setter.Set(name, value, "environment " + variable + ": "));
    }
  }
  setter.ForgetSet();  // The environment is for every verb: it need not fit this one.
  bool flags_end = false;
  for (size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (!flags_end && argument == "--") {
      flags_end = true;
    } else if (!flags_end && (argument == "-h" || argument == "--help" || argument == "-help")) {
      line.arguments.insert(line.arguments.begin(), std::exchange(line.verb, "help"));
    } else if (!flags_end && argument == "--version") {
      line.verb = "version";
    } else if (!flags_end && argument.size() > 1 && argument[0] == '-') {
      PODROUTE_RETURN_IF_ERROR(setter.Consume(arguments, &at, "", 0));
    } else if (line.verb.empty()) {
      PODROUTE_RETURN_IF_ERROR(CheckVerbName(argument));
      line.verb = argument;
    } else {
      line.arguments.push_back(argument);
    }
  }
  if (line.verb.empty()) line.verb = "help";
  std::erase(line.arguments, "");
  if (line.verb == "help") {
    if (!line.arguments.empty()) PODROUTE_RETURN_IF_ERROR(CheckVerbName(line.arguments[0]));
  } else if (!line.arguments.empty()) {
    return Wrong("unexpected \"" + Printable(line.arguments[0]) + "\" after " + line.verb +
                 ": flags are --name=value");
  }
  PODROUTE_RETURN_IF_ERROR(setter.CheckVerb(line.verb));
  return line;
}

std::vector<std::string> ComplainOfVariables(const std::vector<std::string>& names) {
  std::vector<std::string> known, lines;
  for (const auto& [variable, name] : FlagVariables()) known.push_back(variable);
  for (const std::string& name : names) {
    if (!name.starts_with(kVariablePrefix) || FlagVariables().contains(name)) continue;
    lines.push_back("environment " + Printable(name) + ": no flag has this name, it is ignored" +
                    Suggestion(name, known, ""));
  }
  return lines;
}

Result<Options> ReadOptions(const EnvironmentLookup& environment) {
  Options options;
  PODROUTE_ASSIGN_OR_RETURN(
      options.mode,
      ParseWord<Mode>("mode", FLAGS_mode,
                      {{"host", Mode::kHost}, {"local", Mode::kLocal}, {"router", Mode::kRouter}}));
  PODROUTE_ASSIGN_OR_RETURN(options.router, ReadRouterOptions());
  gflags::CommandLineFlagInfo output;
  if (!gflags::GetCommandLineFlagInfo("output", &output)) std::abort();
  options.output_given = !output.is_default;
  using F = PlanFormat;
  PODROUTE_ASSIGN_OR_RETURN(options.output, ParseWord<F>("output", FLAGS_output,
                                                         {{"ip", F::kIp},
                                                          {"table", F::kTable},
                                                          {"json", F::kJson},
                                                          {"bird", F::kBird},
                                                          {"frr", F::kFrr}}));
  PODROUTE_ASSIGN_OR_RETURN(options.against, ParseWord<Against>("against", FLAGS_against,
                                                                {{"", Against::kDefault},
                                                                 {"kernel", Against::kKernel},
                                                                 {"nothing", Against::kNothing}}));
  // 0 is "unspecified" and 255 "local": both would hit routes that are the kernel's.
  PODROUTE_ASSIGN_OR_RETURN(options.route_table,
                            ParseNumber<uint32_t>("route_table", FLAGS_route_table, 1, 0xffffffff));
  if (options.route_table == 255) {
    return Wrong("--route_table=255: that is the kernel's table of local addresses; 254 is main");
  }
  // 0 to 4 are the kernel's, redirects', boot's and the administrator's (rtnetlink(7)).
  PODROUTE_ASSIGN_OR_RETURN(options.route_protocol,
                            ParseNumber<uint8_t>("route_protocol", FLAGS_route_protocol, 5, 255));
  // 0 is a wildcard in deletes.
  PODROUTE_ASSIGN_OR_RETURN(
      options.route_metric,
      ParseNumber<uint32_t>("route_metric", FLAGS_route_metric, 1, 0xffffffff));
  gflags::CommandLineFlagInfo metric;
  if (!gflags::GetCommandLineFlagInfo("route_metric", &metric)) std::abort();
  if (metric.is_default) options.route_metric = OwnerMetric(options.router.owner);
  Result<std::vector<IpPrefix>> cidrs = ParsePrefixList(FLAGS_cluster_cidr);
  if (!cidrs.ok()) return cidrs.status().WithContext("--cluster_cidr");
  options.cluster_cidrs = *cidrs;
  options.masquerade = FLAGS_masquerade;
  cidrs = ParsePrefixList(FLAGS_non_masquerade_cidrs);
  if (!cidrs.ok()) return cidrs.status().WithContext("--non_masquerade_cidrs");
  options.non_masquerade_cidrs = *cidrs;
  if (options.mode == Mode::kRouter && !options.non_masquerade_cidrs.empty()) {
    return Wrong(
        "--non_masquerade_cidrs is for --mode=host and --mode=local; a router does not "
        "masquerade");
  }
  Result<Duration> resync = ParseDuration(FLAGS_resync_period);
  if (!resync.ok()) return resync.status().WithContext("--resync_period");
  if (*resync < std::chrono::seconds(1)) {
    return Wrong("--resync_period=" + FLAGS_resync_period + ": at least 1s");
  }
  options.resync_period = *resync;
  if (!(FLAGS_max_delete_fraction >= 0 && FLAGS_max_delete_fraction <= 1)) {
    return Wrong("--max_delete_fraction: not a number from 0 to 1");
  }
  options.max_delete_fraction = FLAGS_max_delete_fraction;
  if (options.mode != Mode::kRouter && options.router.backend != BackendKind::kKernel) {
    return Wrong("--backend is kernel with --mode=" + FLAGS_mode +
                 "; others are for --mode=router");
  }
  options.kubeconfig = FLAGS_kubeconfig;
  options.context = FLAGS_context;
  options.node_name = GivenNodeName(environment);
  options.node_name_given = !options.node_name.empty();
  if (options.node_name_given) {
    PODROUTE_RETURN_IF_ERROR(CheckObjectName("node_name", options.node_name));
  } else {
    options.node_name = HostNodeName();
  }
  options.from_file = FLAGS_from_file;
  options.detailed_exitcode = FLAGS_detailed_exitcode;
  options.cleanup_on_exit = FLAGS_cleanup_on_exit;
  options.metrics_address = FLAGS_metrics_address;
  if (!options.metrics_address.empty()) {
    Status form = CheckStatusAddress(options.metrics_address);
    if (!form.ok()) return form.WithContext("--metrics_address");
  }
  options.cni_bin_dir = FLAGS_cni_bin_dir;
  options.cni_conf_dir = FLAGS_cni_conf_dir;
  options.cni_plugin = FLAGS_cni_plugin;
  options.sysctl_dir = FLAGS_sysctl_dir;
  if (!options.sysctl_dir.starts_with('/')) {
    return Wrong("--sysctl_dir=" + Printable(options.sysctl_dir) + ": not an absolute path");
  }
  for (const std::string* path : {&options.cni_bin_dir, &options.cni_conf_dir}) {
    if (path->empty() || path->front() == '/') continue;
    return Wrong("--cni_" + std::string(path == &options.cni_bin_dir ? "bin" : "conf") +
                 "_dir=" + Printable(*path) + ": not an absolute path");
  }
  options.cni_network_name = FLAGS_cni_network_name;
  Status name = CheckNetworkName(options.cni_network_name);
  if (!name.ok()) return name.WithContext("--cni_network_name");
  options.cni_data_dir = FLAGS_cni_data_dir;
  Status data_dir = CheckIpamDataDir(options.cni_data_dir);
  if (!data_dir.ok()) return data_dir.WithContext("--cni_data_dir");
  // An IPv4 link carries at least 576 bytes' packets (RFC 791); a veth takes at most 65535.
  if (FLAGS_cni_mtu != "0") {
    PODROUTE_ASSIGN_OR_RETURN(options.cni_mtu,
                              ParseNumber<uint32_t>("cni_mtu", FLAGS_cni_mtu, 576, 65535));
  }
  return options;
}

}  // namespace podroute
