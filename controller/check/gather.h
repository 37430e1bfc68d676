// Reads what the rules decide on. Nothing is changed.
#ifndef PODROUTE_CONTROLLER_CHECK_GATHER_H_
#define PODROUTE_CONTROLLER_CHECK_GATHER_H_

#include <vector>

#include "controller/check/facts.h"
#include "controller/check/finding.h"
#include "controller/options.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// `facts`: what is known of the cluster is there already. What cannot be read goes to `skipped`.
void GatherHost(const Options& options, const Node* self, CheckFacts* facts,
                std::vector<Skipped>* skipped);

// ConfigMaps of kubeadm's.
void GatherConfigMaps(HttpTransport& transport, ClusterFacts* cluster,
                      std::vector<Skipped>* skipped);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_GATHER_H_
