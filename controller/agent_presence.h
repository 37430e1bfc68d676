// How `podroute cleanup` knows of an agent that would put back what it removes.
#ifndef PODROUTE_CONTROLLER_AGENT_PRESENCE_H_
#define PODROUTE_CONTROLLER_AGENT_PRESENCE_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "controller/options.h"

namespace podroute {

// What an agent with these options keeps: a node's network, whose agent there is one of, or in
// router mode its owner's routes in one backend.
std::string KeptBy(const Options& options);
// The same with the mark of its routes.
std::string KeptWithMarkBy(const Options& options);

// Names of abstract unix sockets. They belong to the network namespace, as do the things that an
// agent keeps, so containers with the host's network see each other; and they are gone when the
// process is, however it ends. Nothing is ever sent to them.
class AgentPresence {
 public:
  // From now on, and as long as this lives, AgentKeeps says so. Several agents may keep the same.
  static Result<AgentPresence> Announce(const Options& options);

 private:
  std::vector<UniqueFd> sockets_;
};

// Whether an agent in this network namespace keeps `what`.
bool AgentKeeps(const std::string& what);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_AGENT_PRESENCE_H_
