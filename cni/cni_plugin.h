// From environment and standard input to an answer on standard output: what every CNI plugin has in
// common.
#ifndef PODROUTE_CNI_CNI_PLUGIN_H_
#define PODROUTE_CNI_CNI_PLUGIN_H_

#include <string>
#include <string_view>

#include "cni/cni_args.h"
#include "cni/cni_types.h"
#include "cni/net_conf.h"

namespace podroute {

// One call of the plugin. Thread-compatible; calls for different attachments may run at the same
// time in different processes.
struct CniCall {
  CniArgs args;
  NetConf conf;
  std::string config_text;  // As it came.
};

class CniPlugin {
 public:
  virtual ~CniPlugin() = default;
  // All or nothing.
  virtual CniOr<CniResult> Add(const CniCall& call) = 0;
  // Idempotent; works with no namespace and with no state.
  virtual CniProblem Del(const CniCall& call) = 0;
  // REQUIRES: conf.prev_result is set.
  virtual CniProblem Check(const CniCall& call) = 0;
  virtual CniProblem Status(const CniCall& call) = 0;
  // REQUIRES: conf.valid_attachments is set.
  virtual CniProblem Gc(const CniCall& call) = 0;
};

struct CniAnswer {
  int exit_code = 0;
  std::string output;  // For standard output; may be empty.
};

// Checks what the specification asks of every plugin and lets `plugin` do the rest.
CniAnswer RunCniPlugin(CniPlugin& plugin, const Environment& environment,
                       std::string_view config_text);

}  // namespace podroute

#endif  // PODROUTE_CNI_CNI_PLUGIN_H_
