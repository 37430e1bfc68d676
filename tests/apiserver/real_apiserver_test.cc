// The cases of api_cases.h against a real kube-apiserver, where KUBEBUILDER_ASSETS names a folder
// that has it and etcd. All of it on loopback; nothing is left behind.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tests/apiserver/api_cases.h"
#include "tests/apiserver/certificates.h"

namespace podroute {
namespace {

// Free just now: another program may take it before ours does.
uint16_t FreePort() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

class Child {
 public:
  explicit Child(std::vector<std::string> args) {
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Child() {
    if (!running()) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  bool running() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ > 0;
  }

 private:
  pid_t pid_ = -1;
};

class RealApiServer {
 public:
  explicit RealApiServer(const std::string& assets)
      : dir_(std::string(std::getenv("TEST_TMPDIR")) + "/real"), port_(FreePort()) {
    std::filesystem::create_directories(dir_);
    CertificateAuthority ca = std::move(CertificateAuthority::Create()).value();
    CertificateAndKey server = std::move(ca.IssueServer({"localhost", "127.0.0.1"})).value();
    CertificateAndKey signer = std::move(ca.IssueClient("signer")).value();
    for (const auto& [name, text] :
         {std::pair("ca.crt", ca.cert_pem()), std::pair("tls.crt", server.cert_pem),
          std::pair("tls.key", server.key_pem), std::pair("sa.key", signer.key_pem),
          std::pair("tokens", std::string("t,admin,1,system:masters\n"))}) {
      EXPECT_TRUE(WriteFileAtomically(dir_ + "/" + name, text, 0600).ok());
    }
    std::string etcd_url = "http://127.0.0.1:" + std::to_string(FreePort());
    std::string peer_url = "http://127.0.0.1:" + std::to_string(FreePort());
    etcd_ = std::make_unique<Child>(std::vector<std::string>{
        assets + "/etcd", "--data-dir=" + dir_ + "/etcd", "--listen-client-urls=" + etcd_url,
        "--advertise-client-urls=" + etcd_url, "--listen-peer-urls=" + peer_url,
        "--initial-advertise-peer-urls=" + peer_url, "--initial-cluster=default=" + peer_url,
        "--unsafe-no-fsync"});
    apiserver_ = std::make_unique<Child>(std::vector<std::string>{
        assets + "/kube-apiserver", "--etcd-servers=" + etcd_url, "--bind-address=127.0.0.1",
        "--secure-port=" + std::to_string(port_), "--tls-cert-file=" + dir_ + "/tls.crt",
        "--tls-private-key-file=" + dir_ + "/tls.key", "--token-auth-file=" + dir_ + "/tokens",
        "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://127.0.0.1",
        "--service-account-key-file=" + dir_ + "/sa.key",
        "--service-account-signing-key-file=" + dir_ + "/sa.key",
        "--disable-admission-plugins=ServiceAccount", "--cert-dir=" + dir_});
  }
  ~RealApiServer() {
    apiserver_.reset();
    etcd_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  // True once it has made the namespaces that the cases need; false when it ended before.
  bool WaitUntilReady() {
    while (apiserver_->running() && etcd_->running()) {
      Result<SimpleResponse> ns = Call("GET", "/api/v1/namespaces/kube-system", "", "");
      if (ns.ok() && ns->status == 200 &&
          Call("GET", "/api/v1/namespaces/default", "", "")->status == 200) {
        return true;
      }
      poll(nullptr, 0, 50);  // Between two looks at the condition.
    }
    return false;
  }

  Result<SimpleResponse> Call(const std::string& method, const std::string& target,
                              const std::string& body, const std::string& type) const {
    std::vector<std::string> headers = {"Authorization: Bearer t", "Accept: application/json"};
    if (!body.empty()) headers.push_back("Content-Type: " + type);
    return HttpCall("127.0.0.1", port_, method, target, headers, body, dir_ + "/ca.crt");
  }

 private:
  const std::string dir_;
  const uint16_t port_;
  std::unique_ptr<Child> etcd_, apiserver_;
};

TEST(RealApiServerTest, HoldsAllCases) {
  const char* assets = std::getenv("KUBEBUILDER_ASSETS");
  if (assets == nullptr) {
    GTEST_SKIP() << "KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd";
  }
  for (const char* name : {"/kube-apiserver", "/etcd"}) {
    if (access((std::string(assets) + name).c_str(), X_OK) != 0) {
      GTEST_SKIP() << "KUBEBUILDER_ASSETS: " << assets << name << " is no executable";
    }
  }
  RealApiServer server(assets);
  ASSERT_TRUE(server.WaitUntilReady()) << "kube-apiserver or etcd ended";
  for (const ApiCase& api_case : AllApiCases()) {
    SCOPED_TRACE(api_case.name);
    api_case.run([&](const std::string& method, const std::string& target, const std::string& body,
                     const std::string& type) { return server.Call(method, target, body, type); });
  }
}

}  // namespace
}  // namespace podroute
