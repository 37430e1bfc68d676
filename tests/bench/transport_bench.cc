// What the HTTP transport costs: from bytes on the wire to Read's return, whole lists, and memory.
//   bazel run //tests/bench:transport_bench
// The server is a process of its own, so that the memory shown is the client's alone.
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "k8sclient/cpprest_transport.h"
#include "tests/k8sclient/scripted_server.h"
#include "tests/k8sclient/test_certificates.h"

namespace podroute {
namespace {

constexpr size_t kListBytes = 72u << 20;  // 5,000 Nodes of 14.4 KB.

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void Require(bool condition, const char* what) {
  if (condition) return;
  fprintf(stderr, "transport_bench: %s\n", what);
  exit(1);
}

// "VmRSS", "VmHWM" or "RssAnon", in MB.
double MemoryMb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(field + ":", 0) == 0) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

void ShowMemory(const char* when) {
  printf("%-44s RSS %5.1f MB (anonymous %5.1f), peak %6.1f\n", when, MemoryMb("VmRSS"),
         MemoryMb("RssAnon"), MemoryMb("VmHWM"));
  std::ofstream("/proc/self/clear_refs") << "5";  // Forgets the peak.
}

void SendList(ServerConnection& connection, const std::string& request) {
  static const std::string list(kListBytes, 'n');
  if (request.find("/length") != std::string::npos) {
    connection.Write(OkResponse(list));
    return;
  }
  bool one = request.find("/one-chunk") != std::string::npos;
  size_t piece = one ? list.size() : 4096;
  connection.Write(ChunkedHead());
  for (size_t i = 0; i < list.size(); i += piece) {
    connection.WriteChunk(std::string_view(list).substr(i, piece));
  }
  connection.WriteChunk("");
}

void Serve(ServerConnection& connection) {
  for (std::string request = connection.ReadRequest(); !request.empty();
       request = connection.ReadRequest()) {
    if (request.find("/watch") != std::string::npos) {
      connection.Write(ChunkedHead());
      // An event each few milliseconds, as if the cluster were busy; each with the time it was
      // sent.
      for (int i = 0; i < 2000; ++i) {
        usleep(2000);
        std::string event(14'400, '.');
        int64_t now = NowNs();
        memcpy(event.data(), &now, sizeof now);
        if (!connection.WriteChunk(event)) return;
      }
      connection.WriteChunk("");
    } else if (request.find("/quiet") != std::string::npos) {
      connection.Write(ChunkedHead());
      connection.WaitForClose();
      return;
    } else if (request.find("/list") != std::string::npos) {
      SendList(connection, request);
    } else {
      connection.Write(OkResponse("{}"));
    }
  }
}

// Port and CA come through the pipe.
[[noreturn]] void ServerProcess(int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  TestAuthority authority("bench CA");
  ScriptedServer::Options options;
  options.tls = authority.Issue({"server", {"127.0.0.1"}, false});
  ScriptedServer server(options, Serve);
  std::string hello = std::to_string(server.port()) + "\n" + authority.pem();
  Require(write(out, hello.data(), hello.size()) == static_cast<ssize_t>(hello.size()), "pipe");
  close(out);
  while (true) pause();
}

class NoCredentials final : public CredentialSource {
 public:
  Result<Credentials> Get() override { return Credentials(); }
  void Invalidate() override {}
};

std::unique_ptr<BodyStream> Open(HttpTransport& transport, const std::string& target) {
  HttpRequest request;
  request.target = target;
  request.idle_timeout = std::chrono::minutes(5);
  auto response = transport.Send(request);
  Require(response.ok(), response.status().message().c_str());
  return std::move(response->body);
}

void MeasureLatency(HttpTransport& transport) {
  auto body = Open(transport, "/watch");
  std::vector<double> us;
  std::vector<char> buffer(64 * 1024);
  size_t at = 0;
  while (true) {
    auto n = body->Read({buffer.data() + at, buffer.size() - at});
    int64_t now = NowNs();
    Require(n.ok(), n.status().message().c_str());
    if (*n == 0) break;
    at += *n;
    if (at < 14'400) continue;
    int64_t sent = 0;
    memcpy(&sent, buffer.data(), sizeof sent);
    us.push_back(static_cast<double>(now - sent) / 1000);
    at -= 14'400;
    memmove(buffer.data(), buffer.data() + 14'400, at);
  }
  std::sort(us.begin(), us.end());
  printf("event of 14.4 KB, written to read, TLS: p50 %.0f us, p99 %.0f us, most %.0f us (%zu)\n",
         us[us.size() / 2], us[us.size() * 99 / 100], us.back(), us.size());
}

void MeasureList(HttpTransport& transport, const std::string& target) {
  int64_t start = NowNs();
  auto body = Open(transport, target);
  std::vector<char> buffer(64 * 1024);
  size_t total = 0;
  int64_t first = 0;
  while (true) {
    auto n = body->Read(buffer);
    Require(n.ok(), n.status().message().c_str());
    if (first == 0) first = NowNs();
    if (*n == 0) break;
    total += *n;
  }
  Require(total == kListBytes, "the list is not whole");
  printf("%s: %.0f ms, first bytes after %.1f ms\n", target.c_str(),
         static_cast<double>(NowNs() - start) / 1e6, static_cast<double>(first - start) / 1e6);
  ShowMemory(("after " + target).c_str());
}

int Main(int argc, char** argv) {
  int fds[2];
  Require(pipe(fds) == 0, "pipe");
  pid_t child = fork();
  if (child == 0) {
    close(fds[0]);
    ServerProcess(fds[1]);
  }
  close(fds[1]);
  std::string hello;
  char buffer[4096];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0;) {
    hello.append(buffer, static_cast<size_t>(n));
  }
  size_t line = hello.find('\n');

  ShowMemory("libraries loaded");
  InitHttpThreads();
  ClientConfig config;
  config.host = "127.0.0.1";
  config.port = static_cast<uint16_t>(std::stoi(hello));
  config.ca_pem = hello.substr(line + 1);
  config.credentials = std::make_shared<NoCredentials>();
  auto transport = NewCpprestTransport(config);
  Require(transport.ok(), transport.status().message().c_str());
  ShowMemory("transport made");
  Require(ReadBody(*Open(**transport, "/")).ok(), "GET /");
  ShowMemory("one GET");
  auto quiet = Open(**transport, "/quiet");
  ShowMemory("one GET and a watch that is quiet");
  if (argc > 1 && std::string(argv[1]) == "--idle") {
    printf("pid %d\n", getpid());
    fflush(stdout);
    Require(!quiet->Read(buffer).ok(), "ended by a signal");
  }
  MeasureLatency(**transport);
  ShowMemory("after 2,000 events");
  for (const char* target : {"/list/length", "/list/chunks", "/list/one-chunk"}) {
    MeasureList(**transport, target);
  }
  quiet.reset();
  transport->reset();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(argc, argv); }
