#include "controller/node_source.h"

#include <unistd.h>

#include <map>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "k8sclient/list_watch.h"
#include "k8sclient/node_decoder.h"
#include "k8sclient/yaml_value.h"

namespace podroute {
namespace {

// 15,000 Nodes of 14.4 KB, indented by kubectl, are some 500 MB.
constexpr size_t kMaxNodesFileBytes = size_t{2} << 30;
constexpr size_t kMaxYamlValues = 50'000'000;
constexpr int kPageSize = 500;

NodeList ByName(std::vector<Node> nodes) {
  std::map<std::string, std::shared_ptr<const Node>> by_name;
  for (Node& node : nodes) {
    std::string name = node.name;
    by_name.insert_or_assign(std::move(name), std::make_shared<const Node>(std::move(node)));
  }
  NodeList list;
  list.reserve(by_name.size());
  for (auto& [name, node] : by_name) list.push_back(std::move(node));
  return list;
}

Result<std::vector<Node>> ParseNodes(const std::string& text, const std::string& name) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) {
    return Status(StatusCode::kInvalidArgument,
                  name + ": empty; it should hold what `kubectl get nodes -o json` prints");
  }
  Result<std::vector<Node>> nodes = Status(StatusCode::kInternal, "");
  if (text[first] == '{') {
    nodes = DecodeNodesText(text);
  } else {
    PODROUTE_ASSIGN_OR_RETURN(YamlValue yaml, ParseYaml(text, name, kMaxYamlValues));
    nodes = DecodeNodesText(ToJson(yaml));
  }
  if (!nodes.ok()) return nodes.status().WithContext(name);
  return nodes;
}

}  // namespace

Result<NodeList> NodesFromFile(const std::string& path) {
  std::string name = path == "-" ? "standard input" : path;
  Result<std::string> text = path == "-" ? ReadAll(STDIN_FILENO, name, kMaxNodesFileBytes)
                                         : ReadFile(path, kMaxNodesFileBytes);
  if (!text.ok()) return text.status().WithContext("--from_file");
  PODROUTE_ASSIGN_OR_RETURN(std::vector<Node> nodes, ParseNodes(*text, name));
  return ByName(std::move(nodes));
}

Result<NodeList> NodesFromCluster(HttpTransport& transport, const Clock& clock) {
  std::vector<Node> nodes;
  std::string token;
  do {
    std::unique_ptr<BodyStream> body;
    ApiError error =
        OpenBody(transport, ListTarget("", kPageSize, token), std::chrono::seconds(30), &body);
    if (!error.ok()) return error.status.WithContext("list nodes");
    PODROUTE_ASSIGN_OR_RETURN(NodeListPage page, DecodeNodeList(*body, clock));
    nodes.insert(nodes.end(), std::make_move_iterator(page.nodes.begin()),
                 std::make_move_iterator(page.nodes.end()));
    token = page.continue_token;
  } while (!token.empty());
  return ByName(std::move(nodes));
}

}  // namespace podroute
