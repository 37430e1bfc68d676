#include "controller/node_source.h"

#include <gtest/gtest.h>

#include <fstream>

namespace podroute {
namespace {

std::string WriteFile(const std::string& content) {
  std::string path = testing::TempDir() + "/nodes";
  std::ofstream(path) << content;
  return path;
}

const char kJson[] = R"({"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[
  {"apiVersion":"v1","kind":"Node","metadata":{"name":"b","creationTimestamp":"2026-01-02T03:04:05Z"},
   "spec":{"podCIDR":"10.244.2.0/24"},"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.2"}]}},
  {"apiVersion":"v1","kind":"Node","metadata":{"name":"a"},"spec":{}}]})";

const char kYaml[] = R"(apiVersion: v1
items:
- apiVersion: v1
  kind: Node
  metadata:
    annotations:
      node.alpha.kubernetes.io/ttl: "0"
    creationTimestamp: "2026-01-02T03:04:05Z"
    name: b
  spec:
    podCIDR: 10.244.2.0/24
    podCIDRs:
    - 10.244.2.0/24
    - fd00:10:244:2::/64
  status:
    addresses:
    - address: 192.168.0.2
      type: InternalIP
    - address: b
      type: Hostname
- apiVersion: v1
  kind: Node
  metadata:
    name: a
  spec: {}
kind: List
metadata:
  resourceVersion: ""
)";

TEST(NodesFromFileTest, ReadsWhatKubectlPrintsAsJson) {
  Result<NodeList> nodes = NodesFromFile(WriteFile(kJson));
  ASSERT_TRUE(nodes.ok()) << nodes.status().message();
  ASSERT_EQ(nodes->size(), 2u);
  EXPECT_EQ((*nodes)[0]->name, "a");
  EXPECT_EQ((*nodes)[1]->pod_cidrs, std::vector<std::string>{"10.244.2.0/24"});
  EXPECT_EQ((*nodes)[1]->creation_seconds, 1767323045);
}

TEST(NodesFromFileTest, ReadsWhatKubectlPrintsAsYaml) {
  Result<NodeList> nodes = NodesFromFile(WriteFile(kYaml));
  ASSERT_TRUE(nodes.ok()) << nodes.status().message();
  ASSERT_EQ(nodes->size(), 2u);
  EXPECT_EQ((*nodes)[1]->pod_cidrs,
            (std::vector<std::string>{"10.244.2.0/24", "fd00:10:244:2::/64"}));
  EXPECT_EQ((*nodes)[1]->internal_ips, std::vector<std::string>{"192.168.0.2"});
  EXPECT_EQ((*nodes)[1]->creation_seconds, 1767323045);
}

TEST(NodesFromFileTest, BadFilesGetOneLineThatNamesThem) {
  for (const char* content : {"", "  \n", "{", "[]", "{\"kind\":\"PodList\",\"items\":[]}", "a: [",
                              "just text", "<html></html>", "kind: List\nitems: 7\n"}) {
    std::string path = WriteFile(content);
    Result<NodeList> nodes = NodesFromFile(path);
    ASSERT_FALSE(nodes.ok()) << content;
    EXPECT_NE(nodes.status().message().find(path), std::string::npos) << nodes.status().message();
    EXPECT_EQ(nodes.status().message().find('\n'), std::string::npos);
  }
  EXPECT_EQ(NodesFromFile("/nonexistent").status().message(),
            "--from_file: open /nonexistent: No such file or directory");
}

}  // namespace
}  // namespace podroute
