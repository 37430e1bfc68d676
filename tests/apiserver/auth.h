// Who asks, and what they may do.
#ifndef PODROUTE_TESTS_APISERVER_AUTH_H_
#define PODROUTE_TESTS_APISERVER_AUTH_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tests/apiserver/access.h"
#include "tests/apiserver/rbac.h"

namespace podroute {

inline constexpr std::string_view kAnonymousUser = "system:anonymous";

// Immutable once the server runs.
class Authenticator {
 public:
  void AddToken(std::string token, std::string user);
  // Lines of token,user as kube-apiserver's --token-auth-file has them; further columns, empty
  // lines and lines that begin with # are ignored. `name` is for the message.
  Status AddTokenFile(std::string_view text, std::string_view name);
  // Whoever is known but may do nothing.
  void Deny(std::string user) { denied_.insert(std::move(user)); }
  // What holds for service accounts; without it they may do what others may. It keeps account, and
  // must outlive this.
  void SetRules(Rbac* rules) { rules_ = rules; }
  const Rbac* rules() const { return rules_; }
  // Requests without credentials may do everything.
  void AllowAnonymous() { anonymous_allowed_ = true; }

  bool has_tokens() const { return !users_.empty(); }

  // `authorization` is the header's value, `certificate_user` the CN of a verified client
  // certificate; either may be empty. nullopt: 401.
  std::optional<std::string> User(std::string_view authorization,
                                  std::string_view certificate_user) const;

  // Of resources.
  bool Allowed(const Access& access) const;
  // Of anything: all or nothing.
  bool Allowed(std::string_view user) const;

 private:
  std::map<std::string, std::string, std::less<>> users_;  // By token.
  std::set<std::string, std::less<>> denied_;
  bool anonymous_allowed_ = false;
  Rbac* rules_ = nullptr;  // Null: there are none.
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_AUTH_H_
