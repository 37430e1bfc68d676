// Runs LLVMFuzzerTestOneInput on files and on mutations of them, the same ones every time: what a
// fuzzer does, for where there is none (GCC). Usage: PROGRAM MUTATIONS FILE...
// PODROUTE_FUZZ_MUTATIONS in the environment takes the place of MUTATIONS.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// A target may know its inputs' structure, as libFuzzer's may: half of the mutations are then its.
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                                                size_t max_size, unsigned int seed);

namespace podroute {
namespace {

constexpr const char* kTokens[] = {
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "1e99",
    "\\",
    "\\u0000",
    "\\ud800",
    "\"items\"",
    "\"kind\"",
    "\"name\"",
    "\"metadata\":",
    "\"type\"",
    "\n",
    "\"object\":",
    "\xff\xfe",
    "-",
};

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string Next() {
    std::string text = seeds_[Below(seeds_.size())];
    if (&LLVMFuzzerCustomMutator != nullptr && Below(2) == 0) return Custom(std::move(text));
    for (size_t i = 0, n = 1 + Below(4); i < n; ++i) Mutate(text);
    return text;
  }

 private:
  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  std::string Custom(std::string text) {
    constexpr size_t kMaxBytes = 1u << 20;
    size_t size = text.size();
    text.resize(std::max(size, kMaxBytes));
    text.resize(LLVMFuzzerCustomMutator(reinterpret_cast<uint8_t*>(text.data()), size, text.size(),
                                        static_cast<unsigned int>(random_())));
    return text;
  }

  void Mutate(std::string& text) {
    size_t at = Below(text.size() + 1);
    size_t length = std::min(Below(64), text.size() - at);
    switch (Below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 1:
        text.insert(at, kTokens[Below(std::size(kTokens))]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(Below(text.size() + 1), text.substr(at, length));
        break;
      case 4: {
        const std::string& other = seeds_[Below(seeds_.size())];
        text.insert(at, other.substr(Below(other.size() + 1), 1 + Below(512)));
        break;
      }
      default:
        text.resize(at);
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937 random_{20261122};
};

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MUTATIONS FILE...\n", argv[0]);
    return 1;
  }
  std::vector<std::string> seeds;
  for (int i = 2; i < argc; ++i) {
    Result<std::string> text = ReadFile(argv[i]);
    if (!text.ok()) {
      std::fprintf(stderr, "%s\n", text.status().message().c_str());
      return 1;
    }
    // Of a transcript, the body.
    size_t head = text->find("\r\n\r\n");
    seeds.push_back(head == std::string::npos ? *text : text->substr(head + 4));
  }
  auto run = [](const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  for (const std::string& seed : seeds) run(seed);
  Mutator mutator(seeds);
  const char* more = std::getenv("PODROUTE_FUZZ_MUTATIONS");
  int mutations = std::atoi(more != nullptr ? more : argv[1]);
  for (int i = 0; i < mutations; ++i) run(mutator.Next());
  std::printf("%zu files and %d mutations of them: no crash\n", seeds.size(), mutations);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(argc, argv); }
