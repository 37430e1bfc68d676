// What `podroute check` has to say.
#ifndef PODROUTE_CONTROLLER_CHECK_FINDING_H_
#define PODROUTE_CONTROLLER_CHECK_FINDING_H_

#include <string>
#include <string_view>
#include <vector>

namespace podroute {

// A note changes no exit code.
enum class Severity { kNote, kWarning, kError };

struct Finding {
  std::string id;  // One of AllFindingIds().
  Severity severity = Severity::kError;
  std::string what;  // One line, printable; so are the others.
  std::string why;
  std::string mend;  // A command for a shell; where there is none, "# " and what to do.
  bool operator==(const Finding&) const = default;
};

// Something that could not be, or was not, looked at.
struct Skipped {
  std::string what, why;
  bool operator==(const Skipped&) const = default;
};

struct CheckReport {
  std::vector<Finding> findings;
  std::vector<Skipped> skipped;
};

// docs/check.md has a row for each.
const std::vector<std::string_view>& AllFindingIds();

// 0: nothing but notes; 1: warnings; 2: errors.
int CheckExitCode(const CheckReport& report);
std::string CheckReportTable(const CheckReport& report);
std::string CheckReportJson(const CheckReport& report);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_FINDING_H_
