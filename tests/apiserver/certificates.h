// A certificate authority made on the spot, for one server and its clients.
#ifndef PODROUTE_TESTS_APISERVER_CERTIFICATES_H_
#define PODROUTE_TESTS_APISERVER_CERTIFICATES_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace podroute {

struct CertificateAndKey {
  std::string cert_pem, key_pem;
};

// ECDSA P-256; valid from an hour ago for ten years. Not thread-safe.
class CertificateAuthority {
 public:
  static Result<CertificateAuthority> Create();
  CertificateAuthority(CertificateAuthority&&) noexcept;
  CertificateAuthority& operator=(CertificateAuthority&&) noexcept;
  ~CertificateAuthority();

  const std::string& cert_pem() const { return cert_pem_; }

  // For a server with those names: DNS names and IP addresses.
  Result<CertificateAndKey> IssueServer(const std::vector<std::string>& names) const;
  // For a client: `user` is its CN.
  Result<CertificateAndKey> IssueClient(const std::string& user) const;

 private:
  struct Keys;
  explicit CertificateAuthority(std::unique_ptr<Keys> keys, std::string cert_pem);

  std::unique_ptr<Keys> keys_;
  std::string cert_pem_;
};

// base64 with padding, as kubeconfig's ...-data fields have it.
std::string Base64(std::string_view bytes);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_CERTIFICATES_H_
