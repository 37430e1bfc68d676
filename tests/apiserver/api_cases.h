// What every API server must do for us, this one and a real one: the same cases run against both.
#ifndef PODROUTE_TESTS_APISERVER_API_CASES_H_
#define PODROUTE_TESTS_APISERVER_API_CASES_H_

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/apiserver/server_process.h"

namespace podroute {

// Method, target, body, content type of the body.
using ApiCall = std::function<Result<SimpleResponse>(const std::string&, const std::string&,
                                                     const std::string&, const std::string&)>;

struct ApiCase {
  const char* name;
  void (*run)(const ApiCall& call);  // Fails by GoogleTest's expectations; leaves nothing behind.
};

// May run in any order, one after the other, on a server whose Nodes named case-* are theirs.
const std::vector<ApiCase>& AllApiCases();

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_API_CASES_H_
