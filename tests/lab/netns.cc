#include "tests/lab/netns.h"

#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace podroute {
namespace {

Status WriteTo(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file ? Status::Ok() : Status::FromErrno(errno, std::string("write ") + path);
}

// With root's rights inside only.
Status EnterUserNamespace() {
  std::string user = "0 " + std::to_string(geteuid()) + " 1\n";
  std::string group = "0 " + std::to_string(getegid()) + " 1\n";
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return Status::FromErrno(errno, "unshare user and network namespace");
  }
  PODROUTE_RETURN_IF_ERROR(WriteTo("/proc/self/setgroups", "deny"));
  PODROUTE_RETURN_IF_ERROR(WriteTo("/proc/self/uid_map", user));
  return WriteTo("/proc/self/gid_map", group);
}

// ip(8) is in /sbin, which is not on everybody's path.
std::string WithPath(const std::string& command) {
  return "PATH=$PATH:/usr/sbin:/sbin; exec 2>&1; " + command;
}

struct Outcome {
  int code;
  std::string output;
};

Outcome RunShell(const std::string& command) {
  FILE* pipe = popen(WithPath(command).c_str(), "re");  // NOLINT(cert-env33-c)
  if (pipe == nullptr) return {-1, "popen failed"};
  std::string output;
  char buffer[4096];
  while (size_t got = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, got);
  int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

}  // namespace

Status EnterPrivateNetns() {
  if (unshare(CLONE_NEWNET) != 0) {
    if (errno != EPERM) return Status::FromErrno(errno, "unshare network namespace");
    PODROUTE_RETURN_IF_ERROR(EnterUserNamespace());
  }
  Shell("ip link set lo up");
  return Status::Ok();
}

std::string Shell(const std::string& command) {
  Outcome outcome = RunShell(command);
  if (outcome.code != 0) {
    fprintf(stderr, "%s\nexit code %d: %s\n", command.c_str(), outcome.code,
            outcome.output.c_str());
    abort();
  }
  return outcome.output;
}

int TryShell(const std::string& command) { return RunShell(command).code; }

int IfIndex(const std::string& name) {
  unsigned index = if_nametoindex(name.c_str());
  if (index == 0) {
    fprintf(stderr, "no link %s\n", name.c_str());
    abort();
  }
  return static_cast<int>(index);
}

std::string AwaitIpv6(const std::string& link) {
  return "for address in $(ip -6 -o address show scope global " +
         (link.empty() ? "" : "dev " + link) +
         " | awk '{print $4}'); do i=0; until ip -6 route show table local ${address%/*} | grep -q "
         ".; do "
         "i=$((i + 1)); [ $i -lt 5000 ] || exit 1; done; done; ";
}

int AddLan(const std::string& name, const std::string& addresses) {
  // Without link-local addresses, which would turn up later, in their own time.
  std::ostringstream commands;
  commands << "set -e; ip link add " << name << " type veth peer name " << name << "p; ";
  for (const std::string& end : {name + "p", name}) {
    commands << "ip link set " << end << " addrgenmode none; ip link set " << end << " up; ";
  }
  // The carrier comes up in the kernel's own time; what that sets off is to be over before a test
  // looks at notifications.
  for (const std::string& end : {name + "p", name}) {
    commands << "i=0; until ip link show " << end << " | grep -q 'state UP'; do i=$((i + 1));"
             << " [ $i -lt 5000 ]; done; ";
  }
  std::istringstream list(addresses);
  for (std::string address; list >> address;) {
    const char* nodad = address.find(':') != std::string::npos ? " nodad; " : "; ";
    commands << "ip addr add " << address << " dev " << name << nodad;
  }
  commands << AwaitIpv6(name);
  Shell(commands.str());
  return IfIndex(name);
}

}  // namespace podroute
