// Results and errors in the form of the specification's version that was asked for. Pure.
#ifndef PODROUTE_CNI_CNI_RESULT_H_
#define PODROUTE_CNI_CNI_RESULT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/cni_types.h"
#include "cni/json_reader.h"

namespace podroute {

std::string_view CniVersionText(CniVersion version);
// nullopt when it is none that we speak.
std::optional<CniVersion> ParseCniVersion(std::string_view text);
// "0.3.0, 0.3.1, ...": for messages.
std::string SupportedCniVersions();

// One line of JSON without the newline.
std::string RenderResult(const CniResult& result, CniVersion version);
std::string RenderError(const CniError& error, CniVersion version);
// The answer to VERSION; `asked` is the input's cniVersion, which it repeats.
std::string RenderVersion(std::string_view asked);

// Reads a result: prevResult, or what a delegated IPAM plugin printed. Sets the reader's problem
// when something in it is wrong. Accepts the form of every version that we speak.
CniResult ReadResult(const JsonReader& reader);
std::vector<CniRoute> ReadRoutes(const JsonReader& reader, const char* key);
CniDns ReadDns(const JsonReader& reader);

// A delegated plugin's error object; when it printed none, an error that quotes what it did print.
CniError ReadError(std::string_view text, std::string_view plugin);

}  // namespace podroute

#endif  // PODROUTE_CNI_CNI_RESULT_H_
