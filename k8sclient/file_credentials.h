// Credentials that stand in the configuration itself or in files that somebody rotates.
#ifndef PODROUTE_K8SCLIENT_FILE_CREDENTIALS_H_
#define PODROUTE_K8SCLIENT_FILE_CREDENTIALS_H_

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/credentials.h"

namespace podroute {

struct FileCredentialOptions {
  Credentials fixed;  // What comes from no file.
  // Each replaces the field of its name in `fixed` as long as it is not empty.
  std::string token_file;
  std::string client_certificate_file;
  std::string client_key_file;
  // How long a file's content is used before it is read again. client-go: one minute; a service
  // account's token is replaced long before it expires.
  Duration reread_after = std::chrono::minutes(1);
};

// Thread-safe. Reads its files when they are asked for and at least reread_after old, never
// otherwise. A file that cannot be read, or is empty, leaves the content read before in use (half a
// rotation looks like that) unless Invalidate was called since: then Get fails, and says which
// file.
class FileCredentialSource final : public CredentialSource {
 public:
  // Reads the files once. An error names the file. The clock must outlive the source.
  static Result<std::shared_ptr<CredentialSource>> Create(FileCredentialOptions options,
                                                          Clock& clock);

  Result<Credentials> Get() override;
  void Invalidate() override;

 private:
  FileCredentialSource(FileCredentialOptions options, Clock& clock)
      : options_(std::move(options)), clock_(clock) {}
  Result<Credentials> Read() const;

  const FileCredentialOptions options_;
  Clock& clock_;
  std::mutex mutex_;
  Credentials cached_;
  bool valid_ = false;  // cached_ holds what the files held, and nobody has complained.
  MonotonicTime read_at_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_FILE_CREDENTIALS_H_
