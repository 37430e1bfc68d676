// Gives pods their place on the node's bridge: what the reference plugins `bridge` and `host-local`
// do together.
#ifndef PODROUTE_CNI_BRIDGE_PLUGIN_H_
#define PODROUTE_CNI_BRIDGE_PLUGIN_H_

#include "cni/cni_plugin.h"

namespace podroute {

// Works in the network namespace that it is called in, as the host's. Links are deleted before
// their addresses are given back, so nobody else gets one that still answers; no lock is held
// meanwhile.
class BridgePlugin : public CniPlugin {
 public:
  CniOr<CniResult> Add(const CniCall& call) override;
  CniProblem Del(const CniCall& call) override;
  CniProblem Check(const CniCall& call) override;
  CniProblem Status(const CniCall& call) override;
  CniProblem Gc(const CniCall& call) override;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_BRIDGE_PLUGIN_H_
