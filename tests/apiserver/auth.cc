#include "tests/apiserver/auth.h"

#include <strings.h>

#include <utility>

namespace podroute {

void Authenticator::AddToken(std::string token, std::string user) {
  users_[std::move(token)] = std::move(user);
}

Status Authenticator::AddTokenFile(std::string_view text, std::string_view name) {
  int line_number = 0;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    size_t comma = line.find(',');
    if (comma == std::string_view::npos || comma == 0 || comma + 1 == line.size()) {
      return Status(
          StatusCode::kInvalidArgument,
          std::string(name) + ":" + std::to_string(line_number) + ": not a line of token,user");
    }
    std::string_view user = line.substr(comma + 1);
    AddToken(std::string(line.substr(0, comma)), std::string(user.substr(0, user.find(','))));
  }
  return Status::Ok();
}

std::optional<std::string> Authenticator::User(std::string_view authorization,
                                               std::string_view certificate_user) const {
  constexpr std::string_view kBearer = "Bearer ";
  if (authorization.size() > kBearer.size() &&
      strncasecmp(authorization.data(), kBearer.data(), kBearer.size()) == 0) {
    auto it = users_.find(authorization.substr(kBearer.size()));
    // With no tokens at all, everybody is let in, whatever they carry.
    if (it == users_.end() && !(users_.empty() && anonymous_allowed_)) return std::nullopt;
    if (it != users_.end()) return it->second;
  }
  if (!certificate_user.empty()) return std::string(certificate_user);
  return std::string(kAnonymousUser);
}

bool Authenticator::Allowed(const Access& access) const {
  if (rules_ != nullptr && Rbac::Rules(access.user)) return rules_->Allowed(access);
  return Allowed(access.user);
}

bool Authenticator::Allowed(std::string_view user) const {
  if (user == kAnonymousUser) return anonymous_allowed_;
  return !denied_.contains(user);
}

}  // namespace podroute
