#include "tests/apiserver/node_factory.h"

#include <cstdio>

namespace podroute {

namespace {

std::string Condition(const std::string& type, const std::string& status,
                      const std::string& reason) {
  return R"({"type":")" + type + R"(","status":")" + status +
         R"(","lastHeartbeatTime":"2026-11-22T21:00:00Z",)"
         R"("lastTransitionTime":"2026-11-22T21:00:00Z","reason":")" +
         reason + R"(","message":"kubelet says )" + reason + R"("})";
}

std::string Image(size_t number) {
  char digest[65];
  std::snprintf(digest, sizeof(digest), "%064zx", number * 2654435761u);
  std::string name = "registry.example.com/team-" + std::to_string(number % 7) + "/service-" +
                     std::to_string(number);
  return R"({"names":[")" + name + "@sha256:" + digest + R"(",")" + name + R"(:v1.)" +
         std::to_string(number) + R"(.0"],"sizeBytes":)" +
         std::to_string(40000000 + number * 1000) + "}";
}

}  // namespace

std::string NodeJson(const std::string& prefix, size_t index, size_t bytes, bool dual_stack) {
  std::string name = prefix + std::to_string(index);
  std::string cidr =
      "10." + std::to_string(index >> 8) + "." + std::to_string(index & 255) + ".0/24";
  size_t host = index + 1;
  std::string address = "172." + std::to_string(16 + (host >> 16)) + "." +
                        std::to_string(host >> 8 & 255) + "." + std::to_string(host & 255);
  std::string cidrs = "\"" + cidr + "\"";
  std::string addresses = R"({"type":"InternalIP","address":")" + address + "\"}";
  if (dual_stack) {
    char text[64];
    std::snprintf(text, sizeof(text), "fd00:10:%zx:%zx", index >> 8, index & 255);
    cidrs += ",\"" + std::string(text) + "::/64\"";
    std::snprintf(text, sizeof(text), "fd00:ac::%zx", host);
    addresses += R"(,{"type":"InternalIP","address":")" + std::string(text) + "\"}";
  }
  std::string json =
      R"({"kind":"Node","apiVersion":"v1","metadata":{"name":")" + name +
      R"(","labels":{"beta.kubernetes.io/arch":"amd64","kubernetes.io/arch":"amd64",)"
      R"("kubernetes.io/hostname":")" +
      name +
      R"(","kubernetes.io/os":"linux"},"annotations":{"node.alpha.kubernetes.io/ttl":"0"}},)"
      R"("spec":{"podCIDR":")" +
      cidr + R"(","podCIDRs":[)" + cidrs +
      R"(]},"status":{"capacity":{"cpu":"8","memory":"32879364Ki","pods":"110"},)"
      R"("allocatable":{"cpu":"8","memory":"32776964Ki","pods":"110"},"conditions":[)" +
      Condition("MemoryPressure", "False", "KubeletHasSufficientMemory") + "," +
      Condition("DiskPressure", "False", "KubeletHasNoDiskPressure") + "," +
      Condition("PIDPressure", "False", "KubeletHasSufficientPID") + "," +
      Condition("Ready", "True", "KubeletReady") + R"(],"addresses":[)" + addresses +
      R"(,{"type":"Hostname","address":")" + name +
      R"("}],"nodeInfo":{"machineID":"0","systemUUID":"0","bootID":"0","kernelVersion":"6.1.0",)"
      R"("osImage":"Debian GNU/Linux 12","containerRuntimeVersion":"containerd://1.6.20",)"
      R"("kubeletVersion":"v1.20.2","kubeProxyVersion":"v1.20.2","operatingSystem":"linux",)"
      R"("architecture":"amd64"})";
  if (json.size() < bytes) {
    json += ",\"images\":[" + Image(0);
    for (size_t i = 1; json.size() < bytes; ++i) json += "," + Image(i);
    json += "]";
  }
  return json + "}}";
}

}  // namespace podroute
