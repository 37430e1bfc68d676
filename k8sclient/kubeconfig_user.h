// From a kubeconfig's user to credentials.
#ifndef PODROUTE_K8SCLIENT_KUBECONFIG_USER_H_
#define PODROUTE_K8SCLIENT_KUBECONFIG_USER_H_

#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/config_entry.h"
#include "k8sclient/credentials.h"

namespace podroute {

// `cluster`, and what `config` already has of it, are for exec programs that want to know. A token
// or a user name in the entry goes before exec, as in client-go; tokenFile goes before token.
Result<std::shared_ptr<CredentialSource>> CredentialsOfUser(const ConfigEntry& user,
                                                            const ConfigEntry& cluster,
                                                            const ClientConfig& config,
                                                            Clock& clock);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_KUBECONFIG_USER_H_
