// Takes back addresses whose container is gone although nobody called DEL for it: after a reboot,
// after a kill, after container runtimes that forget (detached `ctr` tasks).
//
// A reservation is taken back when one of these holds, and never otherwise:
//
//  earlier boot   It was made before this boot, and a network namespace does not outlive a boot. Of
//                 our own we know that from the stamp, whatever clocks did. Of another plugin's, by
//                 its file: last written before the kernel started, as the clock goes now, or
//                 before something that we wrote in an earlier boot. (A clock that was put forward
//                 in this boot can mislead that rule, so:) not where libcni lists it with a network
//                 namespace that exists.
//  this boot      All of: we made it, on this host; the process that made it has ended (else its
//  ADD
//                 may be under way); the host end of its pod's link is gone; and libcni does not
//                 list it, or lists it with the namespace of a process that has ended: a runtime
//                 that lists a namespace by name will still call DEL.
//  empty file     A process was killed between making and writing it; we hold the lock, so nobody
//  is
//                 writing it now.
//
// Another plugin's reservations of this boot are never taken back: nothing says that their pods are
// gone. Earlier boots' are looked for by the first ADD of a boot; the others when an address is not
// to be had otherwise. Both read the whole store.
#ifndef PODROUTE_CNI_RECLAIM_H_
#define PODROUTE_CNI_RECLAIM_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "cni/host_view.h"
#include "cni/ip_store.h"

namespace podroute {

enum class ReclaimScope : uint8_t { kEarlierBoots, kEverything };

// How many addresses came back. Best effort: what cannot be judged or removed stays.
size_t Reclaim(IpStore& store, const std::string& network, HostView& host, ReclaimScope scope);

// Reclaim(kEarlierBoots) where nobody did so since the machine started, which is marked in the
// store.
void ReclaimOnceABoot(IpStore& store, const std::string& network, HostView& host);

}  // namespace podroute

#endif  // PODROUTE_CNI_RECLAIM_H_
