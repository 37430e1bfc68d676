// What it costs to decode a NodeList of 5,000 realistic Nodes (14.4 KB of JSON each) and one watch
// event. Usage: decode_bench [--short]
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "k8sclient/node_decoder.h"
#include "k8sclient/watch_decoder.h"

namespace podroute {
namespace {

constexpr size_t kNodeBytes = 14400;

// A Node as a cloud's kubelet leaves it: most of it is managedFields and images.
std::string NodeJson(int index) {
  std::string number = std::to_string(index);
  std::string octets = std::to_string(index / 250 % 250) + "." + std::to_string(index % 250);
  std::string json =
      R"({"metadata":{"name":"worker-)" + number +
      R"(.cluster.example.org","uid":"4b81b51d-7966-4fe5-96b4-f0e31d518b7f","resourceVersion":")" +
      std::to_string(1000000 + index) +
      R"(","creationTimestamp":"2026-11-22T21:31:08Z","labels":{)" +
      R"("beta.kubernetes.io/arch":"amd64","kubernetes.io/hostname":"worker-)" + number +
      R"(","topology.kubernetes.io/zone":"a"},"annotations":{"volumes.kubernetes.io/x":"true"},)" +
      R"("managedFields":[)";
  for (int i = 0; i < 5; ++i) {
    json +=
        std::string(i > 0 ? "," : "") +
        R"({"manager":"kubelet","operation":"Update","apiVersion":"v1",)" +
        R"("time":"2026-11-22T21:31:09Z","fieldsType":"FieldsV1","fieldsV1":{"f:status":{)" +
        R"("f:addresses":{".":{},"k:{\"type\":\"Hostname\"}":{".":{},"f:address":{},"f:type":{}},)" +
        R"("k:{\"type\":\"InternalIP\"}":{".":{},"f:address":{},"f:type":{}}},"f:conditions":{)" +
        R"(".":{},"k:{\"type\":\"Ready\"}":{".":{},"f:lastHeartbeatTime":{},"f:message":{},)" +
        R"("f:reason":{},"f:status":{},"f:type":{}}},"f:nodeInfo":{"f:bootID":{}}}}})";
  }
  json +=
      R"(]},"spec":{"podCIDR":"10.)" + octets + R"(.0/24","podCIDRs":["10.)" + octets +
      R"(.0/24"],"providerID":"x://worker"},"status":{"capacity":{"cpu":"8","memory":"32Gi"},)" +
      R"("conditions":[)";
  for (const char* type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
    json += std::string(R"({"type":")") + type +
            R"(","status":"False","lastHeartbeatTime":"2026-11-22T21:00:00Z",)" +
            R"("lastTransitionTime":"2026-11-22T21:00:00Z","reason":"KubeletIsSo",)" +
            R"("message":"kubelet is posting status"},)";
  }
  json += R"({"type":"NetworkUnavailable","status":"False","reason":"RouteCreated"}],)"
          R"("addresses":[{"type":"InternalIP","address":"192.168.)" +
          octets + R"("},{"type":"Hostname","address":"worker"}],"images":[)";
  for (int i = 0;; ++i) {
    std::string image = std::string(i > 0 ? "," : "") +
                        R"({"names":["registry.example.org/team/image)" + std::to_string(i) +
                        "@sha256:" + std::string(64, 'e') + R"("],"sizeBytes":123456789})";
    if (json.size() + image.size() + 4 > kNodeBytes) break;
    json += image;
  }
  return json + "]}}";
}

// A list of `count` Nodes, made once; handed out in pieces as a socket would. Not part of the
// growth that is measured, as it is all there before.
class TextBody final : public BodyStream {
 public:
  explicit TextBody(const std::string& text) : text_(text) {}
  Result<size_t> Read(std::span<char> buffer) override {
    size_t n = std::min(buffer.size(), text_.size() - position_);
    std::memcpy(buffer.data(), text_.data() + position_, n);
    position_ += n;
    return n;
  }
  void Cancel() override {}

 private:
  const std::string& text_;
  size_t position_ = 0;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// This thread's, so that what else runs on the machine counts less.
double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Of /proc/self/status, in MB: VmHWM (the peak) or VmRSS.
double MemoryMb(const char* field) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kilobytes = 0;
    if (word == std::string(field) + ":" && file >> kilobytes) return kilobytes / 1e3;
  }
  return 0;
}

void ResetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

int BenchList(int count, int runs) {
  std::string text = R"({"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[)";
  for (int i = 0; i < count; ++i) text += (i > 0 ? "," : "") + NodeJson(i);
  text += "]}";
  std::vector<double> seconds, peaks;
  for (int run = 0; run < runs; ++run) {
    malloc_trim(0);
    ResetPeak();
    double before = MemoryMb("VmRSS");
    TextBody body(text);
    double start = CpuSeconds();
    Result<NodeListPage> page = DecodeNodeList(body, SystemClock());
    seconds.push_back(CpuSeconds() - start);
    peaks.push_back(MemoryMb("VmHWM") - before);
    if (!page.ok() || page->nodes.size() != static_cast<size_t>(count)) {
      std::fprintf(stderr, "the list was not decoded: %s\n", page.status().message().c_str());
      return 1;
    }
  }
  double megabytes = static_cast<double>(text.size()) / 1e6;
  double median = Median(seconds);
  std::printf(
      "list of %d Nodes, %.1f MB: median %.1f ms CPU (%.0f MB/s), peak memory +%.1f MB, %d runs\n",
      count, megabytes, median * 1e3, megabytes / median, Median(peaks), runs);
  return 0;
}

int BenchEvent(int runs) {
  std::string text;
  for (int i = 0; i < runs; ++i) {
    text += R"({"type":"MODIFIED","object":)" + NodeJson(i) + "}\n";
  }
  TextBody body(text);
  WatchDecoder decoder(body, SystemClock());
  std::vector<double> seconds;
  for (int run = 0; run < runs; ++run) {
    double start = CpuSeconds();
    Result<std::optional<WatchEvent>> event = decoder.Next();
    seconds.push_back(CpuSeconds() - start);
    if (!event.ok() || !event->has_value()) {
      std::fprintf(stderr, "an event was not decoded: %s\n", event.status().message().c_str());
      return 1;
    }
  }
  std::printf("watch event of %.1f KB: median %.1f us CPU, %d runs\n", kNodeBytes / 1e3,
              Median(seconds) * 1e6, runs);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  bool is_short = argc > 1 && std::strcmp(argv[1], "--short") == 0;
  if (argc > (is_short ? 2 : 1)) {
    std::fprintf(stderr, "usage: %s [--short]\n", argv[0]);
    return 1;
  }
  int failed = podroute::BenchList(is_short ? 200 : 5000, is_short ? 3 : 11);
  return failed + podroute::BenchEvent(is_short ? 100 : 2000);
}
