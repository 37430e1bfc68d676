#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/text.h"
#include "controller/api_client.h"
#include "controller/kernel_options.h"
#include "controller/node_infos.h"
#include "controller/node_source.h"
#include "controller/verbs.h"
#include "routing/desired_routes.h"
#include "routing/kernel_backend.h"
#include "routing/local_network_reader.h"
#include "routing/plan_printer.h"
#include "routing/route_plan.h"

namespace podroute {
namespace {

struct Input {
  NodeList nodes;
  std::vector<IpAddress> api_server;
};

Result<Input> ReadInput(const Options& options) {
  Input input;
  if (!options.from_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(input.nodes, NodesFromFile(options.from_file));
    return input;
  }
  PODROUTE_ASSIGN_OR_RETURN(ApiClient client, ApiClient::Create(options));
  PODROUTE_ASSIGN_OR_RETURN(input.nodes, NodesFromCluster(*client.transport, SystemClock()));
  input.api_server = client.Addresses();
  return input;
}

Result<const Node*> FindSelf(const Options& options, const NodeList& nodes) {
  auto it = std::find_if(nodes.begin(), nodes.end(),
                         [&](const auto& node) { return node->name == options.node_name; });
  if (it != nodes.end()) return it->get();
  std::string names;
  for (size_t i = 0; i < nodes.size() && i < 5; ++i) {
    names += (i == 0 ? "" : ", ") + Printable(nodes[i]->name);
  }
  if (nodes.size() > 5) names += ", ...";
  std::string hint = nodes.empty() ? "there is none" : "set --node_name to one of " + names;
  return Status(StatusCode::kNotFound,
                "no Node is named \"" + Printable(options.node_name) + "\"; " + hint);
}

// Is this machine the node? Its own addresses tell.
bool IsThisMachine(const Node& self, const LocalNetwork& local) {
  return std::any_of(
      self.internal_ips.begin(), self.internal_ips.end(), [&](const std::string& text) {
        Result<IpAddress> address = IpAddress::Parse(text);
        return address.ok() && !address->IsLoopback() &&
               std::any_of(local.addresses.begin(), local.addresses.end(),
                           [&](const LocalAddress& own) { return own.address == *address; });
      });
}

// The links to plan with; nullopt: against nothing.
Result<std::optional<LocalNetwork>> ChooseLocal(const Options& options, const Node* self) {
  if (options.against == Against::kNothing) return std::optional<LocalNetwork>();
  if (options.against == Against::kDefault && self == nullptr) return std::optional<LocalNetwork>();
  Result<LocalNetwork> local = ReadLocalNetwork();
  if (options.against == Against::kDefault && (!local.ok() || !IsThisMachine(*self, *local))) {
    return std::optional<LocalNetwork>();
  }
  if (!local.ok()) return local.status().WithContext("--against=kernel");
  return std::optional<LocalNetwork>(std::move(*local));
}

}  // namespace

Result<int> PlanVerb(const Options& options) {
  if (options.mode == Mode::kLocal) {
    return Status(StatusCode::kInvalidArgument,
                  "--mode=local has no routes to plan; host and router have");
  }
  PODROUTE_ASSIGN_OR_RETURN(Input input, ReadInput(options));
  const Node* self = nullptr;
  if (options.mode == Mode::kHost) {
    PODROUTE_ASSIGN_OR_RETURN(self, FindSelf(options, input.nodes));
  }
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LocalNetwork> local, ChooseLocal(options, self));
  RouteSet actual;
  if (local) {
    PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(ToKernelOptions(options)));
    PODROUTE_ASSIGN_OR_RETURN(actual, backend->ReadOwned());
  }
  DesiredOptions desired_options;
  if (self != nullptr) desired_options.self = self->name;
  desired_options.cluster_cidrs = options.cluster_cidrs;
  desired_options.api_server = input.api_server;
  DesiredResult desired = DesiredRoutes(ToNodeInfos(input.nodes), local, desired_options);
  RoutePlan plan = Plan(actual, desired.routes);
  PlanContext context{.mode = options.mode == Mode::kHost ? "host" : "router",
                      .node = desired_options.self,
                      .table = options.route_table,
                      .metric = options.route_metric,
                      .protocol = options.route_protocol,
                      .owner = options.router.owner};
  if (options.output == PlanFormat::kBird || options.output == PlanFormat::kFrr) {
    // Their output has to be just what is sent.
    for (const Refusal& refusal : desired.refused) {
      std::fprintf(stderr, "refused: %s\n", refusal.message.c_str());
    }
  }
  std::fputs(PrintPlan(plan, desired.refused, context, options.output).c_str(), stdout);
  return options.detailed_exitcode && !plan.empty() ? 2 : 0;
}

}  // namespace podroute
