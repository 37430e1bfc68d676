// Who is trusted and who we are, in TLS. All of k8sclient's OpenSSL; the transport only carries the
// objects to it.
#ifndef PODROUTE_K8SCLIENT_TLS_CONTEXT_H_
#define PODROUTE_K8SCLIENT_TLS_CONTEXT_H_

#include <openssl/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"

struct stack_st_X509;

namespace podroute {

struct TlsSettings {
  std::string ca_pem;     // Only these are trusted; empty: the system's.
  std::string ca_source;  // For messages: the file's path, or where the text came from.
  bool insecure_skip_verify = false;
  std::string
      server_name;  // Name or IP address that the certificate must be for; a name goes in SNI.
  std::string client_certificate_pem;  // Chain, leaf first; empty: none.
  std::string client_key_pem;
  bool operator==(const TlsSettings&) const = default;
};

// What TlsSettings say, parsed once. Immutable; shared between connections and threads.
class TlsContext {
 public:
  // kInvalidArgument: a certificate or key that isn't PEM, or a pair that doesn't belong together.
  static Result<std::shared_ptr<const TlsContext>> Create(TlsSettings settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const TlsSettings& settings() const { return settings_; }

 private:
  friend class TlsSession;
  explicit TlsContext(TlsSettings settings) : settings_(std::move(settings)) {}

  TlsSettings settings_;
  X509_STORE* trusted_ = nullptr;
  X509* certificate_ = nullptr;  // Null: none.
  stack_st_X509* chain_ = nullptr;
  EVP_PKEY* key_ = nullptr;
};

// One client's connections, one at a time. Makes an SSL_CTX do what the TlsContext says:
//   TLS 1.2 or later; only the given CAs, any certificate of which is trusted as such (as Go does);
//   the server's name or address among the certificate's subjectAltNames, the common name never
//   looked at; SNI only for names; the client certificate.
// The verification replaces whatever callback is set on the SSL later.
class TlsSession {
 public:
  explicit TlsSession(std::shared_ptr<const TlsContext> context) : context_(std::move(context)) {}
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // REQUIRES: this outlives every handshake under `ctx`.
  Status Configure(SSL_CTX* ctx);

  // Any thread. Why the last certificate was refused: "" when none was.
  std::string RefusalReason() const;
  // Whether the current connection's handshake is over. Any thread.
  bool handshake_done() const { return done_; }

  // Bytes that are decrypted and can be read from the current connection without I/O. Only from the
  // thread that works on the connection, while it lives.
  size_t DecryptedBytes() const;
  // Says which connection is the current one: null for one whose handshake is still to come, which
  // is noticed by itself.
  void SetCurrent(SSL* ssl) {
    current_ = ssl;
    done_ = ssl != nullptr;
  }

 private:
  static void OnInfo(const SSL* ssl, int where, int value);
  static int OnVerify(X509_STORE_CTX* store, void* session);
  void Refuse(X509_STORE_CTX* store);

  const std::shared_ptr<const TlsContext> context_;
  std::atomic<SSL*> current_{nullptr};
  std::atomic<bool> done_{false};
  mutable std::mutex mutex_;
  std::string refusal_;
};

// Readies OpenSSL, so that what is started after this ends before OpenSSL's own end at exit does.
void InitTls();

// The text of an OpenSSL error code ("wrong version number"); empty when it isn't one.
std::string TlsErrorText(unsigned long code);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_TLS_CONTEXT_H_
