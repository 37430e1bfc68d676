// What the tests of the reflector have in common: answers, events, and a reflector to play them to.
#ifndef PODROUTE_TESTS_K8SCLIENT_REFLECTOR_TESTING_H_
#define PODROUTE_TESTS_K8SCLIENT_REFLECTOR_TESTING_H_

#include <glog/logging.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "k8sclient/reflector.h"
#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"

namespace podroute {

inline constexpr char kFirstList[] = "/api/v1/nodes?limit=500&resourceVersion=0";
inline constexpr char kConsistentList[] = "/api/v1/nodes?limit=500";

// "watch 7" and "watch-list 7" for requests, as short as tests want to compare them.
inline std::string Short(const std::string& target) {
  const std::string watch = "/api/v1/nodes?watch=1&resourceVersion=";
  if (!target.starts_with(watch)) return target;
  bool with_list = target.ends_with("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
  return (with_list ? "watch-list " : "watch ") +
         target.substr(watch.size(), target.find('&', watch.size()) - watch.size());
}

inline std::string NodeJson(const std::string& name, const std::string& version = "1") {
  return R"({"kind":"Node","metadata":{"name":")" + name + R"(","resourceVersion":")" + version +
         R"("},"spec":{"podCIDR":"10.0.)" + version + R"(.0/24"}})";
}

inline FakeResponse List(const std::string& version, const std::vector<std::string>& names,
                         const std::string& token = "") {
  std::string items;
  for (const std::string& name : names) items += (items.empty() ? "" : ",") + NodeJson(name);
  return FakeResponse::Body(R"({"kind":"NodeList","metadata":{"resourceVersion":")" + version +
                            R"(","continue":")" + token + R"("},"items":[)" + items + "]}");
}

inline std::string Event(const std::string& type, const std::string& name,
                         const std::string& version) {
  return R"({"type":")" + type + R"(","object":)" + NodeJson(name, version) + "}\n";
}

inline std::string Bookmark(const std::string& version) {
  return R"({"type":"BOOKMARK","object":{"kind":"Node","metadata":{"resourceVersion":")" + version +
         "\"}}}\n";
}

inline std::string ErrorEvent(int code, const std::string& reason) {
  return R"({"type":"ERROR","object":{"kind":"Status","reason":")" + reason +
         R"(","message":"no","code":)" + std::to_string(code) + "}}\n";
}

inline FakeResponse Http(int status, const std::string& reason = "", int retry_after = 0) {
  FakeResponse response = FakeResponse::Body(R"({"kind":"Status","reason":")" + reason +
                                             R"(","code":)" + std::to_string(status) + "}");
  response.status = status;
  if (retry_after > 0) response.headers["retry-after"] = std::to_string(retry_after);
  return response;
}

inline FakeResponse Refused() {
  return FakeResponse::Failure(StatusCode::kUnavailable, "connect: Connection refused");
}

class ReflectorFixture : public ::testing::Test {
 protected:
  explicit ReflectorFixture(const ReflectorOptions& options)
      : reflector_(transport_, store_, clock_, options) {
    clock_.AutoAdvance();
    transport_.on_exhausted = [this] { stop_.Stop(); };
  }

  // A watch that yields `events` and lasts `duration`.
  FakeResponse Watch(const std::string& events, Duration duration = std::chrono::seconds(60)) {
    return {.body = {BodyStep::Data(events), Pass(duration)}};
  }
  BodyStep Pass(Duration duration) {
    return BodyStep::Do([this, duration] { clock_.Advance(duration); });
  }

  // Plays the script to its end; the requests that were sent, the last of which got no answer.
  std::vector<std::string> Play(std::vector<FakeResponse> script) {
    for (FakeResponse& response : script) transport_.Add(std::move(response));
    reflector_.Run(stop_);
    std::vector<std::string> requests;
    for (const std::string& target : transport_.targets()) requests.push_back(Short(target));
    return requests;
  }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& node : store_.TakeSnapshot().nodes) names.push_back(node->name);
    return names;
  }

  FakeClock clock_;
  FakeTransport transport_;
  NodeStore store_;
  StopToken stop_;
  Reflector reflector_;
};

class LogCapture final : public google::LogSink {
 public:
  LogCapture() { google::AddLogSink(this); }
  ~LogCapture() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity severity, const char*, const char*, int, const struct tm*,
            const char* message, size_t length) override {
    lines.push_back(std::string(severity == google::GLOG_WARNING ? "W " : "I ") +
                    std::string(message, length));
  }
  std::vector<std::string> lines;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_REFLECTOR_TESTING_H_
