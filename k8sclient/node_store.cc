#include "k8sclient/node_store.h"

#include <algorithm>
#include <utility>

namespace podroute {
namespace {

enum class Difference {
  kNone,    // But for the version. Heartbeats: nobody needs to wake up for them.
  kReport,  // What is said of the Node's network, by podroute mostly: no route depends on it.
  kNode,
};

Difference Compare(const Node& held, Node fresh) {
  fresh.resource_version = held.resource_version;
  if (held == fresh) return Difference::kNone;
  fresh.network_unavailable = held.network_unavailable;
  fresh.startup_taint = held.startup_taint;
  return held == fresh ? Difference::kReport : Difference::kNode;
}

}  // namespace

void NodeStore::SetOnChange(std::function<void()> on_change) {
  std::lock_guard lock(mutex_);
  on_change_ = std::move(on_change);
}

void NodeStore::MarkChanged(MonotonicTime arrived) {
  state_.changed_at = std::min(state_.changed_at.value_or(arrived), arrived);
}

void NodeStore::Replace(std::vector<Node> nodes, bool consistent, MonotonicTime arrived) {
  {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::shared_ptr<const Node>> fresh;
    for (Node& node : nodes) {
      std::string name = node.name;
      fresh.insert_or_assign(std::move(name), std::make_shared<const Node>(std::move(node)));
    }
    nodes_.swap(fresh);
    state_.synced = true;
    ++state_.lists;
    state_.listed = nodes_.size();
    if (consistent) ++state_.consistent_lists;
    MarkChanged(arrived);
  }
  if (on_change_) on_change_();
}

void NodeStore::Upsert(Node node, MonotonicTime arrived) {
  {
    std::lock_guard lock(mutex_);
    std::shared_ptr<const Node>& held = nodes_[node.name];
    Difference difference = held ? Compare(*held, node) : Difference::kNode;
    held = std::make_shared<const Node>(std::move(node));
    if (difference == Difference::kNone) return;
    if (difference == Difference::kNode) MarkChanged(arrived);
  }
  if (on_change_) on_change_();
}

void NodeStore::Erase(const std::string& name, MonotonicTime arrived) {
  {
    std::lock_guard lock(mutex_);
    if (nodes_.erase(name) == 0) return;
    MarkChanged(arrived);
  }
  if (on_change_) on_change_();
}

NodeSnapshot NodeStore::TakeSnapshot() {
  std::lock_guard lock(mutex_);
  NodeSnapshot snapshot = state_;
  state_.changed_at.reset();
  snapshot.nodes.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) snapshot.nodes.push_back(node);
  return snapshot;
}

}  // namespace podroute
