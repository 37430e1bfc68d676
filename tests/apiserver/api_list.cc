// List and watch.
#include <charconv>

#include "tests/apiserver/api.h"
#include "tests/apiserver/continue_token.h"
#include "tests/apiserver/negotiation.h"

namespace podroute {

namespace {

// nullopt for what Go's strconv.ParseUint refuses.
std::optional<uint64_t> ParseUint(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// The real server's answer has neither reason nor details.
ApiError InvalidVersion(const std::string& text) {
  return {500, "",
          "resourceVersion: Invalid value: " + Quoted(text) + ": strconv.ParseUint: parsing " +
              Quoted(text) + ": invalid syntax",
          std::nullopt, ""};
}

ApiErrorCause ForbiddenMatch(std::string_view why) {
  return {"FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden " + std::string(why),
          "resourceVersionMatch"};
}

// The rules that tie resourceVersionMatch to the other parameters.
std::optional<ApiError> CheckMatch(const ApiRequest& request, bool watch, bool watch_list) {
  const std::string& match = request.Query("resourceVersionMatch");
  const std::string& version = request.Query("resourceVersion");
  bool initial_events = !request.Query("sendInitialEvents").empty();
  if (match.empty() || (watch && watch_list && initial_events)) return std::nullopt;
  std::vector<ApiErrorCause> causes;
  if (watch) causes.push_back(ForbiddenMatch("for watch"));
  if (version.empty()) {
    causes.push_back(ForbiddenMatch("unless resourceVersion is provided"));
  } else if (match == "Exact" && version == "0") {
    causes.push_back(ForbiddenMatch("\"Exact\" for resourceVersion \"0\""));
  }
  if (!request.Query("continue").empty()) {
    causes.push_back(ForbiddenMatch("when continue is provided"));
  }
  if (match != "Exact" && match != "NotOlderThan") {
    causes.push_back({"FieldValueNotSupported",
                      "Unsupported value: " + Quoted(match) +
                          ": supported values: \"Exact\", \"NotOlderThan\", \"\"",
                      "resourceVersionMatch"});
  }
  if (causes.empty()) return std::nullopt;
  return Invalid("meta.k8s.io", "ListOptions", "", std::move(causes));
}

}  // namespace

ApiResponse Api::List(const ApiRequest& request, const Target& target) {
  if (auto error = CheckMatch(request, false, options_.watch_list)) {
    return ErrorResponse(request, *error);
  }
  std::optional<ApiError> error;
  std::string fields = request.Query("fieldSelector");
  Selector selector = Selector::Parse(*target.type, fields, request.Query("labelSelector"), &error);
  if (error) return ErrorResponse(request, *error);
  const std::string& version_text = request.Query("resourceVersion");
  std::optional<uint64_t> version = uint64_t{0};
  if (!version_text.empty()) version = ParseUint(version_text);
  if (!version) return ErrorResponse(request, InvalidVersion(version_text));
  uint64_t limit = ParseUint(request.Query("limit")).value_or(0);
  if (!request.Query("continue").empty()) {
    std::optional<ContinueToken> token = ContinueToken::Decode(request.Query("continue"));
    if (!token) {
      return ErrorResponse(request,
                           BadRequest("continue key is not valid: " + request.Query("continue")));
    }
    if (!version_text.empty() && version_text != "0") {
      return ErrorResponse(
          request, BadRequest("specifying resource version is not allowed when using continue"));
    }
    std::optional<uint64_t> at;
    if (token->version >= 0) at = static_cast<uint64_t>(token->version);
    return ListPage(request, target, selector, at, token->start, limit);
  }
  if (*version > store_->version()) {
    return ErrorResponse(request, TooLargeVersion(version_text, store_->version()));
  }
  // Version 0 is answered from the cache, which knows no pages.
  if (version_text == "0") limit = 0;
  bool exact = request.Query("resourceVersionMatch") == "Exact" ||
               (limit > 0 && *version > 0 && request.Query("resourceVersionMatch").empty());
  return ListPage(request, target, selector, exact ? version : std::nullopt, "", limit);
}

ApiResponse Api::ListPage(const ApiRequest& request, const Target& target, const Selector& selector,
                          std::optional<uint64_t> at, const std::string& start, uint64_t limit) {
  uint64_t version = at.value_or(store_->version());
  if (version > store_->version()) {
    return ErrorResponse(request, TooLargeVersion(std::to_string(version), store_->version()));
  }
  auto all = store_->ListAt(*target.type, target.prefix(), version);
  if (!all) {
    ApiError expired = Expired("The resourceVersion for the provided list is too old.");
    if (!start.empty()) {
      expired = Expired(
          "The provided continue parameter is too old to display a consistent list result. You can "
          "start a new list without the continue parameter, or use the continue token in this "
          "response to retrieve the remainder of the results. Continuing with the provided token "
          "results in an inconsistent list - objects that were created, modified, or deleted "
          "between the time the first chunk was returned and now may show up in the list.");
      expired.continue_token = ContinueToken{-1, start}.Encode();
    }
    return ErrorResponse(request, expired);
  }
  std::vector<ObjectPtr> items;
  std::string token;
  uint64_t remaining = 0;
  size_t prefix = target.prefix().size();
  for (const ObjectPtr& object : *all) {
    std::string_view key = std::string_view(object->key).substr(prefix);
    if (key < start || !selector.Matches(*object)) continue;
    if (!target.name.empty() && object->key != target.key()) continue;
    if (limit > 0 && items.size() == limit) {
      if (remaining++ == 0) {
        // The next page begins at the least key after the last one of this page.
        std::string last = items.back()->key.substr(prefix) + std::string(1, '\0');
        token = ContinueToken{static_cast<int64_t>(version), last}.Encode();
      }
      continue;
    }
    items.push_back(object);
  }
  std::string metadata = "{\"resourceVersion\":\"" + std::to_string(version) + "\"";
  if (!token.empty()) {
    metadata += ",\"continue\":" + Quoted(token);
    // With a selector the real server does not know how many would match.
    if (selector.empty()) metadata += ",\"remainingItemCount\":" + std::to_string(remaining);
  }
  return ListResponse(request, *target.type, std::move(items), metadata + "}",
                      options_.objects.now_seconds());
}

ApiResponse Api::Watch(const ApiRequest& request, const Target& target) {
  if (auto error = CheckMatch(request, true, options_.watch_list)) {
    return ErrorResponse(request, *error);
  }
  std::optional<ApiError> error;
  WatchSpec spec;
  spec.type = target.type;
  spec.prefix = target.prefix();
  std::string fields = request.Query("fieldSelector");
  if (!target.name.empty()) fields = "metadata.name=" + target.name;
  spec.selector = Selector::Parse(*target.type, fields, request.Query("labelSelector"), &error);
  if (error) return ErrorResponse(request, *error);
  const std::string& version_text = request.Query("resourceVersion");
  std::optional<uint64_t> version = uint64_t{0};
  if (!version_text.empty()) version = ParseUint(version_text);
  if (!version) return ErrorResponse(request, InvalidVersion(version_text));
  bool watch_list = options_.watch_list && request.Query("sendInitialEvents") == "true";
  spec.from = *version;
  spec.initial = *version == 0 || watch_list;
  spec.bookmarks =
      request.Query("allowWatchBookmarks") == "true" || request.Query("allowWatchBookmarks") == "1";
  spec.initial_bookmark = watch_list && spec.bookmarks;
  spec.timeout_seconds =
      static_cast<double>(ParseUint(request.Query("timeoutSeconds")).value_or(0));
  spec.table = WantsTable(request);
  spec.table_objects = TableObjectsOf(request);
  ApiResponse response;
  response.watch = std::move(spec);
  return response;
}

}  // namespace podroute
