#include "tests/apiserver/negotiation.h"

#include <string>
#include <utility>

namespace podroute {

bool WantsTable(const ApiRequest& request) {
  size_t at = request.accept.find("as=Table");
  if (at == std::string::npos) return false;
  // The first alternative that asks for it must ask for v1.
  size_t end = std::min(request.accept.find(',', at), request.accept.size());
  return request.accept.substr(0, end).find("v=v1;") != std::string::npos ||
         request.accept.substr(0, end).ends_with("v=v1");
}

TableObjects TableObjectsOf(const ApiRequest& request) {
  const std::string& include = request.Query("includeObject");
  if (include == "None") return TableObjects::kNone;
  return include == "Object" ? TableObjects::kObject : TableObjects::kMetadata;
}

bool WantsPretty(const ApiRequest& request) {
  auto it = request.query.find("pretty");
  if (it != request.query.end()) return it->second != "0" && it->second != "false";
  for (std::string_view agent : {"curl", "Wget", "Mozilla/5.0"}) {
    if (request.user_agent.starts_with(agent)) return true;
  }
  return false;
}

ApiResponse JsonResponse(const ApiRequest& request, int status, std::string_view json) {
  ApiResponse response;
  response.status = status;
  response.pretty = WantsPretty(request);
  response.body = response.pretty ? Prettify(json) : std::string(json) + "\n";
  return response;
}

ApiResponse ListResponse(const ApiRequest& request, const ResourceType& type,
                         std::vector<ObjectPtr> items, std::string_view metadata,
                         int64_t now_seconds) {
  if (WantsTable(request)) {
    return JsonResponse(
        request, 200, TableJson(type, items, metadata, TableObjectsOf(request), true, now_seconds));
  }
  ApiResponse response;
  response.is_list = true;
  response.pretty = WantsPretty(request);
  std::string head = "{\"kind\":" + Quoted(std::string(type.kind) + "List") +
                     ",\"apiVersion\":" + Quoted(type.ApiVersion()) +
                     ",\"metadata\":" + std::string(metadata) + ",\"items\":[";
  response.tail = "]}\n";
  if (response.pretty) {
    head = Prettify(head + (items.empty() ? "]}" : "0]}"));
    // Cut where the items go.
    response.tail = items.empty() ? "]\n}" : "\n  ]\n}";
    head.resize(head.size() - (items.empty() ? 3 : 12));
  }
  response.body = std::move(head);
  response.items = std::move(items);
  return response;
}

bool BodyReader::Read(size_t size, std::string* out) {
  if (ended_) return false;
  size_t begin = out->size();
  if (!begun_) *out += response_.body;
  begun_ = true;
  if (!response_.is_list) {
    ended_ = true;
    return true;
  }
  while (next_item_ < response_.items.size() && out->size() - begin < size) {
    ObjectPtr object = std::move(response_.items[next_item_]);
    bool first = next_item_++ == 0;
    if (!first) *out += ',';
    if (response_.pretty) {
      *out += "\n    ";
      *out += Prettify("{" + std::string(object->item_tail()), 2);
    } else {
      *out += '{';
      *out += object->item_tail();
    }
  }
  if (next_item_ == response_.items.size()) {
    *out += response_.tail;
    ended_ = true;
  }
  return true;
}

}  // namespace podroute
