#include "cni/cni_plugin.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cni/cni_result.h"

namespace podroute {
namespace {

CniAnswer Fail(const CniError& error, CniVersion version) {
  return {1, RenderError(error, version) + "\n"};
}

// What the version or the command itself forbids, before the plugin is asked.
CniProblem ProblemBeforeCall(const CniArgs& args, const NetConf& conf) {
  auto too_old = [&](const char* command, CniVersion needed) {
    return CniError{
        CniErrorCode::kIncompatibleVersion, std::nullopt,
        std::string(command) + " is not in CNI " + std::string(CniVersionText(conf.version)),
        "cniVersion " + std::string(CniVersionText(needed)) + " or later has it"};
  };
  auto missing = [](const char* key) {
    return CniError{CniErrorCode::kInvalidConfig, std::nullopt,
                    std::string("network configuration: ") + key + " is missing", ""};
  };
  bool attaches = args.command == CniCommand::kAdd || args.command == CniCommand::kCheck;
  bool asks_for_features = attaches || args.command == CniCommand::kStatus;
  if (args.command == CniCommand::kCheck && conf.version < CniVersion::k040) {
    return too_old("CHECK", CniVersion::k040);
  }
  if (args.command == CniCommand::kGc && conf.version < CniVersion::k110) {
    return too_old("GC", CniVersion::k110);
  }
  if (args.command == CniCommand::kStatus && conf.version < CniVersion::k110) {
    return too_old("STATUS", CniVersion::k110);
  }
  if (asks_for_features && conf.unsupported) return conf.unsupported;
  if (attaches && conf.unattachable) return conf.unattachable;
  if (args.command == CniCommand::kCheck && !conf.prev_result) return missing("prevResult");
  if (args.command == CniCommand::kGc) {
    if (conf.unlisted) return conf.unlisted;
    if (!conf.valid_attachments) return missing("cni.dev/valid-attachments");
  }
  return std::nullopt;
}

CniProblem RunSilent(CniPlugin& plugin, const CniCall& call) {
  switch (call.args.command) {
    case CniCommand::kDel:
      return plugin.Del(call);
    case CniCommand::kCheck:
      return plugin.Check(call);
    case CniCommand::kStatus:
      return plugin.Status(call);
    case CniCommand::kGc:
      return plugin.Gc(call);
    case CniCommand::kAdd:
    case CniCommand::kVersion:
      break;
  }
  std::abort();  // The caller answers these two itself.
}

}  // namespace

CniAnswer RunCniPlugin(CniPlugin& plugin, const Environment& environment,
                       std::string_view config_text) {
  CniOr<NetConf> conf = ParseNetConf(config_text);
  CniVersion version = conf.ok()
                           ? conf->version
                           : ReadNetConfVersion(config_text).version.value_or(kNewestCniVersion);
  CniOr<CniArgs> args = ParseCniArgs(environment);
  if (!args.ok()) return Fail(args.error(), version);
  if (args->command == CniCommand::kVersion) {
    return {0, RenderVersion(ReadNetConfVersion(config_text).text) + "\n"};
  }
  if (!conf.ok()) return Fail(conf.error(), version);
  if (CniProblem problem = ProblemBeforeCall(*args, *conf)) return Fail(*problem, version);

  CniCall call{std::move(*args), std::move(*conf), std::string(config_text)};
  std::vector<IpAddress>& requested = call.conf.ipam.requested;
  for (const IpAddress& ip : call.args.ips) {  // Asked for in two places, it is one address.
    if (std::find(requested.begin(), requested.end(), ip) == requested.end()) {
      requested.push_back(ip);
    }
  }
  if (call.args.command == CniCommand::kAdd) {
    CniOr<CniResult> result = plugin.Add(call);
    if (!result.ok()) return Fail(result.error(), version);
    return {0, RenderResult(*result, version) + "\n"};
  }
  if (CniProblem problem = RunSilent(plugin, call)) return Fail(*problem, version);
  return {};
}

}  // namespace podroute
