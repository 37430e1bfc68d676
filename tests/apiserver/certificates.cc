#include "tests/apiserver/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <utility>

#include "base/ip_prefix.h"

namespace podroute {

namespace {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
using X509Ptr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;
using BioPtr = std::unique_ptr<BIO, Free>;

constexpr long kTenYears = 10L * 365 * 24 * 3600;

Status OpenSslError(std::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return Status(StatusCode::kInternal, std::string(what) + ": " + text);
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string CertPem(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return Contents(bio.get());
}

std::string KeyPem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return Contents(bio.get());
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// An unsigned certificate for `key`; a null `issuer` means itself.
X509Ptr NewCertificate(EVP_PKEY* key, const std::string& common_name, X509* issuer) {
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof(serial)) != 1) return nullptr;
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kTenYears);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  X509_set_issuer_name(certificate.get(),
                       X509_get_subject_name(issuer == nullptr ? certificate.get() : issuer));
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

}  // namespace

struct CertificateAuthority::Keys {
  X509Ptr certificate;
  KeyPtr key;

  // `names` are for a server; a client has none.
  Result<CertificateAndKey> Issue(const std::string& common_name, const std::string& names,
                                  const std::string& usage) const {
    KeyPtr leaf_key(EVP_EC_gen("P-256"));
    if (!leaf_key) return OpenSslError("make a key");
    X509Ptr leaf = NewCertificate(leaf_key.get(), common_name, certificate.get());
    bool ok =
        leaf &&
        AddExtension(leaf.get(), certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
        AddExtension(leaf.get(), certificate.get(), NID_key_usage, "critical,digitalSignature") &&
        AddExtension(leaf.get(), certificate.get(), NID_ext_key_usage, usage) &&
        (names.empty() ||
         AddExtension(leaf.get(), certificate.get(), NID_subject_alt_name, names)) &&
        X509_sign(leaf.get(), key.get(), EVP_sha256()) > 0;
    if (!ok) return OpenSslError("make a certificate for " + common_name + " " + names);
    return CertificateAndKey{CertPem(leaf.get()), KeyPem(leaf_key.get())};
  }
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<Keys> keys, std::string cert_pem)
    : keys_(std::move(keys)), cert_pem_(std::move(cert_pem)) {}
CertificateAuthority::CertificateAuthority(CertificateAuthority&&) noexcept = default;
CertificateAuthority& CertificateAuthority::operator=(CertificateAuthority&&) noexcept = default;
CertificateAuthority::~CertificateAuthority() = default;

Result<CertificateAuthority> CertificateAuthority::Create() {
  auto keys = std::make_unique<Keys>();
  keys->key.reset(EVP_EC_gen("P-256"));
  if (!keys->key) return OpenSslError("make a key");
  keys->certificate = NewCertificate(keys->key.get(), "podroute-apiserver-ca", nullptr);
  X509* ca = keys->certificate.get();
  bool ok = ca != nullptr && AddExtension(ca, ca, NID_basic_constraints, "critical,CA:TRUE") &&
            AddExtension(ca, ca, NID_key_usage, "critical,keyCertSign,digitalSignature") &&
            AddExtension(ca, ca, NID_subject_key_identifier, "hash") &&
            X509_sign(ca, keys->key.get(), EVP_sha256()) > 0;
  if (!ok) return OpenSslError("make a certificate authority");
  std::string pem = CertPem(ca);
  return CertificateAuthority(std::move(keys), std::move(pem));
}

Result<CertificateAndKey> CertificateAuthority::IssueServer(
    const std::vector<std::string>& names) const {
  std::string list;
  for (const std::string& name : names) {
    list += (list.empty() ? "" : ",") + std::string(IpAddress::Parse(name).ok() ? "IP:" : "DNS:") +
            name;
  }
  return keys_->Issue("podroute-apiserver", list, "serverAuth");
}

Result<CertificateAndKey> CertificateAuthority::IssueClient(const std::string& user) const {
  return keys_->Issue(user, "", "clientAuth");
}

std::string Base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

}  // namespace podroute
