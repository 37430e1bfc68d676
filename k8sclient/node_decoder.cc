#include "k8sclient/node_decoder.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "k8sclient/json_stream.h"
#include "k8sclient/node_sax.h"

namespace podroute {
namespace {

class TextBody final : public BodyStream {
 public:
  explicit TextBody(std::string_view text) : rest_(text) {}
  Result<size_t> Read(std::span<char> buffer) override {
    size_t n = std::min(buffer.size(), rest_.size());
    std::memcpy(buffer.data(), rest_.data(), n);
    rest_.remove_prefix(n);
    return n;
  }
  void Cancel() override {}

 private:
  std::string_view rest_;
};

// Nothing but white space may follow, and the body must have said that it is over: else it may be
// that what we have is not what was sent.
Status ExpectEnd(JsonStream& stream) {
  while (std::strchr(" \t\r\n", stream.Peek()) != nullptr && stream.Peek() != '\0') stream.Take();
  stream.Peek();
  if (!stream.status().ok()) return stream.status();
  if (stream.ended()) return Status::Ok();
  return {StatusCode::kInternal, "something follows the JSON at byte " +
                                     std::to_string(stream.Tell()) + ": " +
                                     AsOneLine(stream.buffered(), 40)};
}

// Why `item`, number `index` of a list, is no Node; empty when it is one.
std::string WhyNoNode(const JsonObject& item, size_t index) {
  std::string where = "items[" + std::to_string(index) + "]";
  if (!item.kind.empty() && item.kind != "Node") {
    return where + " is a " + AsOneLine(item.kind, 64) + ", not a Node";
  }
  if (item.node.name.empty()) return where + " has no metadata.name";
  return {};
}

Status CheckList(const NodeSax& sax) {
  if (sax.list_kind.empty())
    return {StatusCode::kInternal, "there is no kind in it: not a Kubernetes object"};
  if (!sax.list_has_items) return {StatusCode::kInternal, "the list has no items"};
  return Status::Ok();
}

}  // namespace

Result<NodeListPage> DecodeNodeList(BodyStream& body, const Clock& clock) {
  NodeListPage page;
  JsonStream stream(body, clock, kMaxObjectBytes);
  stream.Peek();
  page.arrived = stream.arrived();
  NodeSax sax(JsonPlace::kList, stream);
  sax.on_item = [&](JsonObject& item) {
    std::string why = WhyNoNode(item, sax.items);
    if (!why.empty()) return sax.Fail(why);
    if (page.nodes.size() == kMaxListNodes) {
      return sax.Fail("more than " + std::to_string(kMaxListNodes) + " items");
    }
    page.nodes.push_back(std::move(item.node));
    stream.Mark();
    return true;
  };
  PODROUTE_RETURN_IF_ERROR(ParseJsonValue(stream, sax));
  PODROUTE_RETURN_IF_ERROR(CheckList(sax));
  PODROUTE_RETURN_IF_ERROR(ExpectEnd(stream));
  page.resource_version = std::move(sax.list_version);
  page.continue_token = std::move(sax.list_continue);
  return page;
}

Result<std::vector<Node>> DecodeNodesText(std::string_view json) {
  {
    TextBody body(json);
    JsonStream stream(body, SystemClock(), kMaxObjectBytes);
    NodeSax sax(JsonPlace::kObject, stream);
    Status status = ParseJsonValue(stream, sax);
    if (status.ok()) status = ExpectEnd(stream);
    if (status.ok() && sax.object.kind == "Node") {
      if (sax.object.node.name.empty()) {
        return Status(StatusCode::kInvalidArgument, "the Node has no metadata.name");
      }
      return std::vector<Node>{std::move(sax.object.node)};
    }
  }
  TextBody body(json);
  Result<NodeListPage> page = DecodeNodeList(body, SystemClock());
  if (!page.ok()) {
    return Status(StatusCode::kInvalidArgument,
                  page.status().message() +
                      "; the output of `kubectl get nodes -o json` or `-o yaml` would be right");
  }
  return std::move(page->nodes);
}

}  // namespace podroute
