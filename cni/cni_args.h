// What the container runtime says through the environment. Pure.
#ifndef PODROUTE_CNI_CNI_ARGS_H_
#define PODROUTE_CNI_CNI_ARGS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "cni/cni_types.h"

namespace podroute {

enum class CniCommand : uint8_t { kAdd, kDel, kCheck, kGc, kStatus, kVersion };

struct CniArgs {
  CniCommand command = CniCommand::kVersion;
  std::string container_id;
  std::string netns;              // A path; may be empty for DEL.
  std::string interface;          // CNI_IFNAME
  std::vector<std::string> path;  // CNI_PATH, split; only delegation needs it.
  // ADD, CHECK: from CNI_ARGS; others are ignored, as runtimes pass their own (K8S_POD_NAME, ...).
  std::string mac;
  std::vector<IpAddress> ips;
};

// Looks up one variable; nullopt when unset. An empty value counts as unset.
using Environment = std::function<std::optional<std::string>(const char* name)>;

// The process's own environment.
Environment ProcessEnvironment();

// Reads and checks what the command needs, and no more: ADD and CHECK a container, a namespace, an
// interface and CNI_ARGS; DEL a container and an interface; the others nothing. The error has code
// 4 and names every variable that is missing or wrong.
CniOr<CniArgs> ParseCniArgs(const Environment& environment);

// A container ID or network name: a letter or digit, then letters, digits, '_', '.', '-'.
bool IsCniName(std::string_view text);

// Why `name` cannot be an interface's name, or nullopt: 1 to 15 bytes, not "." or "..", no '/',
// ':', white space or control character.
std::optional<std::string> InterfaceNameProblem(std::string_view name);

// Six bytes from "0a:58:0a:f4:02:07" (or with '-'); nullopt when it is no unicast Ethernet address.
std::optional<std::array<uint8_t, 6>> ParseMac(std::string_view text);
std::string MacToString(const std::array<uint8_t, 6>& mac);

}  // namespace podroute

#endif  // PODROUTE_CNI_CNI_ARGS_H_
