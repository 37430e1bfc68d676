// Where addresses come from: in process for "host-local", else the plugin that ipam.type names,
// found in CNI_PATH and run as the specification's section 4 says.
#ifndef PODROUTE_CNI_IPAM_H_
#define PODROUTE_CNI_IPAM_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cni/cni_args.h"
#include "cni/cni_types.h"
#include "cni/host_view.h"
#include "cni/net_conf.h"

namespace podroute {

// One call's. `config_text` is the configuration as it came: a delegated plugin reads it itself.
// Everything must outlive this. REQUIRES: conf.ipam.type is not empty.
class Ipam {
 public:
  // `forget` removes what else than its link and addresses the host keeps for an attachment; called
  // before its addresses are taken back without a DEL (reclaim.h).
  Ipam(const CniArgs& args, const NetConf& conf, std::string_view config_text,
       LinuxHostView::ForgetFunction forget = nullptr)
      : args_(args), conf_(conf), config_text_(config_text), host_(std::move(forget)) {}

  // At least one address, or an error.
  CniOr<CniResult> Add();
  // Idempotent.
  CniProblem Del();
  CniProblem Check(const std::vector<IpAddress>& addresses);
  CniProblem Status();
  // A delegated plugin's own garbage collection; nothing for host-local, where StaleOwners and
  // Release do it in between of which the links go.
  CniProblem Gc();
  CniOr<std::vector<CniAttachment>> StaleOwners(const std::vector<CniAttachment>& valid);
  CniProblem Release(const CniAttachment& owner);

 private:
  // Runs the plugin; its standard output.
  CniOr<std::string> Delegate(const char* command);

  const CniArgs& args_;
  const NetConf& conf_;
  const std::string_view config_text_;
  LinuxHostView host_;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_IPAM_H_
