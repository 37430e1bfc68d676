#include "cni/ipam.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "cni/cni_result.h"
#include "cni/host_local.h"
#include "cni/json_reader.h"

namespace podroute {
namespace {

// DHCP takes its time; the container runtime gives up after two to four minutes.
constexpr Duration kDelegateTimeout = std::chrono::seconds(110);

CniProblem Discard(const CniOr<std::string>& output) {
  if (output.ok()) return std::nullopt;
  return output.error();
}

CniOr<std::string> FindPlugin(const std::string& type, const std::vector<std::string>& path) {
  if (type.find('/') != std::string::npos || type == "." || type == "..") {
    return CniError{CniErrorCode::kInvalidConfig, std::nullopt,
                    "ipam.type: \"" + type + "\" must be a plugin's name, not a path", ""};
  }
  for (const std::string& directory : path) {
    std::string candidate = directory;
    candidate.append("/").append(type);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  std::string tried;
  for (const std::string& directory : path) tried += (tried.empty() ? "" : ":") + directory;
  return CniError{CniErrorCode::kDelegate, std::nullopt,
                  "IPAM plugin " + type + " is not installed", "CNI_PATH=" + tried};
}

// A file of its own that holds `text`, read position at the start.
Result<UniqueFd> InMemory(std::string_view text) {
  UniqueFd fd(memfd_create("cni-config", MFD_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "memfd_create");
  while (!text.empty()) {
    ssize_t size = write(fd.get(), text.data(), text.size());
    if (size < 0) return Status::FromErrno(errno, "write configuration");
    text.remove_prefix(static_cast<size_t>(size));
  }
  if (lseek(fd.get(), 0, SEEK_SET) != 0) return Status::FromErrno(errno, "lseek");
  return fd;
}

CniAttachment OwnerOf(const CniArgs& args) { return {args.container_id, args.interface}; }

}  // namespace

CniOr<std::string> Ipam::Delegate(const char* command) {
  CniOr<std::string> plugin = FindPlugin(conf_.ipam.type, args_.path);
  if (!plugin.ok()) return plugin.error();
  Result<UniqueFd> input = InMemory(config_text_);
  if (!input.ok()) return ToCniError(CniErrorCode::kDelegate, input.status());
  SubprocessOptions options;
  options.argv = {*plugin};
  options.environment = {{"CNI_COMMAND", command}};
  options.stdin_fd = input->get();
  options.timeout = kDelegateTimeout;
  Result<SubprocessResult> result = RunSubprocess(options, nullptr);
  if (!result.ok()) return ToCniError(CniErrorCode::kDelegate, result.status());
  if (result->signal != 0) {
    return CniError{CniErrorCode::kDelegate, std::nullopt,
                    *plugin + " ended by " + DescribeExit(*result), ""};
  }
  if (result->exit_code != 0) return ReadError(result->out, *plugin);
  return std::move(result->out);
}

CniOr<CniResult> Ipam::Add() {
  CniResult result;
  if (conf_.ipam.in_process()) {
    CniOr<CniResult> added = HostLocalAdd(conf_.ipam, conf_.name, OwnerOf(args_), &host_);
    if (!added.ok()) return added.error();
    result = std::move(*added);
  } else {
    CniOr<std::string> output = Delegate("ADD");
    if (!output.ok()) return output.error();
    std::optional<std::string> problem;
    Result<rapidjson::Document> document = ParseJsonObject(*output);
    if (document.ok()) {
      result = ReadResult(JsonReader(*document, "", &problem));
    } else {
      problem = document.status().message();
    }
    if (problem) {
      (void)Del();  // What it gave is of no use.
      return CniError{CniErrorCode::kDelegate, std::nullopt,
                      "IPAM plugin " + conf_.ipam.type + ": its result: " + *problem, ""};
    }
  }
  if (result.ips.empty()) {
    (void)Del();
    return CniError{CniErrorCode::kDelegate, std::nullopt,
                    "IPAM plugin " + conf_.ipam.type + " gave no address", ""};
  }
  return result;
}

CniProblem Ipam::Del() {
  if (conf_.ipam.in_process()) return HostLocalDel(conf_.ipam, conf_.name, OwnerOf(args_));
  return Discard(Delegate("DEL"));
}

CniProblem Ipam::Check(const std::vector<IpAddress>& addresses) {
  if (conf_.ipam.in_process()) {
    return HostLocalCheck(conf_.ipam, conf_.name, OwnerOf(args_), addresses);
  }
  return Discard(Delegate("CHECK"));
}

CniProblem Ipam::Status() {
  if (conf_.ipam.in_process()) return HostLocalStatus(conf_.ipam, conf_.name, &host_);
  CniProblem problem = Discard(Delegate("STATUS"));
  // One that cannot be run would not give ADD an address either. Its own codes are passed on.
  if (problem && problem->code == CniErrorCode::kDelegate && !problem->foreign_code) {
    problem->code = CniErrorCode::kUnavailable;
  }
  return problem;
}

CniProblem Ipam::Gc() {
  if (conf_.ipam.in_process()) return std::nullopt;
  return Discard(Delegate("GC"));
}

CniOr<std::vector<CniAttachment>> Ipam::StaleOwners(const std::vector<CniAttachment>& valid) {
  if (conf_.ipam.in_process()) return HostLocalStale(conf_.ipam, conf_.name, valid);
  return std::vector<CniAttachment>();
}

CniProblem Ipam::Release(const CniAttachment& owner) {
  if (conf_.ipam.in_process()) return HostLocalDel(conf_.ipam, conf_.name, owner);
  return std::nullopt;
}

}  // namespace podroute
