// The API server's addresses, which no route may cover, kept up by a thread of their own where it
// has a name.
#ifndef PODROUTE_CONTROLLER_API_SERVER_ADDRESSES_H_
#define PODROUTE_CONTROLLER_API_SERVER_ADDRESSES_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "k8sclient/host_resolver.h"

namespace podroute {

// The loop's thread makes, starts and ends it.
class ApiServerAddresses {
 public:
  // `host`: name or address. The clock must outlive this.
  ApiServerAddresses(std::string host, Clock& clock) : host_(std::move(host)), clock_(clock) {}
  ~ApiServerAddresses() { Stop(); }

  // `on_change` is called on the loop whenever there is something new to Get.
  Status Prepare(EventLoop& loop, std::function<void()> on_change);
  void Start();
  // Idempotent.
  void Stop();

  // nullopt: not known yet. Empty when no name server has answered within 10 s: routes must not
  // wait any longer.
  std::optional<std::vector<IpAddress>> Get() const {
    std::lock_guard lock(mutex_);
    return addresses_;
  }

 private:
  void Run();

  const std::string host_;
  Clock& clock_;
  HostResolver resolver_;
  StopToken stop_;
  std::unique_ptr<Wakeup> wakeup_;
  mutable std::mutex mutex_;
  std::optional<std::vector<IpAddress>> addresses_;  // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_API_SERVER_ADDRESSES_H_
