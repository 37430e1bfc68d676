// Credentials from a program: kubeconfig's users[].user.exec, as client.authentication.k8s.io/v1
// and v1beta1 define it.
#ifndef PODROUTE_K8SCLIENT_EXEC_CREDENTIAL_H_
#define PODROUTE_K8SCLIENT_EXEC_CREDENTIAL_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/credentials.h"

namespace podroute {

struct ExecCredentialOptions {
  std::string origin;             // For messages: "/root/.kube/config:12: user \"lab\": exec".
  std::string api_version;        // "client.authentication.k8s.io/v1" or ".../v1beta1"
  std::vector<std::string> argv;  // A name without a slash is looked up in $PATH.
  std::vector<std::pair<std::string, std::string>> environment;  // Added to our own.
  std::string install_hint;
  std::string cluster_json;  // spec.cluster of KUBERNETES_EXEC_INFO; empty: not provided.
  Credentials fixed;         // A client certificate given beside the program; its own comes first.
  Duration timeout = std::chrono::seconds(60);
};

// Thread-safe. Runs the program when Get is called and no credentials are held, or those held have
// expired (status.expirationTimestamp) or were invalidated; callers meanwhile wait for that one
// run. The program is never interactive: its standard input is empty, and KUBERNETES_EXEC_INFO says
// so. Errors are kUnauthenticated, on one line: what went wrong, the end of what the program said,
// and the installHint where it could not be found; kCancelled after Cancel.
class ExecCredentialSource final : public CredentialSource {
 public:
  // The clock tells what has expired, and must outlive the source.
  ExecCredentialSource(ExecCredentialOptions options, Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  Result<Credentials> Get() override;
  Result<Credentials> Known() override { return options_.fixed; }
  void Invalidate() override { invalidated_.store(true); }
  void Cancel() override { stop_.Stop(); }

 private:
  Result<Credentials> RunLocked();
  Result<Credentials> ParseLocked(const std::string& output);

  const ExecCredentialOptions options_;
  Clock& clock_;
  StopToken stop_;
  std::atomic<bool> invalidated_{
      false};         // Not under mutex_: Invalidate must not wait for a program.
  std::mutex mutex_;  // Held while the program runs.
  std::optional<Credentials> cached_;
  std::optional<WallTime> expires_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_EXEC_CREDENTIAL_H_
