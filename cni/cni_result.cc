#include "cni/cni_result.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <array>
#include <limits>
#include <utility>

namespace podroute {
namespace {

constexpr std::array<std::pair<std::string_view, CniVersion>, 5> kVersions = {{
    {"0.3.0", CniVersion::k030},
    {"0.3.1", CniVersion::k031},
    {"0.4.0", CniVersion::k040},
    {"1.0.0", CniVersion::k100},
    {"1.1.0", CniVersion::k110},
}};

// Whether the kernel's, the runtime's and other plugins' text may stand in JSON as it is.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || i + size > text.size()) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    if (size > 2) {
      // No surrogates, nothing overlong, nothing beyond U+10FFFF.
      auto second = static_cast<unsigned char>(text[i + 1]);
      if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
          (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
        return false;
      }
    }
    i += size;
  }
  return true;
}

// A thin writer that knows what the format leaves out when it is empty.
class Json {
 public:
  void Begin() { writer_.StartObject(); }
  void End() { writer_.EndObject(); }
  void BeginArray(std::string_view key) {
    Key(key);
    writer_.StartArray();
  }
  void EndArray() { writer_.EndArray(); }
  void Key(std::string_view key) {
    writer_.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  }
  void String(std::string_view text) {
    std::string readable;
    if (!IsUtf8(text)) {
      readable = text;
      for (char& c : readable) {
        if (static_cast<unsigned char>(c) >= 0x80) c = '?';
      }
      text = readable;
    }
    writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  }
  void Field(std::string_view key, std::string_view text) {
    Key(key);
    String(text);
  }
  void FieldUnlessEmpty(std::string_view key, std::string_view text) {
    if (!text.empty()) Field(key, text);
  }
  void Field(std::string_view key, uint64_t number) {
    Key(key);
    writer_.Uint64(number);
  }
  void FieldUnlessEmpty(std::string_view key, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    BeginArray(key);
    for (const std::string& text : texts) String(text);
    EndArray();
  }
  std::string text() const { return {buffer_.GetString(), buffer_.GetSize()}; }

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

void WriteInterface(Json& json, const CniInterface& interface, CniVersion version) {
  json.Begin();
  json.Field("name", interface.name);
  json.FieldUnlessEmpty("mac", interface.mac);
  if (version >= CniVersion::k110 && interface.mtu != 0) json.Field("mtu", uint64_t{interface.mtu});
  json.FieldUnlessEmpty("sandbox", interface.sandbox);
  json.End();
}

void WriteIp(Json& json, const CniIp& ip, CniVersion version) {
  json.Begin();
  if (version < CniVersion::k100) json.Field("version", ip.address.address.is_v4() ? "4" : "6");
  if (ip.interface) json.Field("interface", static_cast<uint64_t>(*ip.interface));
  json.Field("address", ip.address.ToString());
  if (ip.gateway) json.Field("gateway", ip.gateway->ToString());
  json.End();
}

void WriteRoute(Json& json, const CniRoute& route, CniVersion version) {
  json.Begin();
  json.Field("dst", route.dst.ToString());
  if (route.gateway) json.Field("gw", route.gateway->ToString());
  if (version >= CniVersion::k110) {
    if (route.mtu != 0) json.Field("mtu", uint64_t{route.mtu});
    if (route.advmss != 0) json.Field("advmss", uint64_t{route.advmss});
    if (route.priority) json.Field("priority", uint64_t{*route.priority});
    if (route.table) json.Field("table", uint64_t{*route.table});
    if (route.scope) json.Field("scope", uint64_t{*route.scope});
  }
  json.End();
}

void WriteDns(Json& json, const CniDns& dns) {
  json.Key("dns");
  json.Begin();
  json.FieldUnlessEmpty("nameservers", dns.nameservers);
  json.FieldUnlessEmpty("domain", dns.domain);
  json.FieldUnlessEmpty("search", dns.search);
  json.FieldUnlessEmpty("options", dns.options);
  json.End();
}

// "10.244.2.7/24": an address that keeps its host bits.
std::optional<IpWithLength> ParseIpWithLength(const std::string& text) {
  size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(std::string_view(text).substr(0, slash));
  if (!address.ok()) return std::nullopt;
  // The length's own rules are IpPrefix's: lend it an address without host bits.
  Result<IpPrefix> length =
      IpPrefix::Parse((address->is_v4() ? "0.0.0.0" : "::") + text.substr(slash));
  if (!length.ok()) return std::nullopt;
  return IpWithLength{*address, length->length()};
}

std::optional<IpAddress> ReadAddress(const JsonReader& reader, const char* key) {
  std::string text = reader.String(key);
  if (text.empty()) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) {
    reader.Complain(key, address.status().message());
    return std::nullopt;
  }
  return *address;
}

}  // namespace

std::string_view CniVersionText(CniVersion version) {
  return kVersions[static_cast<size_t>(version)].first;
}

std::optional<CniVersion> ParseCniVersion(std::string_view text) {
  for (const auto& [name, version] : kVersions) {
    if (name == text) return version;
  }
  return std::nullopt;
}

std::string SupportedCniVersions() {
  std::string text;
  for (const auto& [name, version] : kVersions) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string RenderResult(const CniResult& result, CniVersion version) {
  Json json;
  json.Begin();
  json.Field("cniVersion", CniVersionText(version));
  if (!result.interfaces.empty()) {
    json.BeginArray("interfaces");
    for (const CniInterface& interface : result.interfaces) {
      WriteInterface(json, interface, version);
    }
    json.EndArray();
  }
  if (!result.ips.empty()) {
    json.BeginArray("ips");
    for (const CniIp& ip : result.ips) WriteIp(json, ip, version);
    json.EndArray();
  }
  if (!result.routes.empty()) {
    json.BeginArray("routes");
    for (const CniRoute& route : result.routes) WriteRoute(json, route, version);
    json.EndArray();
  }
  WriteDns(json, result.dns);
  json.End();
  return json.text();
}

std::string RenderError(const CniError& error, CniVersion version) {
  Json json;
  json.Begin();
  json.Field("cniVersion", CniVersionText(version));
  json.Field("code", uint64_t{error.number()});
  json.Field("msg", error.message);
  json.FieldUnlessEmpty("details", error.details);
  json.End();
  return json.text();
}

std::string RenderVersion(std::string_view asked) {
  Json json;
  json.Begin();
  json.Field("cniVersion", asked.empty() ? CniVersionText(kNewestCniVersion) : asked);
  json.BeginArray("supportedVersions");
  for (const auto& [name, version] : kVersions) json.String(name);
  json.EndArray();
  json.End();
  return json.text();
}

CniDns ReadDns(const JsonReader& reader) {
  CniDns dns;
  dns.nameservers = reader.Strings("nameservers");
  dns.domain = reader.String("domain");
  dns.search = reader.Strings("search");
  dns.options = reader.Strings("options");
  return dns;
}

std::vector<CniRoute> ReadRoutes(const JsonReader& reader, const char* key) {
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  std::vector<CniRoute> routes;
  reader.Objects(key, [&](const JsonReader& element) {
    CniRoute route;
    std::optional<IpWithLength> dst = ParseIpWithLength(element.String("dst"));
    if (!dst) {
      element.Complain("dst", "must be a prefix such as \"10.0.0.0/8\"");
      return;
    }
    route.dst = dst->subnet();  // Host bits are forgiven, as the reference plugins do.
    route.gateway = ReadAddress(element, "gw");
    if (route.gateway && route.gateway->family() != route.dst.family()) {
      element.Complain("gw", "is of another family than dst");
    }
    route.mtu = static_cast<uint32_t>(element.Int("mtu", 0, kMax));
    route.advmss = static_cast<uint32_t>(element.Int("advmss", 0, kMax));
    auto number = [&](const char* name, int64_t max) -> std::optional<uint32_t> {
      if (element.Find(name) == nullptr) return std::nullopt;
      return static_cast<uint32_t>(element.Int(name, 0, max));
    };
    route.priority = number("priority", kMax);
    route.table = number("table", kMax);
    if (auto scope = number("scope", 255)) route.scope = static_cast<uint8_t>(*scope);
    routes.push_back(route);
  });
  return routes;
}

CniResult ReadResult(const JsonReader& reader) {
  CniResult result;
  reader.Objects("interfaces", [&](const JsonReader& element) {
    result.interfaces.push_back(
        {element.String("name"), element.String("mac"), element.String("sandbox"),
         static_cast<uint32_t>(element.Int("mtu", 0, std::numeric_limits<uint32_t>::max()))});
  });
  reader.Objects("ips", [&](const JsonReader& element) {
    CniIp ip;
    std::optional<IpWithLength> address = ParseIpWithLength(element.String("address"));
    if (!address) {
      element.Complain("address", "must be an address with a length such as \"10.244.2.7/24\"");
      return;
    }
    ip.address = *address;
    ip.gateway = ReadAddress(element, "gateway");
    if (element.Find("interface") != nullptr) {
      ip.interface = static_cast<int>(element.Int("interface", 0, 1 << 20));
    }
    result.ips.push_back(ip);
  });
  result.routes = ReadRoutes(reader, "routes");
  reader.Object("dns", [&](const JsonReader& dns) { result.dns = ReadDns(dns); });
  return result;
}

CniError ReadError(std::string_view text, std::string_view plugin) {
  CniError error{CniErrorCode::kDelegate, std::nullopt, "", ""};
  Result<rapidjson::Document> document = ParseJsonObject(text);
  if (document.ok()) {
    std::optional<std::string> problem;
    JsonReader reader(*document, "", &problem);
    int64_t code = reader.Int("code", 1, std::numeric_limits<uint32_t>::max());
    error.message = std::string(plugin) + ": " + reader.String("msg");
    error.details = reader.String("details");
    if (!problem && code != 0) {
      error.foreign_code = static_cast<unsigned>(code);
      return error;
    }
  }
  constexpr size_t kMost = 200;
  error.message = std::string(plugin) + " failed and did not say why in the CNI form";
  error.details = "it printed: " + std::string(text.substr(0, kMost));
  return error;
}

}  // namespace podroute
