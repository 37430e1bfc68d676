// Certificates made on the spot, so that tests need no files that expire.
#ifndef PODROUTE_TESTS_K8SCLIENT_TEST_CERTIFICATES_H_
#define PODROUTE_TESTS_K8SCLIENT_TEST_CERTIFICATES_H_

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

namespace podroute {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

// A certificate authority (P-256, valid from yesterday for a week).
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& common_name);

  const std::string& pem() const { return pem_; }

  struct Wish {
    std::string common_name = "test";
    std::vector<std::string> names;  // subjectAltName: DNS names and IP addresses.
    bool expired = false;
  };
  TestCertificate Issue(const Wish& wish) const;

 private:
  std::shared_ptr<X509> certificate_;
  std::shared_ptr<EVP_PKEY> key_;
  std::string pem_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_TEST_CERTIFICATES_H_
