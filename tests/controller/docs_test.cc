// What a user can set or be told stands in docs/reference.md.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/status.h"
#include "controller/event_reasons.h"
#include "controller/options.h"
#include "routing/desired_routes.h"

namespace podroute {
namespace {

std::string Reference() { return ReadFile("docs/reference.md").value(); }

// The line of a table that is about `name`; empty when there is none.
std::string Row(const std::string& text, const std::string& name) {
  size_t start = text.find("\n| `" + name + "`");
  if (start == std::string::npos) return "";
  return text.substr(start + 1, text.find('\n', start + 1) - start - 1);
}

TEST(DocsTest, EveryFlagIsInTheReferenceWithItsDefaultAndVerbs) {
  for (const FlagInfo& flag : ListFlags()) {
    std::string row = Row(Reference(), "--" + flag.name);
    EXPECT_NE(row, "") << flag.name;
    if (!flag.default_value.empty()) {
      EXPECT_NE(row.find("`" + flag.default_value + "`"), std::string::npos) << row;
    }
    std::string verbs;
    for (const std::string& verb : flag.verbs) verbs += (verbs.empty() ? "| " : ", ") + verb;
    EXPECT_NE(row.find(verbs + " |"), std::string::npos) << row;
  }
}

TEST(DocsTest, EveryVerbIsInTheReference) {
  for (const VerbInfo& verb : ListVerbs()) {
    EXPECT_NE(Reference().find("`podroute " + std::string(verb.name)), std::string::npos)
        << verb.name;
  }
}

TEST(DocsTest, EveryEventIsInTheReferenceAndNoOtherIs) {
  const std::string reference = Reference();
  const std::string head = "\n| Event | what it says |\n|---|---|\n";
  const size_t begin = reference.find(head);
  ASSERT_NE(begin, std::string::npos);
  // The table's first row is about the words of refusals.
  const std::string table = reference.substr(begin, reference.find("\n\n", begin + 1) - begin);
  for (std::string_view reason : kEventReasons) {
    EXPECT_NE(Row(table, std::string(reason)), "") << reason;
  }
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3 + std::ssize(kEventReasons)) << table;
}

TEST(DocsTest, EveryRefusalReasonIsInTheReference) {
  for (RefusalReason reason : AllRefusalReasons()) {
    EXPECT_NE(Row(Reference(), std::string(RefusalReasonName(reason))), "")
        << RefusalReasonName(reason);
  }
}

TEST(DocsTest, EveryReasonOfAFailureIsInTheReference) {
  const std::string reference = Reference();
  const size_t begin = reference.find("\n## Why a route fails\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = reference.substr(begin, reference.find("\n## ", begin + 1) - begin);
  for (int code = 1; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    const std::string name(StatusCodeName(static_cast<StatusCode>(code)));
    EXPECT_NE(section.find("`" + name + "`"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace podroute
