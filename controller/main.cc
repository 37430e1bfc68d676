#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "controller/options.h"
#include "controller/verbs.h"
#include "controller/version.h"
#include "k8sclient/config_loader.h"
#include "k8sclient/cpprest_transport.h"

namespace podroute {
namespace {

std::vector<std::string> VariableNames() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

Result<int> Main(const std::vector<std::string>& arguments) {
  PODROUTE_ASSIGN_OR_RETURN(CommandLine line, ParseCommandLine(arguments, GetProcessEnvironment));
  if (line.verb == "help") {
    std::fputs(HelpText(line.arguments.empty() ? "" : line.arguments[0]).c_str(), stdout);
    return 0;
  }
  if (line.verb == "version") {
    std::printf("podroute %s\n", std::string(kVersion).c_str());
    return 0;
  }
  for (const std::string& complaint : ComplainOfVariables(VariableNames())) {
    LOG(WARNING) << complaint;
  }
  PODROUTE_ASSIGN_OR_RETURN(Options options, ReadOptions(GetProcessEnvironment));
  if (line.verb == "plan") return PlanVerb(options);
  if (line.verb == "check") return CheckVerb(options);
  if (line.verb == "cleanup") return CleanupVerb(options);
  return RunVerb(options);
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  podroute::InitHttpThreads();
  FLAGS_logtostderr = true;
  FLAGS_colorlogtostderr = false;
  google::InitGoogleLogging(argv[0]);
  podroute::Result<int> code = podroute::Main({argv + 1, argv + argc});
  if (!code.ok()) std::fprintf(stderr, "podroute: %s\n", code.status().message().c_str());
  // check's 1 and 2 are about what it found. By the first word: what is wrong may be a flag.
  char** verb =
      std::find_if(argv + 1, argv + argc, [](const char* word) { return word[0] != '-'; });
  const bool check = verb != argv + argc && std::string_view(*verb) == "check";
  const int failed = check ? 3 : 1;
  // Output that could not be written is a failure, whatever else went well.
  if (std::fflush(stdout) != 0) {
    std::fprintf(stderr, "podroute: cannot write standard output\n");
    return failed;
  }
  return code.ok() ? *code : failed;
}
