// The local side of host and local mode: kernel settings, bridge, plugin and conflist, from what is
// known of this node.
#ifndef PODROUTE_CONTROLLER_NODE_CNI_H_
#define PODROUTE_CONTROLLER_NODE_CNI_H_

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "controller/cni_installer.h"
#include "controller/metrics.h"
#include "controller/node_reporter.h"
#include "controller/options.h"
#include "k8sclient/node.h"
#include "routing/desired_routes.h"
#include "routing/local_network.h"

namespace podroute {

// On one loop, in its thread and network namespace.
//
// The conflist says what the Node last said: it changes with the Node's podCIDRs and with the MTU
// of the link that has its InternalIP (else the default route's, which is looked at with each
// Resync). When the Node goes or has no usable podCIDR any more, it stays as it is: pods that run
// here still have their addresses.
//
// Before the conflist, and only where there is one to be, the pods' bridge is made, and put right
// when Update's links show that it is not, or on Resync. Where that fails the conflist is written
// even so, for the plugin does the same with each pod; but not as long as the bridge's name is that
// of some other link, with which no pod could start: the node must not turn Ready for that.
class NodeCni {
 public:
  // The loop, the clock, the metrics and the reporter must outlive this. Sets IPv4 forwarding and
  // installs the plugin, as far as can be. An error only for a flag that is wrong.
  static Result<std::unique_ptr<NodeCni>> Create(EventLoop& loop, const Options& options,
                                                 const Clock& clock, Metrics& metrics,
                                                 NodeReporter& reporter);

  // What is known now. `self` null: there is no such Node. `ready`: the node's network works, pods
  // may start; once is enough.
  void Update(const std::shared_ptr<const Node>& self, const std::vector<Refusal>& refused,
              const LocalNetwork& local, bool ready);

  // For what no notification tells.
  void Resync();

  // The kubelet starts no more pods here. Ends the installer's work first.
  Status RemoveConflist();

 private:
  NodeCni(const Options& options, NodeReporter& reporter)
      : options_(options), reporter_(reporter) {}
  void SetConflist();
  void EnsureBridge();
  void EnableForwarding();
  void FindUplinks();
  bool SayOnce(const std::string& line);  // Whether it was said now.
  void TellOfProblem(const std::string& problem);

  const Options options_;
  NodeReporter& reporter_;
  std::unique_ptr<CniInstaller> installer_;  // Null: nothing is installed.

  bool ready_ = false;
  std::shared_ptr<const Node> self_;
  LocalNetwork local_;
  std::vector<IpPrefix> pod_cidrs_;  // Usable ones, as last known.
  std::vector<LocalLink> uplinks_;
  uint32_t mtu_ = 0;           // Of uplinks_, or as told.
  bool foreign_link_ = false;  // In the bridge's place.
  // Put right since local_ last had it: if it goes before, local_ is as it was.
  bool bridge_unseen_ = false;
  std::string bridge_problem_;  // As last said.
  std::set<std::string> said_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_CNI_H_
