// Role based access control, as kube-apiserver's authorizer of that name does it: roles, cluster
// roles and their bindings say what service accounts may do. It also keeps account, so that a test
// can ask what was refused and what was granted in vain.
#ifndef PODROUTE_TESTS_APISERVER_RBAC_H_
#define PODROUTE_TESTS_APISERVER_RBAC_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tests/apiserver/access.h"
#include "tests/apiserver/json.h"

namespace podroute {

// Not thread-safe.
class Rbac {
 public:
  // From a List or a single object, JSON; kinds that are no rules are passed over. kInvalidArgument
  // names what is wrong: a wildcard (nobody here needs one), a binding to a role that is not there,
  // a subject that is no ServiceAccount, rules that are none about resources.
  static Result<Rbac> Parse(std::string_view json);

  // Users that are no service accounts are nobody's business here.
  static bool Rules(std::string_view user) { return user.starts_with("system:serviceaccount:"); }

  // Whether some rule allows it. Keeps account.
  bool Allowed(const Access& access);

  // {"denied":["..."],"used":["..."],"unused":["..."]}, each in order of text.
  std::string Json() const;

 private:
  struct Grant {
    Access access;  // `ns` "": in all of them; `name` "": whatever it is.
    bool used = false;
  };
  Status Bind(const JsonValue& binding, const JsonDocument& document);
  Status Expand(const JsonValue& rule, const Access& whom);

  std::vector<Grant> grants_;
  std::set<std::string> denied_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_RBAC_H_
