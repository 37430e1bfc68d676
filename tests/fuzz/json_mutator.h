// Changes a JSON text by its structure: what a careless hand, another program's version or an
// attacker would make of a configuration.
#ifndef PODROUTE_TESTS_FUZZ_JSON_MUTATOR_H_
#define PODROUTE_TESTS_FUZZ_JSON_MUTATOR_H_

#include <random>
#include <string>
#include <string_view>

namespace podroute {

// One to three changes: keys and elements dropped, doubled, renamed or moved elsewhere; values of
// another type, extreme numbers, long strings, deep nesting, invalid UTF-8; sometimes cut short. A
// text that is no JSON is only cut.
std::string MutateJson(std::string_view text, std::mt19937& random);

}  // namespace podroute

#endif  // PODROUTE_TESTS_FUZZ_JSON_MUTATOR_H_
