// kubeconfig files, read and merged as kubectl does.
#ifndef PODROUTE_K8SCLIENT_KUBECONFIG_H_
#define PODROUTE_K8SCLIENT_KUBECONFIG_H_

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "k8sclient/config_entry.h"

namespace podroute {

// Entries by name, not yet looked into: a fault in an entry that is not used harms nobody.
struct Kubeconfig {
  std::vector<std::string> files;  // What was read, for messages.
  std::string current_context;     // Empty: none.
  std::map<std::string, ConfigEntry> clusters, users, contexts;
};

// Parses YAML or JSON text; empty text is an empty configuration. Unknown fields are ignored.
// `file` is where it came from. Errors (kInvalidArgument) name file and line.
Result<Kubeconfig> ParseKubeconfig(const std::string& text, const std::string& file);

// Adds what `later` has and `into` has not: entries as a whole, never parts of them.
void MergeKubeconfig(Kubeconfig& into, Kubeconfig later);

// Reads one file, which must exist.
Result<Kubeconfig> ReadKubeconfig(const std::string& file);

// Reads and merges a colon-separated list as $KUBECONFIG holds it. Empty parts, repeated files and
// files that do not exist are skipped; that none exists is kNotFound.
Result<Kubeconfig> ReadKubeconfigList(const std::string& list);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_KUBECONFIG_H_
