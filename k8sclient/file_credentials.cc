#include "k8sclient/file_credentials.h"

#include <algorithm>

#include "base/file.h"

namespace podroute {
namespace {

constexpr size_t kMaxCredentialBytes = 1u << 20;

Result<std::string> ReadTrimmed(const std::string& path, std::string_view what) {
  Result<std::string> text = ReadFile(path, kMaxCredentialBytes);
  if (!text.ok()) return text.status().WithContext(what);
  auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  text->erase(std::find_if_not(text->rbegin(), text->rend(), blank).base(), text->end());
  text->erase(text->begin(), std::find_if_not(text->begin(), text->end(), blank));
  if (text->empty()) {
    return Status(StatusCode::kInvalidArgument, std::string(what) + ": " + path + " is empty");
  }
  return text;
}

Status CheckToken(const std::string& token, const std::string& path) {
  bool clean = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (clean) return Status::Ok();
  // It becomes an HTTP header line.
  return Status(StatusCode::kInvalidArgument,
                "token: " + path + " holds more than one line, or characters no token has");
}

}  // namespace

Result<std::shared_ptr<CredentialSource>> FileCredentialSource::Create(
    FileCredentialOptions options, Clock& clock) {
  std::shared_ptr<FileCredentialSource> source(new FileCredentialSource(std::move(options), clock));
  PODROUTE_RETURN_IF_ERROR(source->Get().status());
  return std::shared_ptr<CredentialSource>(std::move(source));
}

Result<Credentials> FileCredentialSource::Read() const {
  Credentials credentials = options_.fixed;
  if (!options_.token_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(credentials.bearer_token, ReadTrimmed(options_.token_file, "token"));
    PODROUTE_RETURN_IF_ERROR(CheckToken(credentials.bearer_token, options_.token_file));
  }
  if (!options_.client_certificate_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(credentials.client_certificate_pem,
                              ReadTrimmed(options_.client_certificate_file, "client certificate"));
  }
  if (!options_.client_key_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(credentials.client_key_pem,
                              ReadTrimmed(options_.client_key_file, "client key"));
  }
  return credentials;
}

Result<Credentials> FileCredentialSource::Get() {
  std::lock_guard lock(mutex_);
  MonotonicTime now = clock_.Now();
  if (valid_ && now - read_at_ < options_.reread_after) return cached_;
  Result<Credentials> fresh = Read();
  read_at_ = now;
  if (!fresh.ok()) {
    if (valid_) return cached_;
    return fresh.status();
  }
  cached_ = *fresh;
  valid_ = true;
  return cached_;
}

void FileCredentialSource::Invalidate() {
  std::lock_guard lock(mutex_);
  valid_ = false;
}

}  // namespace podroute
