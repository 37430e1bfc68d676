#include "tests/bench/bench_node.h"

#include <cstdio>

namespace podroute {
namespace {

constexpr uint32_t kFirstPodCidr = 0x0a000000;   // 10.0.0.0
constexpr uint32_t kFirstAddress = 0xc0a80100;   // 192.168.1.0, of node 1 ...
constexpr uint32_t kAddressOfZero = 0xc0a80002;  // ... for node 0 is 192.168.0.2.

std::string ManagedFields() {
  std::string json;
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
  return json;
}

std::string Conditions(uint64_t version) {
  char heartbeat[32];
  snprintf(heartbeat, sizeof heartbeat, "2026-11-22T%02u:%02u:%02uZ",
           static_cast<unsigned>(version / 3600 % 24), static_cast<unsigned>(version / 60 % 60),
           static_cast<unsigned>(version % 60));
  std::string json;
  for (const char* type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
    json += std::string(R"({"type":")") + type + R"(","status":"False","lastHeartbeatTime":")" +
            heartbeat + R"(","lastTransitionTime":"2026-11-22T21:00:00Z","reason":"KubeletIsSo",)" +
            R"("message":"kubelet is posting status"},)";
  }
  return json + R"({"type":"NetworkUnavailable","status":"False","reason":"RouteCreated"})";
}

}  // namespace

BenchNode MakeBenchNode(size_t i, bool dual_stack) {
  const uint32_t n = static_cast<uint32_t>(i);
  BenchNode node;
  node.name = "worker-" + std::to_string(i) + ".cluster.example.org";
  node.pod_cidr = IpPrefix::Of(IpAddress::V4(kFirstPodCidr + (n << 8)), 24);
  node.internal_ip = IpAddress::V4(n == 0 ? kAddressOfZero : kFirstAddress + n);
  node.resource_version = 1000000 + i;
  if (dual_stack) {
    char number[8];
    snprintf(number, sizeof number, "%x", static_cast<unsigned>(n) + 2);
    node.pod_cidr_v6 = IpPrefix::Parse(std::string("fd00:10:") + number + "::/64").value();
    node.internal_ip_v6 = IpAddress::Parse(std::string("fd00:192::") + number).value();
  }
  return node;
}

std::string NodeJson(const BenchNode& node) {
  const std::string cidr = node.pod_cidr.ToString();
  const std::string v6_cidr =
      node.pod_cidr_v6 ? R"(",")" + node.pod_cidr_v6->ToString() : std::string();
  const std::string v6_address =
      node.internal_ip_v6
          ? R"({"type":"InternalIP","address":")" + node.internal_ip_v6->ToString() + R"("},)"
          : std::string();
  std::string json =
      R"({"metadata":{"name":")" + node.name +
      R"(","uid":"4b81b51d-7966-4fe5-96b4-f0e31d518b7f","resourceVersion":")" +
      std::to_string(node.resource_version) +
      R"(","creationTimestamp":"2026-11-22T21:31:08Z","labels":{)" +
      R"("beta.kubernetes.io/arch":"amd64","kubernetes.io/hostname":")" + node.name +
      R"(","topology.kubernetes.io/zone":"a"},"annotations":{"volumes.kubernetes.io/x":"true"},)" +
      R"("managedFields":[)" + ManagedFields() + R"(]},"spec":{"podCIDR":")" + cidr +
      R"(","podCIDRs":[")" + cidr + v6_cidr +
      R"("],"providerID":"x://worker"},"status":{"capacity":{)" +
      R"("cpu":"8","memory":"32Gi"},"conditions":[)" + Conditions(node.resource_version) +
      R"(],"addresses":[{"type":"InternalIP","address":")" + node.internal_ip.ToString() +
      R"("},)" + v6_address + R"({"type":"Hostname","address":"worker"}],"images":[)";
  for (int i = 0;; ++i) {
    std::string image = std::string(i > 0 ? "," : "") +
                        R"({"names":["registry.example.org/team/image)" + std::to_string(i) +
                        "@sha256:" + std::string(64, 'e') + R"("],"sizeBytes":123456789})";
    if (json.size() + image.size() + 4 > kBenchNodeBytes) break;
    json += image;
  }
  return json + "]}}";
}

std::string EventJson(const std::string& type, const BenchNode& node) {
  return R"({"type":")" + type + R"(","object":)" + NodeJson(node) + "}\n";
}

}  // namespace podroute
