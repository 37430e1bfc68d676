// The first part of a watch-list (KEP-3157): the Nodes there are, one event each.
#ifndef PODROUTE_K8SCLIENT_INITIAL_EVENTS_H_
#define PODROUTE_K8SCLIENT_INITIAL_EVENTS_H_

#include "base/clock.h"
#include "k8sclient/api_error.h"
#include "k8sclient/node_decoder.h"
#include "k8sclient/watch_decoder.h"

namespace podroute {

// Reads the events up to the bookmark that says that these were all, and not beyond. They amount to
// a list of that bookmark's version: changes that come before it are part of it. Blocks as the
// decoder does, and holds what a list of the Nodes holds.
//
// *list is untouched unless OK is returned. Errors:
//   kUnsupported       an ordinary bookmark came first: the server did not understand what was
//                      asked, this is a plain watch. (One that did keeps bookmarks back until then:
//                      kube-apiserver 1.27.)
//   kDeadlineExceeded  silence, or `patience` without a Node that is new: a server that has all it
//                      was asked for says so at once.
//   kUnavailable       the stream ended before that.
//   kInternal          more than kMaxListNodes Nodes; what came is no event.
// and what an ERROR event says.
ApiError ReadInitialEvents(WatchDecoder& decoder, Duration patience, NodeListPage* list);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_INITIAL_EVENTS_H_
