// podroute-cni: a CNI plugin, and under the name `loopback` the loopback plugin. Called by a
// container runtime with CNI_* variables and a network configuration on standard input.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/file.h"
#include "cni/bridge_plugin.h"
#include "cni/cni_plugin.h"
#include "cni/cni_result.h"
#include "cni/loopback_plugin.h"

namespace podroute {
namespace {

constexpr size_t kMaxConfigBytes = 4u << 20;

bool WriteOut(std::string_view text) {
  while (!text.empty()) {
    ssize_t size = write(STDOUT_FILENO, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

int Main(std::string_view program) {
  Environment environment = ProcessEnvironment();
  if (!environment("CNI_COMMAND") && isatty(STDIN_FILENO) != 0) {
    // Somebody at a shell: say what this is instead of waiting for a configuration.
    std::fprintf(
        stderr,
        "podroute-cni is a CNI plugin: a container runtime calls it with CNI_COMMAND set.\n"
        "CNI versions: %s\n",
        SupportedCniVersions().c_str());
    return 1;
  }
  CniAnswer answer;
  Result<std::string> config = ReadAll(STDIN_FILENO, "standard input", kMaxConfigBytes);
  if (!config.ok()) {
    answer = {
        1, RenderError(ToCniError(CniErrorCode::kIoFailure, config.status()), kNewestCniVersion) +
               "\n"};
  } else if (program.substr(program.rfind('/') + 1) == "loopback") {
    LoopbackPlugin loopback;
    answer = RunCniPlugin(loopback, environment, *config);
  } else {
    BridgePlugin bridge;
    answer = RunCniPlugin(bridge, environment, *config);
  }
  return WriteOut(answer.output) ? answer.exit_code : 1;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(argc > 0 ? argv[0] : ""); }
