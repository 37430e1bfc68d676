#include "cni/host_view.h"

#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cni/json_reader.h"
#include "cni/link_ops.h"
#include "cni/netns.h"

namespace podroute {
namespace {

constexpr size_t kBootDigits = 7;
constexpr size_t kPlaceDigits = 6;
constexpr size_t kBootIdBytes = 36;
constexpr size_t kMaxResultBytes = 4u << 20;

// The lowest bits as letters and digits.
std::string Digits(uint64_t value, size_t count) {
  constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string text;
  for (size_t i = 0; i < count; ++i, value >>= 5) text += kDigits[value & 31];
  return text;
}

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  return hash ^ (hash >> 33);
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool NamesAProcess(const std::string& netns) { return netns.starts_with("/proc/"); }

// Of one file that libcni wrote.
Listing Judge(const std::string& content) {
  std::optional<std::string> problem;
  Result<rapidjson::Document> document = ParseJsonObject(content);
  if (!document.ok()) return Listing::kNamespaceGone;
  std::string path = JsonReader(*document, "", &problem).String("netns");
  if (path.empty()) return Listing::kNamespaceGone;
  Result<UniqueFd> netns = OpenNetns(path);
  bool gone = !netns.ok();
  if (netns.ok() && NamesAProcess(path)) {
    // Another process has the number now, and it is the host's: no pod has the host's namespace.
    Result<bool> own = IsOwnNetns(netns->get());
    gone = own.ok() && *own;
  }
  if (!gone) return Listing::kNamespaceExists;
  return NamesAProcess(path) ? Listing::kProcessGone : Listing::kNamespaceGone;
}

}  // namespace

std::string ReservationStamp::ToText() const {
  return "@" + boot + "." + place + "." + std::to_string(pid);
}

std::optional<ReservationStamp> ReservationStamp::Parse(std::string_view text) {
  if (!text.starts_with('@')) return std::nullopt;
  size_t first = text.find('.');
  size_t second = text.find('.', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  ReservationStamp stamp{std::string(text.substr(1, first - 1)),
                         std::string(text.substr(first + 1, second - first - 1)), 0};
  std::string_view pid = text.substr(second + 1);
  auto [end, error] = std::from_chars(pid.data(), pid.data() + pid.size(), stamp.pid);
  if (error != std::errc() || end != pid.data() + pid.size() || stamp.pid <= 0) return std::nullopt;
  if (stamp.boot.empty() || stamp.place.empty()) return std::nullopt;
  return stamp;
}

std::optional<ReservationStamp> LinuxHostView::Self() {
  if (self_) return self_;
  UniqueFd file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char id[kBootIdBytes];
  if (!file || read(file.get(), id, sizeof id) != ssize_t{sizeof id}) return std::nullopt;
  uint64_t boot = 0;
  for (char c : id) boot = Mix(boot, static_cast<unsigned char>(c));
  struct stat net;
  struct stat processes;
  Result<UniqueFd> netns = OpenOwnNetns();
  if (!netns.ok() || fstat(netns->get(), &net) != 0) return std::nullopt;
  if (stat("/proc/self/ns/pid", &processes) != 0) return std::nullopt;
  self_ =
      ReservationStamp{Digits(boot, kBootDigits),
                       Digits(Mix(Mix(0, net.st_ino), processes.st_ino), kPlaceDigits), getpid()};
  return self_;
}

int64_t LinuxHostView::BootTimeNs() {
  timespec wall;
  timespec since_boot;
  if (clock_gettime(CLOCK_REALTIME, &wall) != 0) return 0;
  if (clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return 0;
  return Nanoseconds(wall) - Nanoseconds(since_boot);
}

bool LinuxHostView::IsRunning(pid_t pid) {
  if (pid == getpid()) return false;  // A number of an earlier process's, and now ours.
  return kill(pid, 0) == 0 || errno != ESRCH;
}

bool LinuxHostView::HasLink(const CniAttachment& owner) {
  return if_nametoindex(HostVethName(owner).c_str()) != 0 || errno != ENODEV;
}

Listing LinuxHostView::ListingOf(const std::string& network, const CniAttachment& owner) {
  Listing listing = Listing::kNone;
  // Plugins before 0.7 did not write the interface; container runtimes call it so.
  std::string interface = owner.interface.empty() ? "eth0" : owner.interface;
  for (const std::string& directory : results_) {
    std::string path = directory;
    path.append("/").append(network).append("-").append(owner.container_id);
    path.append("-").append(interface);
    Result<std::string> content = ReadFile(path, kMaxResultBytes);
    if (!content.ok() && content.status().code() == StatusCode::kNotFound) continue;
    Listing here = content.ok() ? Judge(*content) : Listing::kNamespaceGone;
    // Two runtimes: what speaks most for the attachment counts.
    if (listing == Listing::kNone || here < listing) listing = here;
  }
  return listing;
}

bool LinuxHostView::Forget(const CniAttachment& owner) {
  return forget_ == nullptr || forget_(owner);
}

}  // namespace podroute
