#include "controller/check/finding.h"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>

namespace podroute {
namespace {

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

}  // namespace

const std::vector<std::string_view>& AllFindingIds() {
  static const auto& ids = *new std::vector<std::string_view>{
      "BridgeAddressWrong",
      "BridgeDown",
      "BridgeMissing",
      "BridgeMtu",
      "BridgeNetfilterOff",
      "BridgeRouteMissing",
      "BridgeSilent",
      "ClusterUnreachable",
      "ConflistEdited",
      "ConflistMissing",
      "ConflistOrder",
      "DuplicateNodeAddress",
      "ForeignRoute",
      "ForwardPolicyDrop",
      "ForwardRuleDrops",
      "ForwardingOff",
      "HairpinOff",
      "KubeProxyCidr",
      "KubeadmCidr",
      "LinkForwardingOff",
      "ManageForeignRoutes",
      "MasqueradeMissing",
      "MasqueradeTooWide",
      "MasqueradedByOthers",
      "NeighbourTableSmall",
      "NetworkTaint",
      "NetworkUnavailable",
      "NoNexthopObjects",
      "NodeAddressMissing",
      "NodeAddressNotHere",
      "NodeAddressOtherLink",
      "NodeMissing",
      "NodeUnreachable",
      "PathMtu",
      "PluginBroken",
      "PluginMissing",
      "PodAddressWrong",
      "PodCidrMissing",
      "PodCidrOutsideCluster",
      "PodCidrOverlaps",
      "PodCutOff",
      "PodIsolated",
      "PodMtu",
      "PodMtuTooLarge",
      "PodRouteMissing",
      "PodSilent",
      "ReversePathStrict",
      "RouteBypassed",
      "RouteMissing",
      "RouteRefused",
      "RouteShadowed",
      "RouteStale",
      "RouteWrong",
      "RouterAdvertisementsIgnored",
  };
  return ids;
}

int CheckExitCode(const CheckReport& report) {
  int code = 0;
  for (const Finding& finding : report.findings) {
    code = std::max(code, static_cast<int>(finding.severity));
  }
  return code;
}

std::string CheckReportTable(const CheckReport& report) {
  std::string out;
  for (const Finding& finding : report.findings) {
    std::string severity(SeverityName(finding.severity));
    severity.resize(8, ' ');
    out += severity + finding.id + "\n  what  " + finding.what + "\n  why   " + finding.why +
           "\n  mend  " + finding.mend + "\n\n";
  }
  if (!report.skipped.empty()) out += "not looked at:\n";
  for (const Skipped& skipped : report.skipped) {
    out += "  " + skipped.what + ": " + skipped.why + "\n";
  }
  if (report.findings.empty()) out += "nothing found\n";
  return out;
}

std::string CheckReportJson(const CheckReport& report) {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
  writer.SetIndent(' ', 1);
  auto field = [&](const char* key, std::string_view text) {
    writer.Key(key);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  };
  writer.StartObject();
  writer.Key("findings");
  writer.StartArray();
  for (const Finding& finding : report.findings) {
    writer.StartObject();
    field("id", finding.id);
    field("severity", SeverityName(finding.severity));
    field("what", finding.what);
    field("why", finding.why);
    field("mend", finding.mend);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("skipped");
  writer.StartArray();
  for (const Skipped& skipped : report.skipped) {
    writer.StartObject();
    field("what", skipped.what);
    field("why", skipped.why);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

}  // namespace podroute
