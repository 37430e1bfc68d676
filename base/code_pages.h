// The memory that a program's own code takes.
#ifndef PODROUTE_BASE_CODE_PAGES_H_
#define PODROUTE_BASE_CODE_PAGES_H_

namespace podroute {

// Gives back the pages of the program's and its libraries' code and constants. They are in the page
// cache, so whatever is still needed is there again at its first use, 16 pages at a time. A process
// keeps what only its start has touched (the dynamic linker, flags, handshakes) mapped for ever
// else: of an agent's 15 MB of code most. To be called when a phase of such work is over. Any
// thread.
void ReleaseCodePages();

}  // namespace podroute

#endif  // PODROUTE_BASE_CODE_PAGES_H_
