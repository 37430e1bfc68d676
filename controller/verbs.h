// What the program does, one function a verb. Each prints to standard output what it was asked for
// and nothing else; main prints an error Status as one line. The value is the process's exit code.
#ifndef PODROUTE_CONTROLLER_VERBS_H_
#define PODROUTE_CONTROLLER_VERBS_H_

#include <string>

#include "base/status.h"
#include "controller/options.h"

namespace podroute {

// Until SIGTERM or SIGINT.
Result<int> RunVerb(const Options& options);
Result<int> PlanVerb(const Options& options);
// 0: nothing found; 1: warnings; 2: errors. main makes an error Status 3.
Result<int> CheckVerb(const Options& options);
Result<int> CleanupVerb(const Options& options);

// The text of `podroute help [verb]`. Empty: the overview.
std::string HelpText(const std::string& verb);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_VERBS_H_
