#include "k8sclient/proxy_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace podroute {
namespace {

using ::testing::HasSubstr;

TEST(NoProxyTest, MatchesAsGoDoes) {
  struct {
    const char* no_proxy;
    const char* host;
    uint16_t port;
    bool exempt;
  } cases[] = {
      {"", "api.example.com", 443, false},
      {"", "localhost", 443, true},
      {"", "127.0.0.2", 443, true},
      {"", "::1", 443, true},
      {"*", "api.example.com", 443, true},
      {"a, * ,b", "api.example.com", 443, true},
      {"example.com", "example.com", 443, true},
      {"example.com", "api.example.com", 443, true},
      {"example.com", "notexample.com", 443, false},
      {".example.com", "api.example.com", 443, true},
      {".example.com", "example.com", 443, false},
      {"*.example.com", "a.b.example.com", 443, true},
      {"*.example.com", "example.com", 443, false},
      {"EXAMPLE.com", "Api.Example.COM", 443, true},
      {"example.com:6443", "api.example.com", 6443, true},
      {"example.com:6443", "api.example.com", 443, false},
      {"10.0.0.1", "10.0.0.1", 443, true},
      {"10.0.0.1", "10.0.0.10", 443, false},
      {"10.0.0.1:6443", "10.0.0.1", 6443, true},
      {"10.0.0.1:6443", "10.0.0.1", 443, false},
      {"10.0.0.0/8", "10.1.2.3", 443, true},
      {"10.1.2.3/8", "10.200.0.1", 443, true},
      {"10.0.0.0/8", "11.0.0.1", 443, false},
      {"10.0.0.0/8", "ten.example.com", 443, false},
      {"10.0.0.0/33,10.0.0.0/,10.0.0.0/x,/8", "10.0.0.1", 443, false},
      {"fd00::/8", "fd00::1", 443, true},
      {"fd00::1", "fd00::1", 443, true},
      {"fd00:0::1", "fd00::1", 443, true},
      {"[fd00::1]", "fd00::1", 443, true},
      {"[fd00::1]:6443", "fd00::1", 6443, true},
      {"[fd00::1]:6443", "fd00::1", 443, false},
      {",, ,", "h", 443, false},
      {":443", "h", 443, false},
      {".", "h", 443, false},
      {" svc , cluster.local ", "kubernetes.default.svc", 443, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.no_proxy) + " and " + c.host + " " + std::to_string(c.port));
    EXPECT_EQ(IsExemptFromProxy(c.no_proxy, c.host, c.port), c.exempt);
  }
}

TEST(ProxyFromEnvironmentTest, ChoosesTheVariableByScheme) {
  using Variables = std::map<std::string, std::string>;
  struct {
    Variables variables;
    bool https;
    const char* proxy;
  } cases[] = {
      {{}, true, ""},
      {{{"HTTPS_PROXY", "http://s:1"}, {"HTTP_PROXY", "http://p:1"}}, true, "s"},
      {{{"HTTPS_PROXY", "http://s:1"}, {"HTTP_PROXY", "http://p:1"}}, false, "p"},
      {{{"HTTP_PROXY", "http://p:1"}}, true, ""},
      {{{"https_proxy", "http://lower:1"}}, true, "lower"},
      {{{"https_proxy", "http://lower:1"}, {"HTTPS_PROXY", "upper:1"}}, true, "upper"},
      {{{"HTTPS_PROXY", "http://s:1"}, {"NO_PROXY", "api.lan"}}, true, ""},
      {{{"HTTPS_PROXY", "http://s:1"}, {"no_proxy", "lan"}}, true, ""},
      // Not used, so not judged either.
      {{{"HTTPS_PROXY", "socks5://s:1"}, {"no_proxy", "lan"}}, true, ""},
  };
  for (const auto& c : cases) {
    auto lookup = [&](const std::string& name) {
      auto it = c.variables.find(name);
      return it == c.variables.end() ? "" : it->second;
    };
    auto proxy = ProxyFromEnvironment(
        {.https = c.https, .host = "api.lan", .port = 6443, .path = ""}, lookup);
    ASSERT_TRUE(proxy.ok()) << proxy.status().message();
    EXPECT_EQ(*proxy ? (*proxy)->host : "", c.proxy);
  }
}

TEST(ProxyFromEnvironmentTest, AnErrorNamesTheVariable) {
  auto proxy = ProxyFromEnvironment(
      {.https = true, .host = "api.lan", .port = 6443, .path = ""},
      [](const std::string& name) { return name == "https_proxy" ? "socks5://s:1" : ""; });
  EXPECT_THAT(proxy.status().message(), HasSubstr("environment variable https_proxy: "));
  EXPECT_THAT(proxy.status().message(), HasSubstr("socks5 proxies are not supported"));
}

}  // namespace
}  // namespace podroute
