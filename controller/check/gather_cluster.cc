#include <chrono>

#include "controller/check/gather.h"
#include "k8sclient/list_watch.h"
#include "k8sclient/yaml_value.h"

namespace podroute {
namespace {

Result<YamlValue> Get(HttpTransport& transport, const std::string& target) {
  std::unique_ptr<BodyStream> body;
  ApiError error = OpenBody(transport, target, std::chrono::seconds(10), &body);
  if (!error.ok()) return error.status;
  PODROUTE_ASSIGN_OR_RETURN(std::string text, ReadBody(*body, size_t{4} << 20));
  return ParseYaml(text, target);
}

// The YAML under `key` of a ConfigMap; `*there` says whether there is such a ConfigMap.
std::optional<YamlValue> Config(HttpTransport& transport, const std::string& name,
                                const std::string& key, bool* there,
                                std::vector<Skipped>* skipped) {
  const std::string show = "ConfigMap kube-system/" + name;
  Result<YamlValue> map = Get(transport, "/api/v1/namespaces/kube-system/configmaps/" + name);
  *there = map.ok();
  if (!map.ok()) {
    // Not every cluster is kubeadm's.
    if (map.status().code() != StatusCode::kNotFound) {
      skipped->push_back({show, map.status().message()});
    }
    return std::nullopt;
  }
  const YamlValue* data = map->Find("data");
  const YamlValue* text = data == nullptr ? nullptr : data->Find(key);
  if (text == nullptr) return std::nullopt;
  Result<YamlValue> config = ParseYaml(text->text, show);
  if (config.ok()) return *config;
  skipped->push_back({show, config.status().message()});
  return std::nullopt;
}

std::optional<std::string> Text(const YamlValue* value) {
  if (value == nullptr) return std::nullopt;
  // What should be text and is a list is shown as one.
  if (value->kind == YamlValue::Kind::kList) {
    std::string list;
    for (const YamlValue& item : value->items) list += (list.empty() ? "" : ", ") + item.text;
    return "[" + list + "]";
  }
  if (value->text.empty()) return std::nullopt;
  return value->text;
}

}  // namespace

void GatherConfigMaps(HttpTransport& transport, ClusterFacts* cluster,
                      std::vector<Skipped>* skipped) {
  auto kube_proxy = Config(transport, "kube-proxy", "config.conf", &cluster->kube_proxy, skipped);
  if (kube_proxy) {
    cluster->kube_proxy_cidr = Text(kube_proxy->Find("clusterCIDR"));
    cluster->detect_local_mode = Text(kube_proxy->Find("detectLocalMode")).value_or("");
  }
  bool there = false;
  auto kubeadm = Config(transport, "kubeadm-config", "ClusterConfiguration", &there, skipped);
  const YamlValue* networking = kubeadm ? kubeadm->Find("networking") : nullptr;
  if (networking != nullptr) cluster->kubeadm_cidr = Text(networking->Find("podSubnet"));
}

}  // namespace podroute
