// The Kubernetes API as a function from request to response. Pure but for the store that it
// changes.
#ifndef PODROUTE_TESTS_APISERVER_API_H_
#define PODROUTE_TESTS_APISERVER_API_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/apiserver/api_error.h"
#include "tests/apiserver/auth.h"
#include "tests/apiserver/objects.h"
#include "tests/apiserver/store.h"
#include "tests/apiserver/watcher.h"

namespace podroute {

struct ApiRequest {
  std::string method;  // "GET", "POST", ...
  std::string path;    // Percent-decoded, without the query.
  std::map<std::string, std::string> query;
  std::string accept, content_type, authorization, user_agent;
  std::string certificate_user;  // CN of a verified client certificate.
  std::string host;
  std::string body;

  // The value, or "" when it is not there.
  const std::string& Query(const std::string& key) const;
};

// Splits and percent-decodes a request target into path and query.
void ParseTarget(std::string_view target, ApiRequest* request);

struct ApiResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // Beside the ones that all have.
  std::string body;                                          // Of everything but lists.
  std::vector<ObjectPtr> items;  // Of a list, between `body` and `tail`.
  std::string tail;
  bool is_list = false;
  bool pretty = false;             // How items are to be printed; body and tail are already.
  std::optional<WatchSpec> watch;  // The body is a stream.
};

// What a request was, for statistics and orders to misbehave.
struct RequestKind {
  std::string verb = "other";  // get, list, watch, create, update, patch, delete; else "other".
  std::string resource;        // "nodes"; "" for everything that is no resource.
};

struct ApiOptions {
  ObjectOptions objects;
  bool watch_list = false;  // sendInitialEvents=true is known, as in v1.32; else 422, as in v1.20.
};

// Not thread-safe.
class Api {
 public:
  // Both must outlive it.
  Api(Store* store, const Authenticator* authenticator, ApiOptions options);

  ApiResponse Handle(const ApiRequest& request);
  static RequestKind Classify(const ApiRequest& request);

  // The response of an error, printed as `request` asks.
  static ApiResponse ErrorResponse(const ApiRequest& request, const ApiError& error);

  // Creates or replaces objects as they are: a single object or a List of any kinds, with their
  // uids, timestamps and whatever else they hold, without checks. kInvalidArgument for other JSON.
  Status Load(std::string_view json);

  // default, kube-system, kube-public and kube-node-lease, where they are missing.
  void CreateDefaultNamespaces();

  const ApiOptions& options() const { return options_; }
  const Authenticator& authenticator() const { return *authenticator_; }

 private:
  // What a path under /api or /apis names.
  struct Target {
    const ResourceType* type = nullptr;
    std::string ns, name, subresource;
    std::string key() const { return ObjectKey(*type, ns, name); }
    // Of the keys of a list.
    std::string prefix() const { return ns.empty() ? "" : ns + "/"; }
  };

  static std::optional<Target> ParsePath(const ApiRequest& request);
  static Access AccessOf(const std::string& user, const ApiRequest& request, const Target& target);

  ApiResponse HandlePath(const ApiRequest& request);
  ApiResponse HandleResource(const ApiRequest& request, const Target& target);
  ApiResponse Get(const ApiRequest& request, const Target& target);
  ApiResponse List(const ApiRequest& request, const Target& target);
  ApiResponse Watch(const ApiRequest& request, const Target& target);
  ApiResponse Create(const ApiRequest& request, const Target& target);
  ApiResponse Update(const ApiRequest& request, const Target& target);
  ApiResponse Patch(const ApiRequest& request, const Target& target);
  ApiResponse Delete(const ApiRequest& request, const Target& target);
  ApiResponse DeleteCollection(const ApiRequest& request, const Target& target);

  // Stores `object` in place of `old`, or leaves it when nothing changes.
  ApiResponse Replace(const ApiRequest& request, const Target& target, const ObjectPtr& old,
                      JsonDocument object);
  // Deletes now, or marks when finalizers hold it.
  ObjectPtr Remove(const ResourceType& type, const ObjectPtr& object);
  ApiResponse ObjectResponse(const ApiRequest& request, const ResourceType& type, int status,
                             const ObjectPtr& object) const;
  // The part of List after its parameters are known. `at` is the version of a continued or exact
  // list.
  ApiResponse ListPage(const ApiRequest& request, const Target& target, const Selector& selector,
                       std::optional<uint64_t> at, const std::string& start, uint64_t limit);

  Status LoadObject(JsonDocument object);

  Store* store_;
  const Authenticator* authenticator_;
  const ApiOptions options_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_API_H_
