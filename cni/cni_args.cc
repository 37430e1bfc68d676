#include "cni/cni_args.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace podroute {
namespace {

// The longest ID that a path component and a reservation file can carry; runtimes use 64.
constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxInterfaceBytes = 15;  // IFNAMSIZ - 1

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<CniCommand> ParseCommand(std::string_view text) {
  constexpr std::pair<std::string_view, CniCommand> kCommands[] = {
      {"ADD", CniCommand::kAdd}, {"DEL", CniCommand::kDel},       {"CHECK", CniCommand::kCheck},
      {"GC", CniCommand::kGc},   {"STATUS", CniCommand::kStatus}, {"VERSION", CniCommand::kVersion},
  };
  for (const auto& [name, command] : kCommands) {
    if (name == text) return command;
  }
  return std::nullopt;
}

// Collects every complaint, so that one round is enough to mend a runtime's call.
class Complaints {
 public:
  void Add(const std::string& complaint) {
    if (!text_.empty()) text_ += "; ";
    text_ += complaint;
  }
  bool any() const { return !text_.empty(); }
  CniError ToError() const {
    return CniError{CniErrorCode::kInvalidEnvironment, std::nullopt, text_,
                    "the container runtime must set these variables as the CNI specification says"};
  }

 private:
  std::string text_;
};

void ParseExtraArgs(std::string_view text, CniArgs& args, Complaints& complaints) {
  for (const std::string& pair : Split(text, ';')) {
    size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      complaints.Add("CNI_ARGS: \"" + pair + "\" is not KEY=VALUE");
      continue;
    }
    std::string_view key = std::string_view(pair).substr(0, equals);
    std::string value = pair.substr(equals + 1);
    if (key == "MAC" && !value.empty()) {
      if (!ParseMac(value)) complaints.Add("CNI_ARGS: MAC=" + value + " is no Ethernet address");
      args.mac = value;
    } else if (key == "IP") {
      for (const std::string& part : Split(value, ',')) {
        Result<IpAddress> ip = IpAddress::Parse(part.substr(0, part.find('/')));
        if (ip.ok()) {
          args.ips.push_back(*ip);
        } else {
          complaints.Add("CNI_ARGS: IP: " + ip.status().message());
        }
      }
    }
  }
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

CniOr<CniArgs> ParseCniArgs(const Environment& environment) {
  auto get = [&](const char* name) { return environment(name).value_or(""); };
  CniArgs args;
  Complaints complaints;
  std::string command_text = get("CNI_COMMAND");
  std::optional<CniCommand> command = ParseCommand(command_text);
  if (!command) {
    complaints.Add(command_text.empty() ? "CNI_COMMAND is not set"
                                        : "CNI_COMMAND=" + command_text +
                                              " is not ADD, DEL, CHECK, GC, STATUS or VERSION");
    return complaints.ToError();
  }
  args.command = *command;
  args.path = Split(get("CNI_PATH"), ':');
  bool attachment = args.command == CniCommand::kAdd || args.command == CniCommand::kDel ||
                    args.command == CniCommand::kCheck;
  if (!attachment) return args;

  args.container_id = get("CNI_CONTAINERID");
  args.netns = get("CNI_NETNS");
  args.interface = get("CNI_IFNAME");
  if (args.container_id.empty()) {
    complaints.Add("CNI_CONTAINERID is not set");
  } else if (!IsCniName(args.container_id)) {
    complaints.Add("CNI_CONTAINERID=" + args.container_id.substr(0, 80) +
                   " must begin with a letter or digit and hold letters, digits, _ . - only");
  }
  if (args.netns.empty() && args.command != CniCommand::kDel) {
    complaints.Add("CNI_NETNS is not set");
  }
  if (args.interface.empty()) {
    complaints.Add("CNI_IFNAME is not set");
  } else if (auto problem = InterfaceNameProblem(args.interface)) {
    complaints.Add("CNI_IFNAME=" + args.interface.substr(0, 80) + " " + *problem);
  }
  if (args.command != CniCommand::kDel) {  // It wants nothing, so nothing in it can be wrong.
    ParseExtraArgs(get("CNI_ARGS"), args, complaints);
  }
  if (complaints.any()) return complaints.ToError();
  return args;
}

bool IsCniName(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes || !IsAlphanumeric(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

std::optional<std::string> InterfaceNameProblem(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxInterfaceBytes) return "is longer than 15 bytes";
  if (name == "." || name == "..") return "is not a name";
  for (char c : name) {
    auto byte = static_cast<unsigned char>(c);
    // The kernel takes a name with a '%' for a pattern ("eth%d"), and makes a link of another name.
    if (c == '/' || c == ':' || c == '%' || byte <= 0x20 || byte == 0x7f) {
      return "holds a '/', ':', '%' or white space";
    }
  }
  return std::nullopt;
}

std::optional<std::array<uint8_t, 6>> ParseMac(std::string_view text) {
  constexpr size_t kTextBytes = 17;
  if (text.size() != kTextBytes) return std::nullopt;
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::array<uint8_t, 6> mac{};
  bool any = false;
  for (size_t i = 0; i < mac.size(); ++i) {
    int high = digit(text[i * 3]);
    int low = digit(text[i * 3 + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    if (i < 5 && text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-') return std::nullopt;
    mac[i] = static_cast<uint8_t>(high * 16 + low);
    any = any || mac[i] != 0;
  }
  if (!any || (mac[0] & 1) != 0) return std::nullopt;  // Zero or multicast: the kernel refuses it.
  return mac;
}

std::string MacToString(const std::array<uint8_t, 6>& mac) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : mac) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace podroute
