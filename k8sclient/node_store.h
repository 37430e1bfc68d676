// The Nodes as last seen: written by the reflector's thread, read by the reconcile loop.
#ifndef PODROUTE_K8SCLIENT_NODE_STORE_H_
#define PODROUTE_K8SCLIENT_NODE_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "k8sclient/node.h"

namespace podroute {

// What the store held at one moment. Immutable; shared freely between threads.
struct NodeSnapshot {
  std::vector<std::shared_ptr<const Node>> nodes;  // By name.
  // A complete list has been seen. Until then nothing may be deleted anywhere on account of
  // `nodes`.
  bool synced = false;
  // Complete lists so far, and those of them that asked for the most recent data
  // (resourceVersion="").
  uint64_t lists = 0;
  uint64_t consistent_lists = 0;
  size_t listed = 0;  // Nodes in the last of them; events since then may have added some.
  // When the first byte of the oldest change that no earlier TakeSnapshot returned was read from
  // the network; nullopt when nothing has changed since. What is said of a Node's network (its
  // condition, the start-up taint) is no such change.
  std::optional<MonotonicTime> changed_at;
};

// Thread-safe.
class NodeStore {
 public:
  // `on_change` is called after every change that matters to anyone (not for a Node equal to what
  // is held in all but resource_version), outside the store's lock, on the writer's thread. Must
  // not block. Set once, before the first write.
  void SetOnChange(std::function<void()> on_change);

  // A complete list: what it lacks is deleted. `consistent`: asked with resourceVersion="".
  // Always calls on_change: a list that changes nothing may still confirm something.
  void Replace(std::vector<Node> nodes, bool consistent, MonotonicTime arrived);
  void Upsert(Node node, MonotonicTime arrived);
  void Erase(const std::string& name, MonotonicTime arrived);

  NodeSnapshot TakeSnapshot();

 private:
  void MarkChanged(MonotonicTime arrived);

  std::mutex mutex_;
  std::function<void()> on_change_;
  std::map<std::string, std::shared_ptr<const Node>> nodes_;
  NodeSnapshot state_;  // All but `nodes`.
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_NODE_STORE_H_
