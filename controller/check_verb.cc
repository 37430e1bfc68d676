#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "controller/api_client.h"
#include "controller/check/gather.h"
#include "controller/check/rules.h"
#include "controller/cni_files.h"
#include "controller/node_infos.h"
#include "controller/node_source.h"
#include "controller/verbs.h"

namespace podroute {
namespace {

Result<ApiClient> ReadCluster(const Options& options, CheckFacts* facts) {
  PODROUTE_ASSIGN_OR_RETURN(ApiClient client, ApiClient::Create(options));
  ClusterFacts cluster;
  PODROUTE_ASSIGN_OR_RETURN(cluster.nodes, NodesFromCluster(*client.transport, SystemClock()));
  cluster.api_server = client.Addresses();
  DesiredOptions wanted;
  wanted.cluster_cidrs = options.cluster_cidrs;
  wanted.api_server = cluster.api_server;
  cluster.refused = DesiredRoutes(ToNodeInfos(cluster.nodes), std::nullopt, wanted).refused;
  facts->cluster = std::move(cluster);
  return client;
}

}  // namespace

Result<int> CheckVerb(const Options& options) {
  if (options.mode == Mode::kRouter) {
    return Status(StatusCode::kInvalidArgument,
                  "--mode=router: check is for nodes (host, local); podroute plan --mode=router "
                  "compares a router");
  }
  if (options.output_given && options.output != PlanFormat::kTable &&
      options.output != PlanFormat::kJson) {
    return Status(StatusCode::kInvalidArgument, "--output: check has table and json");
  }
  CheckFacts facts;
  facts.cluster_cidrs = options.cluster_cidrs;
  facts.node_name = options.node_name;
  facts.node_name_given = options.node_name_given;
  CheckReport report;
  const Node* self = nullptr;
  Result<ApiClient> client = ReadCluster(options, &facts);
  if (client.ok()) {
    for (const auto& node : facts.cluster->nodes) {
      if (node->name == options.node_name) self = node.get();
    }
    GatherConfigMaps(*client->transport, &*facts.cluster, &report.skipped);
  } else {
    facts.cluster_error = client.status().message();
  }
  if (self == nullptr && client.ok()) {
    const CniDirectories directories{options.cni_bin_dir, options.cni_conf_dir};
    facts.installed_here =
        !options.cni_conf_dir.empty() && access(directories.Conflist().c_str(), F_OK) == 0;
    report.skipped.push_back({"this machine", "no Node is named \"" + Printable(options.node_name) +
                                                  "\"; on a node --node_name says which it is"});
  } else {
    GatherHost(options, self, &facts, &report.skipped);
  }
  report.findings = CheckRules(facts);
  std::fputs(
      (options.output == PlanFormat::kJson ? CheckReportJson : CheckReportTable)(report).c_str(),
      stdout);
  return CheckExitCode(report);
}

}  // namespace podroute
