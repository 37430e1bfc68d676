#include "k8sclient/server_url.h"

#include <algorithm>
#include <charconv>

#include "base/ip_prefix.h"
#include "base/text.h"

namespace podroute {
namespace {

Status Wrong(std::string_view why) {
  return Status(StatusCode::kInvalidArgument, std::string(why));
}

bool IsHostName(std::string_view host) {
  constexpr size_t kMaxNameBytes = 253;
  return !host.empty() && host.size() <= kMaxNameBytes &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

// "10.0.0.300" is no name that anybody meant.
bool LooksLikeV4(std::string_view host) {
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return Wrong("the port is not a number from 1 to 65535");
  }
  return port;
}

// What follows the scheme: host[:port][/path].
Result<ServerUrl> ParseAuthority(std::string_view rest, bool https) {
  ServerUrl url{
      .https = https, .host = {}, .port = static_cast<uint16_t>(https ? 443 : 80), .path = {}};
  if (rest.find_first_of("?#") != std::string_view::npos)
    return Wrong("it has a query or fragment");
  size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  url.path = rest.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  if (authority.find('@') != std::string_view::npos) return Wrong("it has a user name in it");
  std::string_view host = authority;
  std::string_view port;
  bool bracketed = authority.starts_with('[');
  size_t colon = authority.rfind(':');
  if (bracketed) {
    size_t close = authority.find(']');
    if (close == std::string_view::npos) return Wrong("it has a [ without a ]");
    host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
    Result<IpAddress> address = IpAddress::Parse(host);
    if (!address.ok() || address->is_v4()) return Wrong("no IPv6 address is in the brackets");
  } else if (colon != std::string_view::npos) {
    if (authority.find(':') != colon) return Wrong("an IPv6 address needs brackets around it");
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty()) {
    if (port[0] != ':') return Wrong("something other than :port follows the ]");
    PODROUTE_ASSIGN_OR_RETURN(url.port, ParsePort(port.substr(1)));
  }
  if (!bracketed && (!IsHostName(host) || (LooksLikeV4(host) && !IpAddress::Parse(host).ok()))) {
    return Wrong(host.empty() ? "it has no host" : "its host is neither a name nor an IP address");
  }
  url.host = host;
  return url;
}

// Messages must not show a password.
std::string Shown(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return "the value";
  return '"' + Printable(text, 100) + '"';
}

bool HasBadCharacters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>';
  });
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

Result<ServerUrl> ParseServerUrl(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument, Shown(text) +
                                                    " is not a server URL: " + std::string(why) +
                                                    "; https://HOST:PORT would be right");
  };
  if (HasBadCharacters(text)) return wrong("it has white space or other characters no URL has");
  size_t mark = text.find("://");
  if (mark == std::string_view::npos) return wrong("it has no https:// in front");
  std::string scheme = LowerCase(text.substr(0, mark));
  if (scheme != "https" && scheme != "http") return wrong("it is neither https nor http");
  Result<ServerUrl> url = ParseAuthority(text.substr(mark + 3), scheme == "https");
  if (!url.ok()) return wrong(url.status().message());
  return url;
}

Result<ServerUrl> ParseProxyUrl(std::string_view text) {
  auto wrong = [&](StatusCode code, std::string_view why) {
    return Status(code, Shown(text) + " is not a usable proxy URL: " + std::string(why) +
                            "; http://HOST:PORT would be right");
  };
  if (HasBadCharacters(text)) {
    return wrong(StatusCode::kInvalidArgument, "it has white space or other characters no URL has");
  }
  size_t mark = text.find("://");
  std::string scheme = mark == std::string_view::npos ? "http" : LowerCase(text.substr(0, mark));
  std::string_view rest = mark == std::string_view::npos ? text : text.substr(mark + 3);
  if (scheme != "http") {
    return wrong(StatusCode::kUnsupported, scheme + " proxies are not supported");
  }
  if (rest.find('@') != std::string_view::npos) {
    return wrong(StatusCode::kUnsupported, "proxies that want a user name are not supported");
  }
  Result<ServerUrl> url = ParseAuthority(rest, false);
  if (!url.ok()) return wrong(StatusCode::kInvalidArgument, url.status().message());
  if (!url->path.empty()) return wrong(StatusCode::kInvalidArgument, "it has a path");
  return url;
}

}  // namespace podroute
