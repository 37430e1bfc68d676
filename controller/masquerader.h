// What this node's pods send to outside of the cluster gets the node's address: the part of host
// and local mode that keeps the nftables table for it as it should be, whoever changes it.
#ifndef PODROUTE_CONTROLLER_MASQUERADER_H_
#define PODROUTE_CONTROLLER_MASQUERADER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "controller/hint_budget.h"
#include "controller/metrics.h"
#include "controller/node_reporter.h"
#include "controller/options.h"
#include "k8sclient/node.h"
#include "routing/desired_routes.h"
#include "routing/local_network.h"
#include "routing/masquerade_table.h"
#include "routing/netlink_socket.h"
#include "routing/nft_monitor.h"

namespace podroute {

// Why pods are not masqueraded, by the options alone; empty: they are. Local mode sees no Node but
// its own, so without --cluster_cidr it does not know which addresses are other pods'.
std::string WhyNotMasqueraded(const Options& options);

// On one loop, in its thread and network namespace. A kernel without nftables, or a missing
// permission, is said once and tried again, after a second at first and after a minute at last; all
// else goes on meanwhile.
//
// - The table is written in one transaction, and only when it is not as it should be. What others
//   change about it is seen at once (NftMonitor) and put right. Somebody who changes it as fast as
//   that is answered at once fifty times and then every second.
// - It stays when the agent stops, and when the Node has no podCIDR any more: pods that run here
//   still have their addresses.
class Masquerader {
 public:
  // Whom it tells.
  struct Listeners {
    Metrics* metrics;
    NodeReporter* reporter;
  };

  // The loop, the clock and the listeners must outlive this. Where pods are not to be masqueraded,
  // a table of ours that is there from before is removed.
  static Result<std::unique_ptr<Masquerader>> Create(EventLoop& loop, const Options& options,
                                                     const Clock& clock,
                                                     const Listeners& listeners);
  ~Masquerader();

  // What is known now. `self` null, or without a usable podCIDR: the pods are where they were last.
  // Pods in a podCIDR that the Node had before are masqueraded too. `cluster`: the pod networks of
  // all nodes, which pods reach with their own addresses.
  void Update(const std::shared_ptr<const Node>& self, const std::vector<Refusal>& refused,
              const LocalNetwork& local, std::vector<IpPrefix> cluster);

  // Looks, for what no notification told.
  void Resync();

  // Ends the work, and removes the table.
  Status Remove();

 private:
  Masquerader(EventLoop& loop, const Options& options, const Clock& clock,
              const Listeners& listeners);
  Status Open();
  void Close();
  void OnHint();
  void Look();
  Status Ensure();

  EventLoop& loop_;
  const std::vector<IpPrefix> unmasqueraded_;  // As the operator says.
  const std::string node_name_;
  const Listeners listeners_;
  bool on_ = true;

  std::unique_ptr<NetlinkSocket> socket_;  // Null: to be opened.
  std::unique_ptr<NftMonitor> monitor_;
  std::unique_ptr<Timer> timer_;
  std::vector<IpPrefix> pods_;  // As last known.
  std::optional<Masquerading> wanted_;
  bool settled_ = false;  // The table was as wanted_ says when last looked at.
  HintBudget hints_;
  bool hints_deferred_ = false;  // And said so since the last Resync.
  Backoff backoff_;
  std::string error_;  // As last said.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_MASQUERADER_H_
