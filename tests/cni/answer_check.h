// Whether an answer of the plugin has the specification's form.
#ifndef PODROUTE_TESTS_CNI_ANSWER_CHECK_H_
#define PODROUTE_TESTS_CNI_ANSWER_CHECK_H_

#include <optional>
#include <string>
#include <string_view>

#include "cni/cni_plugin.h"
#include "cni/cni_result.h"
#include "cni/json_reader.h"

namespace podroute {

// Empty, or what is wrong with `answer` to `command` with `config` (any text at all).
inline std::string AnswerProblem(std::string_view command, std::string_view config,
                                 const CniAnswer& answer) {
  if (answer.exit_code != 0 && answer.exit_code != 1) return "exit code";
  if (answer.exit_code == 0 && command != "ADD" && command != "VERSION") {
    return answer.output.empty() ? "" : "success with output: " + answer.output;
  }
  auto wrong = [&](const std::string& what) { return what + ": " + answer.output; };
  Result<rapidjson::Document> document = ParseJsonObject(answer.output);
  if (!document.ok()) return wrong("no JSON object");
  if (answer.output.back() != '\n' || answer.output.find('\n') + 1 != answer.output.size()) {
    return wrong("not one line");
  }
  std::optional<std::string> problem;
  JsonReader reader(*document, "", &problem);
  std::string version = reader.String("cniVersion");
  NetConfVersion asked = ReadNetConfVersion(config);
  // VERSION repeats what was asked, which may be none of ours; else where it is not legible, it is
  // one of ours.
  if (command == "VERSION" && answer.exit_code == 0) {
    if (!asked.text.empty() && version != asked.text) return wrong("another cniVersion than asked");
  } else if (asked.version) {
    if (version != CniVersionText(*asked.version)) return wrong("another cniVersion than asked");
  } else if (!ParseCniVersion(version)) {
    return wrong("no cniVersion of ours");
  }
  if (answer.exit_code != 0) {
    if (reader.Int("code", 1, 999) == 0) return wrong("no code");
    if (reader.String("msg").empty()) return wrong("no msg");
    (void)reader.String("details");
  } else if (command == "ADD") {
    (void)ReadResult(reader);
  } else if (reader.Strings("supportedVersions").empty()) {
    return wrong("no supportedVersions");
  }
  return problem ? wrong(*problem) : "";
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_ANSWER_CHECK_H_
