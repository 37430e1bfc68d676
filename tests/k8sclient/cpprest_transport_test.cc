// Requests, responses and connections, over plain TCP; TLS and bodies have tests of their own.
#include "k8sclient/cpprest_transport.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "tests/k8sclient/transport_testing.h"

namespace podroute {
namespace {

TEST(CpprestTransport, SendsTheTargetAsItIs) {
  Mailbox<std::string> requests;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    for (std::string text = connection.ReadRequest(); !text.empty();
         text = connection.ReadRequest()) {
      requests.Put(text.substr(0, text.find("\r\n")));
      connection.Write(OkResponse("{}"));
    }
  });
  ClientConfig config = ConfigFor(server);
  config.base_path = "/k8s/clusters/c-1";
  auto transport = MustMake(config);
  for (const char* target :
       {"/api/v1/nodes?limit=500&continue=eyJ2IjoibWV0YS%2BrOHMu%3D%3D", "/api/v1/nodes/a%2Fb",
        "/version", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1&watch=true",
        "/x?resourceVersion=&resourceVersionMatch=NotOlderThan"}) {
    ASSERT_TRUE(Fetch(*transport, target).ok()) << target;
    EXPECT_EQ(requests.Take(), std::string("GET /k8s/clusters/c-1") + target + " HTTP/1.1");
  }
}

TEST(CpprestTransport, SendsHostAcceptAndUserAgentAndAsksForNoCompression) {
  Mailbox<std::string> requests;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    requests.Put(connection.ReadRequest());
    connection.Write(OkResponse("{}"));
  });
  TransportOptions options;
  options.user_agent = "podroute/test";
  auto transport = MustMake(ConfigFor(server), options);
  ASSERT_TRUE(Fetch(*transport).ok());
  std::string text = requests.Take();
  EXPECT_EQ(HeaderOf(text, "Host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(HeaderOf(text, "Accept"), "application/json");
  EXPECT_EQ(HeaderOf(text, "User-Agent"), "podroute/test");
  EXPECT_EQ(text.find("Encoding"), std::string::npos) << text;
  EXPECT_EQ(text.find("Authorization"), std::string::npos) << text;
  EXPECT_EQ(HeaderOf(text, "TE"), "") << text;
}

TEST(CpprestTransport, SendsABodyWithItsTypeAndLength) {
  Mailbox<std::string> requests;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    requests.Put(connection.ReadRequest());
    connection.Write("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}");
  });
  auto transport = MustMake(ConfigFor(server));
  HttpRequest request = Get("/apis/coordination.k8s.io/v1/leases");
  request.method = "PATCH";
  request.content_type = "application/strategic-merge-patch+json";
  request.body = std::string(200'000, 'x');
  auto response = transport->Send(request);
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 201);
  std::string text = requests.Take();
  EXPECT_EQ(text.substr(0, 6), "PATCH ");
  EXPECT_EQ(HeaderOf(text, "Content-Type"), "application/strategic-merge-patch+json");
  EXPECT_TRUE(text.substr(text.find("\r\n\r\n") + 4) == request.body);
}

TEST(CpprestTransport, TreatsEveryStatusAsAResponseWithLowerCaseHeaders) {
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nX-Empty:\r\nContent-Length: "
        "4\r\n\r\nbusy");
  });
  auto transport = MustMake(ConfigFor(server));
  auto response = transport->Send(Get("/"));
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 429);
  EXPECT_EQ(response->headers["retry-after"], "7");
  EXPECT_EQ(response->headers.count("x-empty"), 1u);
  EXPECT_EQ(*ReadBody(*response->body), "busy");
}

TEST(CpprestTransport, ReadsAnEmptyBodyAsItsEnd) {
  ScriptedServer server({}, [&](ServerConnection& connection) {
    for (const char* answer :
         {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
      connection.ReadRequest();
      connection.Write(answer);
    }
    connection.WaitForClose();
  });
  auto transport = MustMake(ConfigFor(server));
  for (int i = 0; i < 3; ++i) {
    auto body = Fetch(*transport);
    ASSERT_TRUE(body.ok()) << i << ": " << body.status().message();
    EXPECT_EQ(*body, "");
  }
}

TEST(CpprestTransport, UsesOneConnectionForRequestsInTurn) {
  ScriptedServer server({}, Answering("{}"));
  auto transport = MustMake(ConfigFor(server));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(server.connections(), 1);
}

TEST(CpprestTransport, ReachesIpv6) {
  ScriptedServer::Options options;
  options.family = IpFamily::kV6;
  Mailbox<std::string> requests;
  ScriptedServer server(options, [&](ServerConnection& connection) {
    requests.Put(connection.ReadRequest());
    connection.Write(OkResponse("six"));
  });
  auto transport = MustMake(ConfigFor(server));
  auto body = Fetch(*transport);
  ASSERT_TRUE(body.ok()) << body.status().message();
  EXPECT_EQ(*body, "six");
  EXPECT_EQ(HeaderOf(requests.Take(), "Host"), "[::1]:" + std::to_string(server.port()));
}

TEST(CpprestTransport, TriesTheNextAddressOfAName) {
  // "localhost" has ::1 first on most machines and only 127.0.0.1 on others; the server is on one.
  ScriptedServer server({}, Answering("four"));
  ClientConfig config = ConfigFor(server);
  config.host = "localhost";
  auto transport = MustMake(config);
  auto body = Fetch(*transport);
  ASSERT_TRUE(body.ok()) << body.status().message();
  EXPECT_EQ(*body, "four");
}

TEST(CpprestTransport, RetriesAGetOnceWhenTheKeptConnectionWasClosed) {
  ScriptedServer server({}, [&](ServerConnection& connection) {
    if (connection.ReadRequest().empty()) return;
    connection.Write(OkResponse("{}"));
    // The first connection takes the second request and goes away without a byte of an answer.
    std::string second = connection.ReadRequest();
    if (connection.number() == 0) return;
    if (!second.empty()) connection.Write(OkResponse("{}"));
  });
  auto transport = MustMake(ConfigFor(server));
  ASSERT_TRUE(Fetch(*transport).ok());
  auto second = Fetch(*transport);
  EXPECT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(server.connections(), 2);
}

TEST(CpprestTransport, NeverSendsAnythingButAGetTwice) {
  std::atomic<int> patches{0};
  ScriptedServer server({}, [&](ServerConnection& connection) {
    while (true) {
      std::string text = connection.ReadRequest();
      if (text.empty()) return;
      if (text.substr(0, 5) == "PATCH") {
        ++patches;
        return;
      }
      connection.Write(OkResponse("{}"));
    }
  });
  auto transport = MustMake(ConfigFor(server));
  ASSERT_TRUE(Fetch(*transport).ok());
  HttpRequest request = Get("/");
  request.method = "PATCH";
  request.content_type = "application/json";
  request.body = "{}";
  auto response = transport->Send(request);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(response.status().message().find("closed the connection"), std::string::npos)
      << response.status().message();
  EXPECT_EQ(patches, 1);
  EXPECT_EQ(server.connections(), 1);
}

TEST(CpprestTransport, DoesNotUseAConnectionThatTheServerClosedMeanwhile) {
  Mailbox<int> closed;
  std::atomic<int> empty{0};
  ScriptedServer server({}, [&](ServerConnection& connection) {
    if (connection.ReadRequest().empty()) ++empty;
    connection.Write(OkResponse("{}"));
    connection.Shutdown();
    closed.Put(connection.number());
  });
  auto transport = MustMake(ConfigFor(server));
  ASSERT_TRUE(Fetch(*transport).ok());
  closed.Take();
  HttpRequest request = Get("/");
  request.method = "POST";  // Which could not be sent again.
  auto response = transport->Send(request);
  EXPECT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(server.connections(), 2);
}

TEST(CpprestTransport, FollowsNoRedirectSoTheTokenStaysHere) {
  Mailbox<std::string> elsewhere;
  ScriptedServer other({}, [&](ServerConnection& connection) {
    elsewhere.Put(connection.ReadRequest());
    connection.Write(OkResponse("got it"));
  });
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" +
                     std::to_string(other.port()) + "/\r\nContent-Length: 0\r\n\r\n");
  });
  auto credentials = std::make_shared<FakeCredentials>();
  credentials->SetToken("secret");
  auto transport = MustMake(ConfigFor(server, credentials));
  auto response = transport->Send(Get("/"));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(other.connections(), 0);
}

TEST(CpprestTransport, AsksForCredentialsBeforeEachRequest) {
  Mailbox<std::string> requests;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    for (std::string text = connection.ReadRequest(); !text.empty();
         text = connection.ReadRequest()) {
      requests.Put(text);
      connection.Write(OkResponse("{}"));
    }
  });
  auto credentials = std::make_shared<FakeCredentials>();
  auto transport = MustMake(ConfigFor(server, credentials));
  credentials->SetToken("one");
  ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(HeaderOf(requests.Take(), "Authorization"), "Bearer one");
  credentials->SetToken("two");
  ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(HeaderOf(requests.Take(), "Authorization"), "Bearer two");
  credentials->SetBasic("user", "pass:word");
  ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(HeaderOf(requests.Take(), "Authorization"), "Basic dXNlcjpwYXNzOndvcmQ=");
}

TEST(CpprestTransport, DropsCachedCredentialsOn401) {
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  });
  auto credentials = std::make_shared<FakeCredentials>();
  auto transport = MustMake(ConfigFor(server, credentials));
  auto response = transport->Send(Get("/"));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 401);
  EXPECT_EQ(credentials->invalidations(), 1);
}

TEST(CpprestTransport, SendsNothingWithoutCredentials) {
  ScriptedServer server({}, Answering("{}"));
  auto credentials = std::make_shared<FakeCredentials>();
  auto transport = MustMake(ConfigFor(server, credentials));
  credentials->Fail({StatusCode::kInvalidArgument, "/token: empty"});
  auto response = transport->Send(Get("/"));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(response.status().message(), "/token: empty");
  EXPECT_EQ(server.connections(), 0);
}

// Yields nothing from the second call on, until it is cancelled: an exec plugin that hangs.
class HangingCredentials final : public CredentialSource {
 public:
  explicit HangingCredentials(Mailbox<int>& asked) : asked_(asked) {}
  Result<Credentials> Get() override {
    if (calls_.fetch_add(1) == 0) return Credentials();
    asked_.Put(0);
    (void)stop_.WaitForStop(Duration::max());
    return Status(StatusCode::kCancelled, "cancelled");
  }
  void Invalidate() override {}
  void Cancel() override { stop_.Stop(); }

 private:
  Mailbox<int>& asked_;
  std::atomic<int> calls_{0};
  StopToken stop_;
};

TEST(CpprestTransport, ShutdownEndsAWaitForCredentials) {
  ScriptedServer server({}, Answering("{}"));
  Mailbox<int> asked;
  auto transport = MustMake(ConfigFor(server, std::make_shared<HangingCredentials>(asked)));
  Mailbox<Status> ends;
  std::thread sender([&] { ends.Put(transport->Send(Get("/")).status()); });
  asked.Take();
  transport->Shutdown();
  EXPECT_EQ(ends.Take().code(), StatusCode::kCancelled);
  sender.join();
}

TEST(CpprestTransport, ReloadReadsCredentialsAnewAndTakesANewConnection) {
  ScriptedServer server({}, Answering("{}"));
  auto credentials = std::make_shared<FakeCredentials>();
  auto transport = MustMake(ConfigFor(server, credentials));
  ASSERT_TRUE(Fetch(*transport).ok());
  int before = server.connections();
  transport->ReloadCredentials();
  EXPECT_EQ(credentials->invalidations(), 1);
  ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(server.connections(), before + 1);
}

TEST(CpprestTransport, SaysThatAConnectionWasRefused) {
  uint16_t port = 0;
  {
    ScriptedServer gone({}, Answering(""));
    port = gone.port();
  }
  for (const char* host : {"127.0.0.1", "::1"}) {
    ClientConfig config;
    config.https = false;
    config.host = host;
    config.port = port;
    config.credentials = std::make_shared<FakeCredentials>();
    auto transport = MustMake(config);
    auto response = transport->Send(Get("/"));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
    std::string url = host[0] == ':' ? "[::1]" : host;
    EXPECT_EQ(response.status().message(),
              "connect to http://" + url + ":" + std::to_string(port) + ": Connection refused");
  }
}

TEST(CpprestTransport, SaysThatANameDoesNotResolve) {
  ClientConfig config;
  config.https = false;
  config.host = "no-such-host.invalid";
  config.port = 6443;
  config.credentials = std::make_shared<FakeCredentials>();
  auto transport = MustMake(config);
  auto response = transport->Send(Get("/"));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().message().find("resolve no-such-host.invalid: "), 0u)
      << response.status().message();
}

TEST(CpprestTransport, SaysThatTheAnswerIsNotHttp) {
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write("garbage, no HTTP\r\n\r\n");
  });
  auto transport = MustMake(ConfigFor(server));
  auto response = transport->Send(Get("/"));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(response.status().message().find("does not answer in HTTP/1.1"), std::string::npos)
      << response.status().message();
}

TEST(CpprestTransport, RefusesATargetThatIsNoUri) {
  ScriptedServer server({}, Answering("{}"));
  auto transport = MustMake(ConfigFor(server));
  auto response = transport->Send(Get("/a b\r\nX: y"));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().code(), StatusCode::kInvalidArgument);
}

TEST(CpprestTransport, ConnectsThroughAProxy) {
  ScriptedServer target({}, Answering("through"));
  Mailbox<std::string> requests;
  ScriptedServer proxy({}, [&](ServerConnection& connection) {
    requests.Put(connection.ReadRequest());
    connection.Write("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  ClientConfig config = ConfigFor(target);
  config.https = true;
  config.insecure_skip_tls_verify = true;
  config.host = "fd00::1";
  config.proxy_host = proxy.host();
  config.proxy_port = proxy.port();
  auto transport = MustMake(config);
  auto response = transport->Send(Get("/"));
  ASSERT_FALSE(response.ok());
  std::string port = std::to_string(target.port());
  EXPECT_EQ(response.status().message(), "connect to https://[fd00::1]:" + port +
                                             " through the proxy 127.0.0.1:" +
                                             std::to_string(proxy.port()) + ": it answered 407");
  EXPECT_EQ(requests.Take().find("CONNECT [fd00::1]:" + port + " HTTP/1.1\r\n"), 0u);
}

// The descriptors of this process that a child would inherit.
std::vector<int> InheritedDescriptors() {
  std::vector<int> found;
  DIR* dir = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(dir)) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(dir)) continue;
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) found.push_back(fd);
  }
  closedir(dir);
  return found;
}

// This process's end of its connection to the server.
int ClientDescriptor(const ScriptedServer& server) {
  for (int fd = 3; fd < 256; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        peer.sin_family == AF_INET && ntohs(peer.sin_port) == server.port()) {
      return fd;
    }
  }
  return -1;
}

TEST(CpprestTransport, LetsTheKernelNoticeAPeerThatIsGone) {
  ScriptedServer server({}, Answering("{}"));
  TransportOptions options;
  options.keepalive = std::chrono::seconds(12);
  options.tcp_user_timeout = std::chrono::seconds(34);
  auto transport = MustMake(ConfigFor(server), options);
  auto response = transport->Send(Get("/"));
  ASSERT_TRUE(response.ok());
  int fd = ClientDescriptor(server);
  ASSERT_GE(fd, 0);
  auto option = [fd](int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 12);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 4);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 34'000);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(CpprestTransport, LeavesNoDescriptorToChildren) {
  std::vector<int> before = InheritedDescriptors();
  ScriptedServer server({}, Answering("{}"));
  auto transport = MustMake(ConfigFor(server));
  auto response = transport->Send(Get("/"));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(InheritedDescriptors(), before);
}

TEST(CpprestTransport, ThreadsOfItsOwnTakeNoSignals) {
  ScriptedServer server({}, Answering("{}"));
  auto transport = MustMake(ConfigFor(server));
  ASSERT_TRUE(Fetch(*transport).ok());
  int takers = 0;
  DIR* dir = opendir("/proc/self/task");
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid()) continue;
    std::ifstream status(std::string("/proc/self/task/") + entry->d_name + "/status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.rfind("SigBlk:", 0) != 0) continue;
      unsigned long long mask = std::stoull(line.substr(7), nullptr, 16);
      if ((mask & (1ull << (SIGTERM - 1))) == 0) ++takers;
    }
  }
  closedir(dir);
  // The server's own two threads, which the test started.
  EXPECT_LE(takers, 2);
}

}  // namespace
}  // namespace podroute
