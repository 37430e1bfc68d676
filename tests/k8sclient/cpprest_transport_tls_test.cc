// Who the transport believes, and how it shows who it is.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cerrno>

#include "k8sclient/tls_context.h"
#include "tests/base/temp_dir.h"
#include "tests/k8sclient/test_certificates.h"
#include "tests/k8sclient/transport_testing.h"

namespace podroute {
namespace {

const TestAuthority& ClusterAuthority() {
  static const TestAuthority authority("cluster CA");
  return authority;
}

ScriptedServer::Options Tls(const TestCertificate& certificate, IpFamily family = IpFamily::kV4) {
  ScriptedServer::Options options;
  options.family = family;
  options.tls = certificate;
  return options;
}

TestCertificate IssueFor(const std::vector<std::string>& names) {
  return ClusterAuthority().Issue({"kubernetes", names, false});
}

Status TryOnce(const ClientConfig& config) {
  auto transport = MustMake(config);
  return transport->Send(Get("/")).status();
}

TEST(TransportTls, SpeaksTls12OrLaterWithTheCertificateOfAnAddress) {
  Mailbox<std::string> versions;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    ScriptedServer server(Tls(IssueFor({"127.0.0.1", "::1"}), family),
                          [&](ServerConnection& connection) {
                            versions.Put(connection.tls_version() + " sni=" + connection.sni());
                            Answering("hello")(connection);
                          });
    auto transport = MustMake(TlsConfigFor(server, ClusterAuthority().pem()));
    auto body = Fetch(*transport);
    ASSERT_TRUE(body.ok()) << body.status().message();
    EXPECT_EQ(*body, "hello");
    // No SNI: RFC 6066 section 3 allows names only.
    EXPECT_EQ(versions.Take(), "TLSv1.3 sni=");
  }
}

TEST(TransportTls, KeepsTheConnectionForTheNextRequest) {
  ScriptedServer server(Tls(IssueFor({"127.0.0.1"})), Answering("{}"));
  auto transport = MustMake(TlsConfigFor(server, ClusterAuthority().pem()));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch(*transport).ok());
  EXPECT_EQ(server.connections(), 1);
}

TEST(TransportTls, RefusesTls11) {
  ScriptedServer::Options options = Tls(IssueFor({"127.0.0.1"}));
  options.max_tls_version = TLS1_1_VERSION;
  ScriptedServer server(options, Answering("{}"));
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.message().find("TLS handshake with https://127.0.0.1:"), 0u) << status.message();
}

TEST(TransportTls, TrustsTheClustersAuthorityOnly) {
  TestAuthority other("some other CA");
  ScriptedServer server(Tls(other.Issue({"x", {"127.0.0.1"}, false})), Answering("{}"));
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_NE(status.message().find("the server's certificate is refused: "), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("the cluster's CA in a test"), std::string::npos)
      << status.message();
}

TEST(TransportTls, DoesNotTrustTheSystemsAuthoritiesBesideTheClusters) {
  // The system's authorities are whatever SSL_CERT_FILE names; the library loads them.
  TestAuthority system("system CA");
  TempDir dir;
  std::string file = dir.Write("system.pem", system.pem());
  setenv("SSL_CERT_FILE", file.c_str(), 1);
  ScriptedServer server(Tls(system.Issue({"x", {"127.0.0.1"}, false})), Answering("{}"));
  Status with_cluster_ca = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  Status without = TryOnce(TlsConfigFor(server, ""));
  unsetenv("SSL_CERT_FILE");
  EXPECT_FALSE(with_cluster_ca.ok());
  EXPECT_TRUE(without.ok()) << without.message();
}

TEST(TransportTls, AnyCertificateOfTheCaFileIsAnAnchorAsInGo) {
  // A server's own certificate in place of its authority's.
  TestCertificate certificate = IssueFor({"127.0.0.1"});
  ScriptedServer server(Tls(certificate), Answering("{}"));
  EXPECT_TRUE(TryOnce(TlsConfigFor(server, certificate.certificate_pem)).ok());
}

TEST(TransportTls, RefusesAnExpiredCertificate) {
  ScriptedServer server(Tls(ClusterAuthority().Issue({"x", {"127.0.0.1"}, true})), Answering("{}"));
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_NE(status.message().find("certificate has expired"), std::string::npos)
      << status.message();
}

TEST(TransportTls, LooksForAnAddressAmongTheAlternativeNames) {
  ScriptedServer server(Tls(IssueFor({"10.0.0.1", "fd00::1", "kubernetes.default"})),
                        Answering("{}"));
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_EQ(status.message(),
            "TLS handshake with https://127.0.0.1:" + std::to_string(server.port()) +
                ": the server's certificate is not for 127.0.0.1; it names 10.0.0.1, fd00::1, "
                "kubernetes.default");
}

TEST(TransportTls, RefusesACommonNameForAnAddressAndForAName) {
  TestCertificate by_address = ClusterAuthority().Issue({"127.0.0.1", {}, false});
  ScriptedServer server(Tls(by_address), Answering("{}"));
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_NE(status.message().find("it names no name at all"), std::string::npos)
      << status.message();

  TestCertificate by_name = ClusterAuthority().Issue({"localhost", {}, false});
  ScriptedServer named(Tls(by_name), Answering("{}"));
  ClientConfig config = TlsConfigFor(named, ClusterAuthority().pem());
  config.tls_server_name = "localhost";
  EXPECT_FALSE(TryOnce(config).ok());
}

TEST(TransportTls, ChecksANameAndSendsItAsSni) {
  Mailbox<std::string> names;
  Mailbox<std::string> hosts;
  ScriptedServer server(Tls(IssueFor({"localhost", "*.example.com"})),
                        [&](ServerConnection& connection) {
                          names.Put(connection.sni());
                          hosts.Put(HeaderOf(connection.ReadRequest(), "Host"));
                          connection.Write(OkResponse("{}"));
                        });
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  config.host = "localhost";
  ASSERT_TRUE(TryOnce(config).ok());
  EXPECT_EQ(names.Take(), "localhost");
  EXPECT_EQ(hosts.Take(), "localhost:" + std::to_string(server.port()));

  // tls-server-name: another name than the host's; the Host header stays the host's.
  config.tls_server_name = "api.example.com";
  ASSERT_TRUE(TryOnce(config).ok());
  EXPECT_EQ(names.Take(), "api.example.com");
  EXPECT_EQ(hosts.Take(), "localhost:" + std::to_string(server.port()));

  config.tls_server_name = "other.example.org";
  EXPECT_FALSE(TryOnce(config).ok());
  EXPECT_EQ(names.Take(), "other.example.org");
}

TEST(TransportTls, TakesAnAddressAsServerName) {
  ScriptedServer server(Tls(IssueFor({"10.96.0.1"})), Answering("{}"));
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  config.tls_server_name = "10.96.0.1";
  EXPECT_TRUE(TryOnce(config).ok());
}

TEST(TransportTls, SkipsVerificationOnlyWhenToldTo) {
  TestAuthority other("some other CA");
  ScriptedServer server(Tls(other.Issue({"nobody", {}, true})), Answering("{}"));
  ClientConfig config = TlsConfigFor(server, "");
  EXPECT_FALSE(TryOnce(config).ok());
  config.insecure_skip_tls_verify = true;
  Status status = TryOnce(config);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(TransportTls, ShowsItsClientCertificateAndANewOneAtOnce) {
  TestAuthority clients("clients' CA");
  ScriptedServer::Options options = Tls(IssueFor({"127.0.0.1"}));
  options.client_authority_pem = clients.pem();
  ScriptedServer server(options, [](ServerConnection& connection) {
    Answering(connection.client_common_name())(connection);
  });
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  auto credentials = std::make_shared<FakeCredentials>();
  config.credentials = credentials;
  auto transport = MustMake(config);
  EXPECT_EQ(*Fetch(*transport), "");
  credentials->SetCertificate(clients.Issue({"system:node:one", {}, false}));
  EXPECT_EQ(*Fetch(*transport), "system:node:one");
  EXPECT_EQ(*Fetch(*transport), "system:node:one");
  credentials->SetCertificate(clients.Issue({"system:node:two", {}, false}));
  EXPECT_EQ(*Fetch(*transport), "system:node:two");
  EXPECT_EQ(server.connections(), 3);
}

TEST(TransportTls, ReadsTheCaFileAnewWhenItHasChanged) {
  TestAuthority next("next CA");
  TempDir dir;
  std::string file = dir.Write("ca.crt", ClusterAuthority().pem());
  ScriptedServer before(Tls(IssueFor({"127.0.0.1"})), Answering("{}"));
  ClientConfig config = TlsConfigFor(before, "");
  config.ca_file = file;
  auto transport = MustMake(config);
  ASSERT_TRUE(Fetch(*transport).ok());

  // The file now names another authority, so the connection that is there is not used any more.
  dir.Write("ca.crt", next.pem());
  auto refused = Fetch(*transport);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("trusted: " + file), std::string::npos)
      << refused.status().message();
  dir.Write("ca.crt", next.pem() + ClusterAuthority().pem());
  EXPECT_TRUE(Fetch(*transport).ok());

  // Unreadable or half-written: what was good stays good.
  dir.Write("ca.crt", "-----BEGIN CERTIFICATE-----\nMIIB");
  EXPECT_TRUE(Fetch(*transport).ok());
  ASSERT_EQ(unlink(file.c_str()), 0);
  EXPECT_TRUE(Fetch(*transport).ok());
}

TEST(TransportTls, AnEmptyCaFileTrustsNobody) {
  TempDir dir;
  ScriptedServer server(Tls(IssueFor({"127.0.0.1"})), Answering("{}"));
  ClientConfig config = TlsConfigFor(server, "");
  config.ca_file = dir.Write("ca.crt", "");
  auto transport = NewCpprestTransport(config);
  ASSERT_FALSE(transport.ok());
  EXPECT_EQ(transport.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      transport.status().message(),
      config.ca_file + ": no certificate in it; PEM with -----BEGIN CERTIFICATE----- is expected");
}

TEST(TransportTls, SaysWhatIsWrongWithFilesBeforeAnythingIsSent) {
  ScriptedServer server(Tls(IssueFor({"127.0.0.1"})), Answering("{}"));
  ClientConfig missing = TlsConfigFor(server, "");
  missing.ca_file = "/no/such/ca.crt";
  auto transport = NewCpprestTransport(missing);
  ASSERT_FALSE(transport.ok());
  EXPECT_EQ(transport.status().code(), StatusCode::kNotFound);
  EXPECT_NE(transport.status().message().find("/no/such/ca.crt"), std::string::npos);

  TestCertificate one = IssueFor({"a"});
  TestCertificate other = IssueFor({"b"});
  auto credentials = std::make_shared<FakeCredentials>();
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  config.credentials = credentials;
  credentials->SetCertificate({one.certificate_pem, other.key_pem});
  EXPECT_EQ(NewCpprestTransport(config).status().message(),
            "the client key does not belong to the client certificate");
  credentials->SetCertificate({one.certificate_pem, "not a key"});
  EXPECT_EQ(NewCpprestTransport(config).status().message().find("the client key can't be used"),
            0u);
  credentials->SetCertificate({"not a certificate", one.key_pem});
  EXPECT_EQ(NewCpprestTransport(config).status().message().find("the client certificate: "), 0u);
  EXPECT_EQ(server.connections(), 0);
}

// In TLS 1.3 that is known after the handshake only.
TEST(TransportTls, SaysThatTheServerRefusesTheClientCertificate) {
  ScriptedServer::Options options = Tls(IssueFor({"127.0.0.1"}));
  options.client_authority_pem = ClusterAuthority().pem();
  ScriptedServer tls(options, Answering("{}"));
  // It lets the alert arrive.
  ScriptedServer server({}, [&](ServerConnection& connection) {
    if (!connection.StartTls(tls.tls())) connection.WaitForClose();
  });
  TestCertificate stranger = TestAuthority("some other CA").Issue({"stranger", {}, false});
  auto credentials = std::make_shared<FakeCredentials>();
  credentials->SetCertificate({stranger.certificate_pem, stranger.key_pem});
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  config.credentials = credentials;
  const std::string message = TryOnce(config).message();
  EXPECT_NE(message.find("alert unknown ca"), std::string::npos) << message;
  EXPECT_EQ(message.find("Unknown error"), std::string::npos) << message;
}

TEST(TransportTls, AnErrnoIsNoTlsError) {
  for (int number : {EAGAIN, EPIPE, ECONNRESET, ETIMEDOUT}) EXPECT_EQ(TlsErrorText(number), "");
}

TEST(TransportTls, SaysThatTheServerSpeaksNoTls) {
  ScriptedServer server({}, [](ServerConnection& connection) {
    connection.Write("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.WaitForClose();
  });
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_EQ(status.message(), "TLS handshake with https://127.0.0.1:" +
                                  std::to_string(server.port()) + ": wrong version number");
}

TEST(TransportTls, SaysThatTheServerClosedTheHandshake) {
  ScriptedServer server({}, [](ServerConnection&) {});
  Status status = TryOnce(TlsConfigFor(server, ClusterAuthority().pem()));
  EXPECT_EQ(status.message().find("TLS handshake with https://127.0.0.1:"), 0u) << status.message();
}

// What the proxy does with the bytes is a relay's work; here it plays the server itself.
TEST(TransportTls, VerifiesTheServerBehindAProxyAndSendsItsName) {
  ScriptedServer server(Tls(IssueFor({"api.internal"})), Answering("{}"));
  Mailbox<std::string> seen;
  ScriptedServer proxy({}, [&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    seen.Put(request.substr(0, request.find("\r\n")));
    connection.Write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (!connection.StartTls(server.tls())) return;
    seen.Put(connection.sni());
    connection.ReadRequest();
    connection.Write(OkResponse("behind the proxy"));
    connection.WaitForClose();
  });
  ClientConfig config = TlsConfigFor(server, ClusterAuthority().pem());
  config.host = "api.internal";  // Which only the proxy could resolve.
  config.port = 6443;
  config.proxy_host = proxy.host();
  config.proxy_port = proxy.port();
  {
    auto transport = MustMake(config);
    auto body = Fetch(*transport);
    ASSERT_TRUE(body.ok()) << body.status().message();
    EXPECT_EQ(*body, "behind the proxy");
    EXPECT_EQ(seen.Take(), "CONNECT api.internal:6443 HTTP/1.1");
    EXPECT_EQ(seen.Take(), "api.internal");
  }
  config.tls_server_name = "elsewhere.internal";
  Status status = TryOnce(config);
  EXPECT_NE(status.message().find("is not for elsewhere.internal; it names api.internal"),
            std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace podroute
