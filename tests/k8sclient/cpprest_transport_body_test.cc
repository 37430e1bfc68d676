// Bodies as they arrive, and ends of all kinds.
#include <gtest/gtest.h>

#include "tests/k8sclient/test_certificates.h"
#include "tests/k8sclient/transport_testing.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TestAuthority& Authority() {
  static const TestAuthority authority("cluster CA");
  return authority;
}

// Every test here runs over TCP and over TLS.
class TransportBody : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<ScriptedServer> Serve(ScriptedServer::Script script) {
    ScriptedServer::Options options;
    if (GetParam()) options.tls = Authority().Issue({"server", {"127.0.0.1"}, false});
    return std::make_unique<ScriptedServer>(options, std::move(script));
  }
  std::unique_ptr<HttpTransport> Connect(const ScriptedServer& server) {
    return MustMake(GetParam() ? TlsConfigFor(server, Authority().pem()) : ConfigFor(server));
  }
};

INSTANTIATE_TEST_SUITE_P(Tcp, TransportBody, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tls, TransportBody, testing::Values(true));

// Reads exactly `size` bytes, or what comes before an error or the end.
std::string ReadExactly(BodyStream& body, size_t size) {
  std::string text;
  char buffer[1024];
  while (text.size() < size) {
    auto n = body.Read({buffer, std::min(sizeof buffer, size - text.size())});
    if (!n.ok() || *n == 0) break;
    text.append(buffer, *n);
  }
  return text;
}

// The server sends a piece only after the last one has been read: whoever holds back, hangs.
void ExpectEachPieceAsItComes(HttpTransport& transport, Mailbox<int>& go) {
  HttpRequest request = Get("/watch");
  request.idle_timeout = seconds(60);
  auto response = transport.Send(request);
  ASSERT_TRUE(response.ok()) << response.status().message();
  for (int i = 0; i < 20; ++i) {
    go.Put(i);
    std::string line = "event " + std::to_string(i) + std::string(static_cast<size_t>(i * 37), '.');
    EXPECT_EQ(ReadExactly(*response->body, line.size()), line);
  }
  go.Put(-1);
  char buffer[16];
  auto end = response->body->Read(buffer);
  EXPECT_TRUE(end.ok()) << end.status().message();
  EXPECT_EQ(end.ok() ? *end : 1, 0u);
}

std::string Line(int i) {
  return "event " + std::to_string(i) + std::string(static_cast<size_t>(i * 37), '.');
}

TEST_P(TransportBody, DeliversEachChunkAsItComes) {
  Mailbox<int> go;
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(ChunkedHead());
    for (int i = go.Take(); i >= 0; i = go.Take()) connection.WriteChunk(Line(i));
    connection.WriteChunk("");
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  ExpectEachPieceAsItComes(*transport, go);
}

TEST_P(TransportBody, DeliversEachPieceOfABodyOfKnownLengthAsItComes) {
  Mailbox<int> go;
  size_t length = 0;
  for (int i = 0; i < 20; ++i) length += Line(i).size();
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n");
    for (int i = go.Take(); i >= 0; i = go.Take()) connection.Write(Line(i));
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  ExpectEachPieceAsItComes(*transport, go);
}

TEST_P(TransportBody, DeliversEachPieceOfABodyThatEndsWithTheConnectionAsItComes) {
  Mailbox<int> go;
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.0 200 OK\r\n\r\n");
    for (int i = go.Take(); i >= 0; i = go.Take()) connection.Write(Line(i));
  });
  auto transport = Connect(*server);
  ExpectEachPieceAsItComes(*transport, go);
}

TEST_P(TransportBody, CarriesALargeListOfEveryKind) {
  std::string list(20 << 20, 'n');
  for (size_t i = 0; i < list.size(); i += 97) list[i] = static_cast<char>('a' + i % 26);
  auto server = Serve([&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    if (request.find("/length") != std::string::npos) {
      connection.Write(OkResponse(list));
    } else if (request.find("/one-chunk") != std::string::npos) {
      connection.Write(ChunkedHead());
      connection.WriteChunk(list);
      connection.WriteChunk("");
    } else if (request.find("/chunks") != std::string::npos) {
      connection.Write(ChunkedHead());
      for (size_t i = 0; i < list.size(); i += 4096) {
        if (!connection.WriteChunk(std::string_view(list).substr(i, 4096))) return;
      }
      connection.WriteChunk("");
    } else {
      connection.Write("HTTP/1.0 200 OK\r\n\r\n");
      connection.Write(list);
    }
  });
  auto transport = Connect(*server);
  for (const char* target : {"/length", "/one-chunk", "/chunks", "/until-closed"}) {
    auto start = std::chrono::steady_clock::now();
    auto body = Fetch(*transport, target);
    ASSERT_TRUE(body.ok()) << target << ": " << body.status().message();
    EXPECT_TRUE(*body == list) << target;
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cerr << target << ": " << list.size() / took.count() / 1e6 << " MB/s\n";
  }
}

TEST_P(TransportBody, SaysThatTheBodyBroke) {
  auto server = Serve([&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    if (request.find("/chunks") != std::string::npos) {
      connection.Write(ChunkedHead() + "5\r\nhello\r\n");
    } else {
      connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    }
  });
  auto transport = Connect(*server);
  for (const char* target : {"/chunks", "/length"}) {
    auto response = transport->Send(Get(target));
    ASSERT_TRUE(response.ok()) << response.status().message();
    EXPECT_EQ(ReadExactly(*response->body, 5), "hello");
    char buffer[16];
    auto n = response->body->Read(buffer);
    ASSERT_FALSE(n.ok());
    EXPECT_EQ(n.status().code(), StatusCode::kUnavailable);
    EXPECT_NE(n.status().message().find("closed the connection before its answer was complete"),
              std::string::npos)
        << n.status().message();
    EXPECT_EQ(response->body->Read(buffer).status(), n.status());  // And again.
  }
}

TEST_P(TransportBody, SilenceLongerThanTheIdleTimeoutIsAnError) {
  Mailbox<int> go;
  auto server = Serve([&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    if (request.find("/body") != std::string::npos) connection.Write(ChunkedHead() + "2\r\nhi\r\n");
    connection.WaitForClose();
    go.Put(0);
  });
  auto transport = Connect(*server);
  HttpRequest request = Get("/body");
  request.idle_timeout = seconds(1);
  {
    auto response = transport->Send(request);
    ASSERT_TRUE(response.ok()) << response.status().message();
    EXPECT_EQ(ReadExactly(*response->body, 2), "hi");
    char buffer[16];
    auto n = response->body->Read(buffer);
    ASSERT_FALSE(n.ok());
    EXPECT_EQ(n.status().code(), StatusCode::kDeadlineExceeded);
    EXPECT_NE(n.status().message().find("the server has sent nothing for 1 s"), std::string::npos)
        << n.status().message();
  }
  go.Take();  // The connection is given up.
  request.target = "/head";
  auto response = transport->Send(request);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_NE(response.status().message().find("no answer within 1 s"), std::string::npos)
      << response.status().message();
  go.Take();
}

TEST_P(TransportBody, IdleTimeoutCanBeChangedWithinABody) {
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(ChunkedHead() + "2\r\nhi\r\n");
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  HttpRequest request = Get("/body");
  request.idle_timeout = seconds(600);
  auto response = transport->Send(request);
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(ReadExactly(*response->body, 2), "hi");
  response->body->SetIdleTimeout(seconds(1));
  char buffer[16];
  auto n = response->body->Read(buffer);
  ASSERT_FALSE(n.ok());
  EXPECT_NE(n.status().message().find("the server has sent nothing for 1 s"), std::string::npos)
      << n.status().message();
}

TEST_P(TransportBody, EachRequestHasItsOwnIdleTimeout) {
  Mailbox<int> go;
  auto server = Serve([&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    connection.Write(ChunkedHead());
    if (request.find("/long") != std::string::npos) {
      go.Take();
      connection.WriteChunk("late");
    }
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  HttpRequest patient = Get("/long");
  patient.idle_timeout = seconds(60);
  auto long_response = transport->Send(patient);
  ASSERT_TRUE(long_response.ok());
  HttpRequest hasty = Get("/short");
  hasty.idle_timeout = milliseconds(50);
  auto short_response = transport->Send(hasty);  // On a slow machine late already.
  char buffer[16];
  Status status =
      short_response.ok() ? short_response->body->Read(buffer).status() : short_response.status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status.message();
  go.Put(0);
  EXPECT_EQ(ReadExactly(*long_response->body, 4), "late");
}

TEST_P(TransportBody, CancelEndsABlockedRead) {
  Mailbox<int> closed;
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(ChunkedHead());
    connection.WaitForClose();
    closed.Put(0);
  });
  auto transport = Connect(*server);
  HttpRequest request = Get("/watch");
  request.idle_timeout = std::chrono::hours(1);
  auto response = transport->Send(request);
  ASSERT_TRUE(response.ok());
  Mailbox<Status> ends;
  std::thread reader([&] {
    char buffer[16];
    ends.Put(response->body->Read(buffer).status());
  });
  response->body->Cancel();
  EXPECT_EQ(ends.Take().code(), StatusCode::kCancelled);
  reader.join();
  char buffer[16];
  EXPECT_EQ(response->body->Read(buffer).status().code(), StatusCode::kCancelled);
  closed.Take();  // The server learns of it while the stream still lives.
}

TEST_P(TransportBody, ShutdownEndsABlockedReadAndABlockedSend) {
  Mailbox<int> waiting;
  auto server = Serve([&](ServerConnection& connection) {
    std::string request = connection.ReadRequest();
    if (request.find("/body") != std::string::npos) connection.Write(ChunkedHead());
    waiting.Put(0);
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  HttpRequest request = Get("/body");
  request.idle_timeout = std::chrono::hours(1);
  auto response = transport->Send(request);
  ASSERT_TRUE(response.ok());
  waiting.Take();
  Mailbox<Status> ends;
  std::thread reader([&] {
    char buffer[16];
    ends.Put(response->body->Read(buffer).status());
  });
  std::thread sender([&] {
    HttpRequest silent = request;
    silent.target = "/silent";
    ends.Put(transport->Send(silent).status());
  });
  waiting.Take();
  transport->Shutdown();
  EXPECT_EQ(ends.Take().code(), StatusCode::kCancelled);
  EXPECT_EQ(ends.Take().code(), StatusCode::kCancelled);
  reader.join();
  sender.join();
  EXPECT_EQ(transport->Send(request).status().code(), StatusCode::kCancelled);
}

TEST_P(TransportBody, DroppingAHalfReadBodyClosesTheConnection) {
  Mailbox<int> closed;
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(ChunkedHead());
    while (connection.WriteChunk(std::string(4096, 'x'))) {
    }
    closed.Put(connection.number());
  });
  auto transport = Connect(*server);
  for (int i = 0; i < 3; ++i) {
    {
      auto response = transport->Send(Get("/watch"));
      ASSERT_TRUE(response.ok()) << response.status().message();
      ReadExactly(*response->body, 10'000);
    }
    EXPECT_EQ(closed.Take(), i);
  }
}

TEST_P(TransportBody, ASlowReaderMakesTheServerWait) {
  // Were the body buffered, the server could send all of it; it gets stuck in its socket instead.
  constexpr size_t kAll = 256u << 20;
  Mailbox<size_t> stuck;
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.GiveUpWritingAfter(milliseconds(300));
    connection.Write(ChunkedHead());
    std::string piece(4096, 'x');
    size_t sent = 0;
    while (sent < kAll && connection.WriteChunk(piece)) sent += piece.size();
    stuck.Put(sent);
  });
  auto transport = Connect(*server);
  auto response = transport->Send(Get("/list"));
  ASSERT_TRUE(response.ok());
  char buffer[4096];
  ASSERT_TRUE(response->body->Read(buffer).ok());
  EXPECT_LT(stuck.Take(), kAll / 4);
}

TEST_P(TransportBody, DestroyingTheTransportEndsItsStreams) {
  auto server = Serve([&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(ChunkedHead());
    connection.WaitForClose();
  });
  auto transport = Connect(*server);
  auto response = transport->Send(Get("/watch"));
  ASSERT_TRUE(response.ok());
  transport.reset();
  char buffer[16];
  EXPECT_EQ(response->body->Read(buffer).status().code(), StatusCode::kCancelled);
}

TEST_P(TransportBody, ManyThreadsShareATransport) {
  auto server = Serve([&](ServerConnection& connection) {
    for (std::string text = connection.ReadRequest(); !text.empty();
         text = connection.ReadRequest()) {
      connection.Write(OkResponse(text.substr(0, text.find("\r\n"))));
    }
  });
  auto transport = Connect(*server);
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
        auto body = Fetch(*transport, target);
        if (body.ok() && *body == "GET " + target + " HTTP/1.1") ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace podroute
