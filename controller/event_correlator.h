// Which Events are worth a request, as client-go's recorder decides it (tools/record,
// events_cache.go): what repeats is counted, what is much alike is summed up, and nobody floods the
// API server. Pure.
#ifndef PODROUTE_CONTROLLER_EVENT_CORRELATOR_H_
#define PODROUTE_CONTROLLER_EVENT_CORRELATOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/clock.h"
#include "k8sclient/node_writes.h"

namespace podroute {

class EventCorrelator {
 public:
  // More than kSimilar messages of one reason about one node within kWindow become one Event.
  static constexpr size_t kSimilar = 10;
  static constexpr Duration kWindow = std::chrono::minutes(10);
  // About one node: kBurst at once, and one more every kRefill.
  static constexpr int kBurst = 25;
  static constexpr Duration kRefill = std::chrono::minutes(5);
  // Kept at most; then all is forgotten, which makes Events of their own of what would repeat.
  static constexpr size_t kMost = 4096;

  struct Step {
    NodeEvent event;     // As it is to be written.
    uint64_t count = 1;  // How often it has happened by now.
    WallTime first;
    std::string name;  // Of the Event that is to say so; empty: a new one.
  };

  // It happened. nullopt: too much has been said about this node just now.
  std::optional<Step> Happened(const NodeEvent& event, MonotonicTime now, WallTime wall);
  // The server has it, under `name`; empty: it does not know it any longer.
  void Written(const Step& step, const std::string& name);

 private:
  struct Similar {
    MonotonicTime since;
    std::set<std::string> messages;
  };
  struct Seen {
    uint64_t count = 0;
    WallTime first;
    MonotonicTime last;
    std::string name;
  };
  struct Bucket {
    double tokens = kBurst;
    MonotonicTime filled;
  };
  bool TakeToken(const std::string& node, MonotonicTime now);

  using Key = std::tuple<std::string, std::string, std::string>;  // Node, reason, message.
  std::map<std::pair<std::string, std::string>, Similar> similar_;
  std::map<Key, Seen> seen_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_EVENT_CORRELATOR_H_
