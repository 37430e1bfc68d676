#include "k8sclient/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"

namespace podroute {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> MemoryBio(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Status Invalid(const std::string& message) { return {StatusCode::kInvalidArgument, message}; }

// OpenSSL's own callback would ask for the passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

// All certificates in `pem`. Other PEM blocks are passed over.
Result<std::vector<Owned<X509>>> ParseCertificates(const std::string& pem,
                                                   const std::string& what) {
  std::vector<Owned<X509>> certificates;
  Owned<BIO> bio = MemoryBio(pem);
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(certificate);
  }
  unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!at_end) {
    return Invalid(what + ": certificate " + std::to_string(certificates.size() + 1) +
                   " is malformed (" + TlsErrorText(error) + ")");
  }
  if (certificates.empty()) {
    return Invalid(what +
                   ": no certificate in it; PEM with -----BEGIN CERTIFICATE----- is expected");
  }
  return certificates;
}

// Index of the TlsSession among an SSL_CTX's data.
int SessionIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int KeepVerdict(int verdict, X509_STORE_CTX*) { return verdict; }

std::string NamesOf(X509* certificate) {
  Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string text;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()) && i < 16; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string one;
    if (name->type == GEN_DNS) {
      const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      one.assign(data, static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
      std::replace_if(
          one.begin(), one.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    } else if (name->type == GEN_IPADD) {
      size_t size = static_cast<size_t>(ASN1_STRING_length(name->d.iPAddress));
      if (size != 4 && size != 16) continue;
      one = IpAddress::FromBytes(size == 4 ? IpFamily::kV4 : IpFamily::kV6,
                                 {ASN1_STRING_get0_data(name->d.iPAddress), size})
                .ToString();
    } else {
      continue;
    }
    text += (text.empty() ? "" : ", ") + one;
  }
  return text.empty() ? "no name at all (a common name does not count)" : text;
}

bool IsIp(const std::string& host) { return IpAddress::Parse(host).ok(); }

}  // namespace

void InitTls() { OPENSSL_init_ssl(0, nullptr); }

std::string TlsErrorText(unsigned long code) {
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "" : reason;
}

TlsContext::~TlsContext() {
  X509_STORE_free(trusted_);
  X509_free(certificate_);
  sk_X509_pop_free(chain_, X509_free);
  EVP_PKEY_free(key_);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::Create(TlsSettings settings) {
  std::shared_ptr<TlsContext> context(new TlsContext(std::move(settings)));
  const TlsSettings& given = context->settings_;
  context->trusted_ = X509_STORE_new();
  if (given.ca_pem.empty()) {
    X509_STORE_set_default_paths(context->trusted_);
  } else {
    PODROUTE_ASSIGN_OR_RETURN(auto authorities, ParseCertificates(given.ca_pem, given.ca_source));
    // A certificate that is there twice is no error since OpenSSL 1.1.1.
    for (const auto& authority : authorities)
      X509_STORE_add_cert(context->trusted_, authority.get());
  }
  if (given.client_certificate_pem.empty()) {
    if (given.client_key_pem.empty()) return std::shared_ptr<const TlsContext>(std::move(context));
    return Invalid("the client key has no client certificate beside it");
  }

  PODROUTE_ASSIGN_OR_RETURN(
      auto own, ParseCertificates(given.client_certificate_pem, "the client certificate"));
  context->certificate_ = own.front().release();
  context->chain_ = sk_X509_new_null();
  for (size_t i = 1; i < own.size(); ++i) sk_X509_push(context->chain_, own[i].release());
  Owned<BIO> bio = MemoryBio(given.client_key_pem);
  context->key_ = PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr);
  unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (context->key_ == nullptr) {
    return Invalid("the client key can't be used (" + TlsErrorText(error) +
                   "); an unencrypted PEM private key is expected");
  }
  if (X509_check_private_key(context->certificate_, context->key_) != 1) {
    ERR_clear_error();
    return Invalid("the client key does not belong to the client certificate");
  }
  return std::shared_ptr<const TlsContext>(std::move(context));
}

Status TlsSession::Configure(SSL_CTX* ctx) {
  const TlsContext& context = *context_;
  const TlsSettings& settings = context.settings_;
  bool done = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_ex_data(ctx, SessionIndex(), this) == 1;
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_info_callback(ctx, OnInfo);

  // A new store: the one that is there has the system's authorities in it.
  X509_STORE_up_ref(context.trusted_);
  SSL_CTX_set_cert_store(ctx, context.trusted_);
  X509_VERIFY_PARAM* param = SSL_CTX_get0_param(ctx);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (!settings.insecure_skip_verify) {
    done = done && (IsIp(settings.server_name)
                        ? X509_VERIFY_PARAM_set1_ip_asc(param, settings.server_name.c_str())
                        : X509_VERIFY_PARAM_set1_host(param, settings.server_name.data(),
                                                      settings.server_name.size())) == 1;
    SSL_CTX_set_cert_verify_callback(ctx, OnVerify, this);
  }
  if (context.certificate_ != nullptr) {
    done = done && SSL_CTX_use_certificate(ctx, context.certificate_) == 1 &&
           SSL_CTX_set1_chain(ctx, context.chain_) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, context.key_) == 1;
  }
  if (done) return Status::Ok();
  std::string reason = TlsErrorText(ERR_peek_last_error());
  ERR_clear_error();
  return Invalid("set up TLS for " + settings.server_name + ": " + reason);
}

void TlsSession::OnInfo(const SSL* ssl, int where, int) {
  SSL* own = const_cast<SSL*>(ssl);
  auto* self = static_cast<TlsSession*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(own), SessionIndex()));
  if (self == nullptr) return;
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) self->done_ = true;
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  // The first moment at which every connection's SSL can be had, one through a proxy included; the
  // ClientHello has not been made yet.
  self->current_ = own;
  self->done_ = false;
  const std::string& name = self->context_->settings_.server_name;
  if (!name.empty() && !IsIp(name)) SSL_set_tlsext_host_name(own, name.c_str());
}

int TlsSession::OnVerify(X509_STORE_CTX* store, void* session) {
  X509_STORE_CTX_set_verify_cb(store, KeepVerdict);
  int verdict = X509_verify_cert(store);
  if (verdict != 1) static_cast<TlsSession*>(session)->Refuse(store);
  return verdict == 1 ? 1 : 0;
}

void TlsSession::Refuse(X509_STORE_CTX* store) {
  int error = X509_STORE_CTX_get_error(store);
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  const TlsSettings& settings = context_->settings_;
  std::string reason = X509_verify_cert_error_string(error);
  if ((error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) &&
      leaf != nullptr) {
    reason = "the server's certificate is not for " + settings.server_name + "; it names " +
             NamesOf(leaf);
  } else {
    reason =
        "the server's certificate is refused: " + reason + " (trusted: " +
        (settings.ca_pem.empty() ? std::string("the system's authorities") : settings.ca_source) +
        ")";
  }
  std::lock_guard lock(mutex_);
  refusal_ = std::move(reason);
}

std::string TlsSession::RefusalReason() const {
  std::lock_guard lock(mutex_);
  return refusal_;
}

size_t TlsSession::DecryptedBytes() const {
  SSL* ssl = current_;
  return ssl == nullptr ? 0 : static_cast<size_t>(std::max(0, SSL_pending(ssl)));
}

}  // namespace podroute
