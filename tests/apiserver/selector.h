// fieldSelector and labelSelector.
#ifndef PODROUTE_TESTS_APISERVER_SELECTOR_H_
#define PODROUTE_TESTS_APISERVER_SELECTOR_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apiserver/api_error.h"
#include "tests/apiserver/resources.h"
#include "tests/apiserver/store.h"

namespace podroute {

// Which objects of a list or watch are asked for. A value.
class Selector {
 public:
  // Both as they stand in the query, percent-decoded; either may be empty. On error sets *error.
  static Selector Parse(const ResourceType& type, std::string_view fields, std::string_view labels,
                        std::optional<ApiError>* error);

  bool empty() const { return fields_.empty() && labels_.empty(); }
  bool Matches(const StoredObject& object) const;

 private:
  enum class Operator { kEquals, kNotEquals, kIn, kNotIn, kExists, kNotExists };
  struct Requirement {
    std::string key;
    Operator op = Operator::kEquals;
    std::vector<std::string> values;
    bool Holds(const std::string* value) const;
  };

  static std::optional<std::vector<Requirement>> ParseRequirements(std::string_view text);

  std::vector<Requirement> fields_, labels_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_SELECTOR_H_
