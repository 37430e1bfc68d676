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

// The text at `outer`.`inner` (or `outer` alone) of the YAML under `key` of a ConfigMap.
std::optional<std::string> ConfigText(HttpTransport& transport, const std::string& name,
                                      const std::string& key, const std::string& outer,
                                      const std::string& inner, std::vector<Skipped>* skipped) {
  const std::string show = "ConfigMap kube-system/" + name;
  Result<YamlValue> map = Get(transport, "/api/v1/namespaces/kube-system/configmaps/" + name);
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
  if (!config.ok()) {
    skipped->push_back({show, config.status().message()});
    return std::nullopt;
  }
  const YamlValue* value = config->Find(outer);
  if (value != nullptr && !inner.empty()) value = value->Find(inner);
  if (value == nullptr || value->text.empty()) return std::nullopt;
  return value->text;
}

}  // namespace

void GatherConfigMaps(HttpTransport& transport, ClusterFacts* cluster,
                      std::vector<Skipped>* skipped) {
  cluster->kube_proxy_cidr =
      ConfigText(transport, "kube-proxy", "config.conf", "clusterCIDR", "", skipped);
  cluster->kubeadm_cidr = ConfigText(transport, "kubeadm-config", "ClusterConfiguration",
                                     "networking", "podSubnet", skipped);
}

}  // namespace podroute
