#include "controller/backend_factory.h"

#include <utility>

#include "controller/kernel_options.h"
#include "routing/bird_backend.h"
#include "routing/exec_backend.h"
#include "routing/frr_backend.h"
#include "routing/frr_config.h"

namespace podroute {

Result<std::unique_ptr<RouteBackend>> MakeDaemonBackend(const Options& options,
                                                        const WriteLimits& limits) {
  switch (options.router.backend) {
    case BackendKind::kKernel:
      break;
    case BackendKind::kBird: {
      BirdOptions bird;
      bird.socket_path = options.router.bird_socket;
      bird.file_path = options.router.bird_file;
      bird.owner = options.router.owner;
      bird.may_write = limits.may_write;
      bird.make_startable = !limits.only_remove;
      bird.stop = limits.stop;
      PODROUTE_ASSIGN_OR_RETURN(auto backend, BirdBackend::Create(bird));
      return std::unique_ptr<RouteBackend>(std::move(backend));
    }
    case BackendKind::kFrr: {
      FrrOptions frr;
      frr.vtysh = options.router.vtysh;
      frr.vty_socket_dir = options.router.frr_vty_socket;
      frr.tag = FrrTag(options.router.owner);
      frr.may_write = limits.may_write;
      frr.stop = limits.stop;
      PODROUTE_ASSIGN_OR_RETURN(auto backend, FrrBackend::Create(frr));
      return std::unique_ptr<RouteBackend>(std::move(backend));
    }
    case BackendKind::kExec: {
      if (options.router.push_command.empty()) {
        return Status(StatusCode::kInvalidArgument, "--backend=exec needs --push_command");
      }
      ExecOptions exec;
      exec.format = options.router.format;
      exec.push_command = options.router.push_command;
      exec.read_command = options.router.read_command;
      exec.push_timeout = exec.read_timeout = options.router.push_timeout;
      exec.marks.owner = options.router.owner;
      exec.marks.ip = ToKernelOptions(options).mark;
      exec.may_write = limits.may_write;
      exec.stop = limits.stop;
      PODROUTE_ASSIGN_OR_RETURN(auto backend, ExecBackend::Create(exec));
      return std::unique_ptr<RouteBackend>(std::move(backend));
    }
  }
  return Status(StatusCode::kUnsupported, "the kernel is no routing daemon");
}

}  // namespace podroute
