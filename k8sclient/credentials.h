// What a client proves itself with, and where it comes from.
#ifndef PODROUTE_K8SCLIENT_CREDENTIALS_H_
#define PODROUTE_K8SCLIENT_CREDENTIALS_H_

#include <string>

#include "base/status.h"

namespace podroute {

struct Credentials {
  std::string bearer_token;            // Empty: none.
  std::string username, password;      // Basic authentication; empty: none.
  std::string client_certificate_pem;  // Chain, leaf first; empty: none.
  std::string client_key_pem;
  bool operator==(const Credentials&) const = default;
};

// Thread-safe.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;

  // The credentials to use now, from the source or from what is cached of it. May block (a file, an
  // exec plugin). Errors: kUnauthenticated or kInvalidArgument, naming the file or command.
  virtual Result<Credentials> Get() = 0;

  // What Get would say without running a program for it: for a look ahead, where nothing could end
  // its wait.
  virtual Result<Credentials> Known() { return Get(); }

  // Drops what is cached: the server said 401, or the operator SIGHUP.
  virtual void Invalidate() = 0;

  // Ends a Get under way, and every later one that would have to run or wait for something, with
  // kCancelled. Any thread; for ever. For shutting down.
  virtual void Cancel() {}
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CREDENTIALS_H_
