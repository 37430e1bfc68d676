// Whatever arrives, the decoders neither crash nor keep more than their bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "k8sclient/api_error.h"
#include "k8sclient/node_decoder.h"
#include "k8sclient/watch_decoder.h"
#include "tests/k8sclient/fake_transport.h"

namespace podroute {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckNode(const Node& node) {
  Check(node.name.size() <= kMaxNodeNameBytes && node.uid.size() <= kMaxFieldBytes);
  Check(node.resource_version.size() <= kMaxFieldBytes);
  Check(node.pod_cidrs.size() <= kMaxPodCidrs && node.pod_cidrs.size() <= node.pod_cidrs_total);
  Check(node.internal_ips.size() + node.external_ips.size() <= kMaxNodeAddresses);
  for (const auto* texts : {&node.pod_cidrs, &node.internal_ips, &node.external_ips}) {
    for (const std::string& text : *texts) Check(text.size() <= kMaxFieldBytes);
  }
}

FakeResponse Chunked(std::string_view data, size_t chunk_bytes) {
  FakeResponse response = FakeResponse::Body(std::string(data));
  response.chunk_bytes = chunk_bytes;
  return response;
}

// The outcome in words, so that two ways to deliver the same bytes can be compared.
std::string List(std::string_view data, size_t chunk_bytes) {
  FakeBody body(Chunked(data, chunk_bytes));
  Result<NodeListPage> page = DecodeNodeList(body, SystemClock());
  // Messages quote what happens to be buffered.
  if (!page.ok()) return std::string(StatusCodeName(page.status().code()));
  std::string outcome = page->resource_version + page->continue_token;
  for (const Node& node : page->nodes) {
    CheckNode(node);
    Check(!node.name.empty());
    outcome += "," + node.name;
  }
  return outcome;
}

std::string Watch(std::string_view data, size_t chunk_bytes) {
  FakeBody body(Chunked(data, chunk_bytes));
  WatchDecoder decoder(body, SystemClock());
  std::string outcome;
  while (true) {
    Result<std::optional<WatchEvent>> event = decoder.Next();
    if (!event.ok()) return outcome + std::string(StatusCodeName(event.status().code()));
    if (!event->has_value()) return outcome;
    const Node& node = (*event)->node;
    CheckNode(node);
    Check((*event)->type == WatchEvent::Type::kError || !node.resource_version.empty());
    outcome += std::to_string(static_cast<int>((*event)->type)) + node.name + ",";
  }
}

}  // namespace
}  // namespace podroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  podroute::Check(podroute::List(text, 1 << 20) == podroute::List(text, 7));
  podroute::Check(podroute::Watch(text, 1 << 20) == podroute::Watch(text, 7));
  podroute::ApiError error = podroute::MakeApiError(podroute::ParseApiStatus(text), 0);
  podroute::Check(!error.ok() && error.status.message().size() < 700);
  return 0;
}
