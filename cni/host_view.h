// What the host can testify about the owners of reservations, so that an address whose container is
// gone comes back although nobody called DEL.
#ifndef PODROUTE_CNI_HOST_VIEW_H_
#define PODROUTE_CNI_HOST_VIEW_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/cni_types.h"

namespace podroute {

// Who reserved an address, kept beside the reservation: "@BOOT.PLACE.PID".
struct ReservationStamp {
  std::string boot;   // Differs from boot to boot: digits of the kernel's random boot id.
  std::string place;  // Differs from host to host: its network and process namespaces, hashed.
  pid_t pid = 0;      // The plugin's process, as that place numbers it.

  std::string ToText() const;
  static std::optional<ReservationStamp> Parse(std::string_view text);
  bool operator==(const ReservationStamp&) const = default;
};

// What libcni remembers of an attachment: it writes a file when ADD has succeeded and removes it
// when DEL has (libcni/api.go, cacheAdd and cacheDel).
enum class Listing : uint8_t {
  kNone,             // It knows nothing.
  kNamespaceExists,  // The pod's network namespace is there.
  kNamespaceGone,    // It is not, or is not named; the runtime may still call DEL.
  kProcessGone,      // The namespace was named by a process (/proc/PID/ns/net), and that is gone.
};

// One process's view; asked while the store's lock is held. Thread-compatible.
class HostView {
 public:
  virtual ~HostView() = default;
  // nullopt when the kernel does not tell: then nothing is ever taken back.
  virtual std::optional<ReservationStamp> Self() = 0;
  // When this boot began, in nanoseconds of the wall clock as it goes now.
  virtual int64_t BootTimeNs() = 0;
  // Whether another process of that number runs here.
  virtual bool IsRunning(pid_t pid) = 0;
  // Whether the owner's end of a pod's link is on this host; true when that cannot be told.
  virtual bool HasLink(const CniAttachment& owner) = 0;
  virtual Listing ListingOf(const std::string& network, const CniAttachment& owner) = 0;
  // Called before the reservations of an owner whose link is gone are given back: removes what else
  // the host keeps for it. False: it could not, and the reservations stay.
  virtual bool Forget(const CniAttachment& owner) = 0;
};

// The host that the calling thread is on.
class LinuxHostView : public HostView {
 public:
  // Removes what else there is of an attachment.
  using ForgetFunction = std::function<bool(const CniAttachment&)>;

  // libcni's, with containerd and CRI-O; and older ones'.
  static std::vector<std::string> DefaultResultDirectories() {
    return {"/var/lib/cni/results", "/var/lib/cni/cache/results"};
  }

  explicit LinuxHostView(ForgetFunction forget = nullptr,
                         std::vector<std::string> results = DefaultResultDirectories())
      : forget_(std::move(forget)), results_(std::move(results)) {}

  std::optional<ReservationStamp> Self() override;
  int64_t BootTimeNs() override;
  bool IsRunning(pid_t pid) override;
  bool HasLink(const CniAttachment& owner) override;
  Listing ListingOf(const std::string& network, const CniAttachment& owner) override;
  bool Forget(const CniAttachment& owner) override;

 private:
  ForgetFunction forget_;
  std::vector<std::string> results_;
  std::optional<ReservationStamp> self_;  // Once asked for; an ADD does twice.
};

}  // namespace podroute

#endif  // PODROUTE_CNI_HOST_VIEW_H_
