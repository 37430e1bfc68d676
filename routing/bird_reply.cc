#include "routing/bird_reply.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

constexpr size_t kMaxQuotedBytes = 400;

Status Malformed(std::string_view what, std::string_view text) {
  return {StatusCode::kInternal,
          "BIRD's answer makes no sense: " + std::string(what) + ": \"" + Printable(text) + "\""};
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The next word of `text`, which loses it.
std::string_view NextWord(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(" \t"), text.size());
  const size_t end = std::min(text.find_first_of(" \t", start), text.size());
  std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

}  // namespace

const BirdLine* BirdReply::Find(int wanted) const {
  for (const BirdLine& line : lines) {
    if (line.code == wanted) return &line;
  }
  return nullptr;
}

Status BirdReply::status() const {
  if (!is_error()) return {};
  const StatusCode code =
      this->code() == kBirdNoProtocolsMatch ? StatusCode::kNotFound : StatusCode::kRefused;
  return {code, Printable(lines.back().text, kMaxQuotedBytes)};
}

Status BirdReplyReader::Feed(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > kMaxReplyBytes) return Malformed("too long", "");
  if (bytes.find('\n') == std::string_view::npos) {
    partial_ += bytes;
    if (partial_.size() > kMaxLineBytes) return Malformed("a line without end", "");
    return {};
  }
  auto piece = std::make_shared<std::string>(std::exchange(partial_, {}));
  piece->append(bytes);
  std::string_view rest = *piece;
  while (!rest.empty()) {
    if (complete()) return Malformed("more than was asked for", rest);
    const size_t newline = rest.find('\n');
    if (std::min(newline, rest.size()) > kMaxLineBytes) return Malformed("a line without end", "");
    if (newline == std::string_view::npos) {
      partial_ = rest;
      return {};
    }
    if (reply_.pieces.empty() || reply_.pieces.back() != piece) reply_.pieces.push_back(piece);
    PODROUTE_RETURN_IF_ERROR(TakeLine(rest.substr(0, newline)));
    rest.remove_prefix(newline + 1);
  }
  return {};
}

Status BirdReplyReader::TakeLine(std::string_view line) {
  if (line.starts_with('+')) return {};
  if (line.starts_with(' ')) {
    if (reply_.lines.empty()) return Malformed("a continuation of nothing", line);
    reply_.lines.push_back({reply_.lines.back().code, line.substr(1)});
    return {};
  }
  if (line.size() < 5 || !std::all_of(line.begin(), line.begin() + 4, IsDigit) ||
      (line[4] != ' ' && line[4] != '-')) {
    return Malformed("no reply code", line);
  }
  int code = 0;
  for (char c : line.substr(0, 4)) code = code * 10 + (c - '0');
  reply_.lines.push_back({code, line.substr(5)});
  if (line[4] == ' ') done_.push_back(std::exchange(reply_, {}));
  return {};
}

std::vector<BirdReply> BirdReplyReader::TakeAll() {
  bytes_ = 0;
  return std::exchange(done_, {});
}

Result<BirdProtocolState> ParseProtocolState(const BirdReply& reply, std::string_view name) {
  if (reply.code() == kBirdNoProtocolsMatch) return BirdProtocolState::kUnknown;
  PODROUTE_RETURN_IF_ERROR(reply.status());
  // Name, Proto, Table, State, Since, Info.
  for (const BirdLine& line : reply.lines) {
    std::string_view rest = line.text;
    if (line.code != kBirdProtocolList || NextWord(rest) != name) continue;
    if (NextWord(rest) != "Static") return BirdProtocolState::kForeign;
    NextWord(rest);
    return NextWord(rest) == "up" ? BirdProtocolState::kUp : BirdProtocolState::kDown;
  }
  return Malformed("no such protocol in it", reply.lines.front().text);
}

Result<RouteSet> ParseStaticRoutes(const BirdReply& reply) {
  PODROUTE_RETURN_IF_ERROR(reply.status());
  // 10.244.1.0/24           or  10.9.0.0/16<TAB>blackhole
  // <TAB>via 192.168.0.1 (dormant)
  RouteSet routes;
  routes.reserve(reply.lines.size() / 2);
  size_t hops = 0;  // Of the last route.
  for (const BirdLine& line : reply.lines) {
    if (line.code != kBirdStaticRoutes || line.text.empty()) continue;
    std::string_view rest = line.text;
    if (rest[0] != '\t') {
      Result<IpPrefix> dst = IpPrefix::Parse(NextWord(rest));
      if (!dst.ok()) return Malformed("no route", line.text);
      routes.emplace_back().dst = *dst;
      hops = 0;
      // Anything behind it: of another kind.
      if (rest.find_first_not_of(" \t") != std::string_view::npos) hops = 2;
    } else {
      if (routes.empty()) return Malformed("a next hop of nothing", line.text);
      Route& route = routes.back();
      const bool is_via = NextWord(rest) == "via";
      Result<IpAddress> gateway = IpAddress::Parse(NextWord(rest));
      const std::string_view more = NextWord(rest);
      // With a link, a weight or an option, or one of several: not ours.
      const bool plain =
          ++hops == 1 && is_via && gateway.ok() && (more.empty() || more == "(dormant)");
      route.via.gateway = plain ? *gateway : IpAddress();
    }
  }
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

bool SaysStaticRoutes(const BirdReply& reply, std::string_view expected) {
  constexpr std::string_view kDormant = " (dormant)";
  if (reply.is_error()) return false;
  for (const BirdLine& line : reply.lines) {
    if (line.code != kBirdStaticRoutes) continue;
    std::string_view text = line.text;
    if (text.ends_with(kDormant)) text.remove_suffix(kDormant.size());
    if (!expected.starts_with(text) || !expected.substr(text.size()).starts_with('\n'))
      return false;
    expected.remove_prefix(text.size() + 1);
  }
  return expected.empty();
}

}  // namespace podroute
