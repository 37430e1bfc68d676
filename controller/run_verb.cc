#include <glog/logging.h>

#include "controller/api_client.h"
#include "controller/host_agent.h"
#include "controller/local_agent.h"
#include "controller/verbs.h"
#include "controller/version.h"

namespace podroute {

Result<int> RunVerb(const Options& options) {
  if (options.mode == Mode::kRouter) {
    return Status(StatusCode::kInvalidArgument,
                  "run --mode=router is not in this version; --mode=host and --mode=local are");
  }
  if (options.node_name.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "this machine has no hostname: set --node_name to the name of its Node");
  }
  PODROUTE_ASSIGN_OR_RETURN(ApiClient client, ApiClient::Create(options));
  LOG(INFO) << "podroute starts version=" << kVersion
            << " mode=" << (options.mode == Mode::kHost ? "host" : "local")
            << " node=" << options.node_name << " api_server=" << client.host << " config=\""
            << client.source << "\"";
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
