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
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"

namespace podroute {
namespace {

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
  for (int i = 0; i < count; ++i)
    text += (i > 0 ? "," : "") + NodeJson(MakeBenchNode(static_cast<size_t>(i)));
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
    text +=
        R"({"type":"MODIFIED","object":)" + NodeJson(MakeBenchNode(static_cast<size_t>(i))) + "}\n";
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
  std::printf("watch event of %.1f KB: median %.1f us CPU, %d runs\n",
              static_cast<double>(kBenchNodeBytes) / 1e3, Median(seconds) * 1e6, runs);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  bool is_short = podroute::IsShort(argc, argv);
  int failed = podroute::BenchList(is_short ? 200 : 5000, is_short ? 3 : 11);
  return failed + podroute::BenchEvent(is_short ? 100 : 2000);
}
