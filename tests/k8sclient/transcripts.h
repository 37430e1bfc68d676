// What a real API server answered, from tests/testdata/api-transcripts.
#ifndef PODROUTE_TESTS_K8SCLIENT_TRANSCRIPTS_H_
#define PODROUTE_TESTS_K8SCLIENT_TRANSCRIPTS_H_

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/file.h"
#include "tests/k8sclient/fake_transport.h"

namespace podroute {

inline constexpr char kTranscriptFolder[] = "tests/testdata/api-transcripts/";

// "01-list": status, headers (names in lower case) and body of that file. Aborts when it is not
// there.
inline FakeResponse Transcript(const std::string& name) {
  std::string text = ReadFile(kTranscriptFolder + name + ".http").value();
  size_t end_of_head = text.find("\r\n\r\n");
  if (end_of_head == std::string::npos) std::abort();
  FakeResponse response = FakeResponse::Body(text.substr(end_of_head + 4));
  response.status = std::atoi(text.c_str() + text.find(' '));
  for (size_t at = text.find("\r\n"); at < end_of_head; at = text.find("\r\n", at + 2)) {
    std::string line = text.substr(at + 2, text.find("\r\n", at + 2) - at - 2);
    size_t colon = line.find(": ");
    std::string header = line.substr(0, colon);
    std::transform(header.begin(), header.end(), header.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response.headers[header] = line.substr(colon + 2);
  }
  return response;
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_TRANSCRIPTS_H_
