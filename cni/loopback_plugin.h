// The reference plugin `loopback`: the pod's lo, which container runtimes want up before all else.
#ifndef PODROUTE_CNI_LOOPBACK_PLUGIN_H_
#define PODROUTE_CNI_LOOPBACK_PLUGIN_H_

#include "cni/cni_plugin.h"

namespace podroute {

// Whatever CNI_IFNAME says, it is about "lo".
class LoopbackPlugin : public CniPlugin {
 public:
  CniOr<CniResult> Add(const CniCall& call) override;
  CniProblem Del(const CniCall& call) override;
  CniProblem Check(const CniCall& call) override;
  CniProblem Status(const CniCall& call) override;
  CniProblem Gc(const CniCall& call) override;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_LOOPBACK_PLUGIN_H_
