// A podroute-apiserver as a child process, for tests of other folders.
//
// cc_test: deps = ["//tests/apiserver:server_process"],
//          data = ["//tests/apiserver:podroute-apiserver"]
//
//   auto server = ServerProcess::Start({.tls = true});
//   ASSERT_TRUE(server.ok()) << server.status().message();
//   ASSERT_TRUE((*server)->Control("POST", "nodes?count=1000").ok());
#ifndef PODROUTE_TESTS_APISERVER_SERVER_PROCESS_H_
#define PODROUTE_TESTS_APISERVER_SERVER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace podroute {

struct ServerProcessOptions {
  bool tls = false;                           // With a certificate authority of its own.
  std::string address = "127.0.0.1";          // "::1" works too.
  std::string token = "test-token";           // "": everybody may do everything.
  std::vector<std::string> extra_flags = {};  // "--history=10"
};

struct SimpleResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::string body;                            // Without chunk sizes.
};

// One HTTP/1.1 request over a connection of its own, blocking; reads to the end of the body. With
// `ca_file` over TLS, verified against it and the address. `headers` are complete lines without
// their line ends. kUnavailable when the answer is cut.
Result<SimpleResponse> HttpCall(const std::string& address, uint16_t port,
                                const std::string& method, const std::string& target,
                                const std::vector<std::string>& headers = {},
                                const std::string& body = "", const std::string& ca_file = "");

// Not thread-safe, but for Control and Call.
class ServerProcess {
 public:
  // Returns once the server accepts connections. The server dies with the thread that calls this.
  // kNotFound when the executable is not in the
  // runfiles.
  static Result<std::unique_ptr<ServerProcess>> Start(const ServerProcessOptions& options = {});
  // Ends it and removes its files.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& host() const { return options_.address; }
  uint16_t port() const { return port_; }
  const std::string& token() const { return options_.token; }
  std::string url() const;               // "http://127.0.0.1:1234"
  std::string ca_file() const;           // "" without TLS.
  std::string client_cert_file() const;  // Of the user "admin"; "" without TLS.
  std::string client_key_file() const;
  std::string kubeconfig() const;  // A file.
  pid_t pid() const { return pid_; }

  // An order under /_test/: Control("POST", "faults?kind=status&status=429&count=3"). The body of
  // the answer; kInvalidArgument with the server's words when it is not 200. Works while the server
  // refuses connections.
  Result<std::string> Control(const std::string& method, const std::string& order,
                              const std::string& body = "") const;

  // A request to the API with the token, over TLS where the server has it.
  Result<SimpleResponse> Call(const std::string& method, const std::string& target,
                              const std::string& body = "",
                              const std::string& content_type = "application/json") const;

  // SIGTERM, and waits; the exit status, or 128 + the signal that ended it. Idempotent.
  int Terminate();

 private:
  explicit ServerProcess(ServerProcessOptions options) : options_(std::move(options)) {}
  Status Spawn();

  ServerProcessOptions options_;
  std::string dir_;
  pid_t pid_ = -1;
  int exit_status_ = 0;
  uint16_t port_ = 0, control_port_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_SERVER_PROCESS_H_
