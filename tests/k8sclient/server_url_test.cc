#include "k8sclient/server_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace podroute {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ServerUrlTest, GoodOnes) {
  struct {
    const char* text;
    ServerUrl url;
  } cases[] = {
      {"https://10.0.0.1:6443", {true, "10.0.0.1", 6443, ""}},
      {"https://10.0.0.1", {true, "10.0.0.1", 443, ""}},
      {"http://localhost:8080/", {false, "localhost", 8080, ""}},
      {"http://localhost", {false, "localhost", 80, ""}},
      {"HTTPS://Api.Example.com", {true, "Api.Example.com", 443, ""}},
      {"https://[fd00::1]:6443", {true, "fd00::1", 6443, ""}},
      {"https://[fd00::1]", {true, "fd00::1", 443, ""}},
      {"https://[fd00::1]/k8s", {true, "fd00::1", 443, "/k8s"}},
      {"https://rancher.example/k8s/clusters/c-1/",
       {true, "rancher.example", 443, "/k8s/clusters/c-1"}},
      {"https://h:65535//", {true, "h", 65535, ""}},
      {"https://my_host-1.lan:1", {true, "my_host-1.lan", 1, ""}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<ServerUrl> url = ParseServerUrl(c.text);
    ASSERT_TRUE(url.ok()) << url.status().message();
    EXPECT_EQ(url->https, c.url.https);
    EXPECT_EQ(url->host, c.url.host);
    EXPECT_EQ(url->port, c.url.port);
    EXPECT_EQ(url->path, c.url.path);
  }
}

TEST(ServerUrlTest, BadOnesSayWhatWouldBeRight) {
  struct {
    const char* text;
    const char* why;
  } cases[] = {
      {"", "has no https:// in front"},
      {"10.0.0.1:6443", "has no https:// in front"},
      {"ftp://h", "neither https nor http"},
      {"https://", "it has no host"},
      {"https://:6443", "it has no host"},
      {"https:///path", "it has no host"},
      {"https://h:", "the port is not a number"},
      {"https://h:0", "the port is not a number"},
      {"https://h:65536", "the port is not a number"},
      {"https://h:64 43", "white space"},
      {"https://h:+1", "the port is not a number"},
      {"https://h:6443x", "the port is not a number"},
      {"https://h:1:2", "needs brackets"},
      {"https://fd00::1", "needs brackets"},
      {"https://[fd00::1", "a [ without a ]"},
      {"https://[fd00::1]6443", "something other than :port"},
      {"https://[10.0.0.1]:6443", "no IPv6 address is in the brackets"},
      {"https://[fe80::1%eth0]:6443", "no IPv6 address is in the brackets"},
      {"https://[]", "no IPv6 address is in the brackets"},
      {"https://10.0.0.300", "neither a name nor an IP address"},
      {"https://10.0.0", "neither a name nor an IP address"},
      {"https://h?x=1", "query or fragment"},
      {"https://h/#x", "query or fragment"},
      {"https://h\n", "white space"},
      {"https://h\xc3\xa9", "other characters"},
      {"https://h%20x", "neither a name nor an IP address"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<ServerUrl> url = ParseServerUrl(c.text);
    ASSERT_FALSE(url.ok());
    EXPECT_EQ(url.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(url.status().message(), HasSubstr(c.why));
    EXPECT_THAT(url.status().message(), HasSubstr("https://HOST:PORT would be right"));
    EXPECT_THAT(url.status().message(), Not(HasSubstr("\n")));
  }
}

TEST(ServerUrlTest, APasswordIsNotRepeated) {
  EXPECT_THAT(ParseServerUrl("https://me:secret@h").status().message(), Not(HasSubstr("secret")));
  EXPECT_THAT(ParseProxyUrl("http://me:secret@h").status().message(), Not(HasSubstr("secret")));
}

TEST(ProxyUrlTest, OnlyPlainHttp) {
  struct {
    const char* text;
    const char* host;
    int port;
  } good[] = {
      {"http://proxy:3128", "proxy", 3128},  {"http://proxy", "proxy", 80},
      {"http://proxy:3128/", "proxy", 3128}, {"proxy:3128", "proxy", 3128},
      {"10.0.0.1", "10.0.0.1", 80},          {"http://[fd00::1]:3128", "fd00::1", 3128},
  };
  for (const auto& c : good) {
    SCOPED_TRACE(c.text);
    Result<ServerUrl> url = ParseProxyUrl(c.text);
    ASSERT_TRUE(url.ok()) << url.status().message();
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
  }
  struct {
    const char* text;
    StatusCode code;
    const char* why;
  } bad[] = {
      {"https://proxy:3128", StatusCode::kUnsupported, "https proxies are not supported"},
      {"socks5://proxy:1080", StatusCode::kUnsupported, "socks5 proxies are not supported"},
      {"socks5h://proxy:1080", StatusCode::kUnsupported, "socks5h proxies are not supported"},
      {"http://a:b@proxy:3128", StatusCode::kUnsupported, "want a user name"},
      {"http://proxy:3128/x", StatusCode::kInvalidArgument, "a path"},
      {"http://proxy:x", StatusCode::kInvalidArgument, "the port"},
      {"http://", StatusCode::kInvalidArgument, "no host"},
  };
  for (const auto& c : bad) {
    SCOPED_TRACE(c.text);
    Result<ServerUrl> url = ParseProxyUrl(c.text);
    ASSERT_FALSE(url.ok());
    EXPECT_EQ(url.status().code(), c.code);
    EXPECT_THAT(url.status().message(), HasSubstr(c.why));
    EXPECT_THAT(url.status().message(), HasSubstr("http://HOST:PORT would be right"));
  }
}

}  // namespace
}  // namespace podroute
