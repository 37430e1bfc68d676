#include "k8sclient/initial_events.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "k8sclient/node.h"

namespace podroute {
namespace {

ApiError Error(StatusCode code, std::string message) {
  return {.status = Status(code, std::move(message))};
}

}  // namespace

ApiError ReadInitialEvents(WatchDecoder& decoder, Duration patience, NodeListPage* list) {
  // By name: from a server whose cache is behind, changes come between the Nodes and the bookmark.
  std::map<std::string, Node> nodes;
  std::optional<MonotonicTime> first, last_new;
  while (true) {
    Result<std::optional<WatchEvent>> next = decoder.Next();
    if (!next.ok()) return {.status = next.status()};
    if (!next->has_value()) {
      return Error(StatusCode::kUnavailable, "the watch-list ended within its initial events");
    }
    WatchEvent& event = **next;
    if (!first) first = last_new = event.arrived;
    switch (event.type) {
      case WatchEvent::Type::kError:
        return MakeApiError(event.error, 0);
      case WatchEvent::Type::kBookmark:
        if (!event.initial_events_end) {
          return Error(StatusCode::kUnsupported, "an ordinary bookmark within the initial events");
        }
        list->resource_version = std::move(event.node.resource_version);
        list->continue_token.clear();
        list->nodes.clear();
        list->nodes.reserve(nodes.size());
        for (auto& [name, node] : nodes) list->nodes.push_back(std::move(node));
        list->arrived = *first;
        return {};
      case WatchEvent::Type::kDeleted:
        nodes.erase(event.node.name);
        break;
      default: {
        std::string name = event.node.name;
        bool is_new = nodes.insert_or_assign(std::move(name), std::move(event.node)).second;
        if (is_new) last_new = event.arrived;
      }
    }
    if (nodes.size() > kMaxListNodes) {
      return Error(StatusCode::kInternal, "more than " + std::to_string(kMaxListNodes) +
                                              " Nodes among the initial events");
    }
    if (event.arrived - *last_new >= patience) {
      return Error(
          StatusCode::kDeadlineExceeded,
          "no end of the initial events, and none of a new node for " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(patience).count()) +
              " s");
    }
  }
}

}  // namespace podroute
