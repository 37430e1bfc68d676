#include <glog/logging.h>

#include "base/text.h"
#include "controller/agent_presence.h"
#include "controller/api_client.h"
#include "controller/host_agent.h"
#include "controller/local_agent.h"
#include "controller/router_agent.h"
#include "controller/verbs.h"
#include "controller/version.h"

namespace podroute {
namespace {

// For as long as the agent runs.
Result<AgentPresence> Announce(const Options& options) {
  Result<AgentPresence> presence = AgentPresence::Announce(options);
  LOG_IF(WARNING, !presence.ok()) << "podroute cleanup will not know of this agent error="
                                  << QuotedValue(presence.status().message());
  return presence;
}

Result<int> RunRouter(const Options& options) {
  PODROUTE_ASSIGN_OR_RETURN(ApiClient client, ApiClient::Create(options));
  // One of its own for the election: nothing else may keep a renewal waiting, and it is needed when
  // all else has been shut down.
  ApiClient election;
  if (options.router.leader_elect) {
    PODROUTE_ASSIGN_OR_RETURN(election, ApiClient::Create(options));
  }
  LOG(INFO) << "podroute starts version=" << kVersion << " mode=router"
            << (options.router.owner.empty() ? "" : " owner=" + options.router.owner)
            << " api_server=" << client.host << " config=" << QuotedValue(client.source);
  Result<AgentPresence> presence = Announce(options);
  PODROUTE_ASSIGN_OR_RETURN(auto agent,
                            RouterAgent::Create(options, client.pod_namespace, *client.transport,
                                                election.transport.get(), client.host));
  PODROUTE_RETURN_IF_ERROR(agent->Run());
  return 0;
}

}  // namespace

Result<int> RunVerb(const Options& options) {
  if (options.mode == Mode::kRouter) return RunRouter(options);
  if (options.node_name.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "this machine has no hostname: set --node_name to the name of its Node");
  }
  PODROUTE_ASSIGN_OR_RETURN(ApiClient client, ApiClient::Create(options));
  LOG(INFO) << "podroute starts version=" << kVersion
            << " mode=" << (options.mode == Mode::kHost ? "host" : "local")
            << " node=" << options.node_name << " api_server=" << client.host
            << " config=" << QuotedValue(client.source);
  Result<AgentPresence> presence = Announce(options);
  if (options.mode == Mode::kLocal) {
    PODROUTE_ASSIGN_OR_RETURN(auto agent, LocalAgent::Create(options, *client.transport));
    PODROUTE_RETURN_IF_ERROR(agent->Run());
    return 0;
  }
  PODROUTE_ASSIGN_OR_RETURN(auto agent, HostAgent::Create(options, *client.transport, client.host));
  PODROUTE_RETURN_IF_ERROR(agent->Run());
  return 0;
}

}  // namespace podroute
