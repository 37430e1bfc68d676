#include "tests/apiserver/selector.h"

#include <algorithm>
#include <utility>

namespace podroute {

namespace {

// Splits at the commas that stand outside parentheses.
std::vector<std::string_view> SplitTopLevel(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  return parts;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool FieldSupported(const ResourceType& type, std::string_view field) {
  if (field == "metadata.name") return true;
  if (field == "metadata.namespace") return type.namespaced;
  if (type.plural == "nodes") return field == "spec.unschedulable";
  if (type.plural == "namespaces") return field == "status.phase";
  if (type.plural == "pods") return field == "spec.nodeName" || field == "status.phase";
  if (type.plural == "events") {
    return field.starts_with("involvedObject.") || field == "reason" || field == "source" ||
           field == "type" || field == "reportingComponent";
  }
  return false;
}

// The text of the field at a dotted path, "" when it is not there, as the real server has it.
std::string FieldText(const JsonValue& object, std::string_view path) {
  if (path == "source") path = "source.component";
  const JsonValue* at = &object;
  while (at != nullptr && !path.empty()) {
    size_t dot = std::min(path.find('.'), path.size());
    at = Find(*at, path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  if (at == nullptr) return "";
  if (at->IsString()) return std::string(View(*at));
  return at->IsNull() ? "" : ToText(*at);
}

}  // namespace

bool Selector::Requirement::Holds(const std::string* value) const {
  bool among = value != nullptr && std::find(values.begin(), values.end(), *value) != values.end();
  switch (op) {
    case Operator::kEquals:
    case Operator::kIn:
      return among;
    case Operator::kNotEquals:
    case Operator::kNotIn:
      return !among;
    case Operator::kExists:
      return value != nullptr;
    case Operator::kNotExists:
      return value == nullptr;
  }
  return false;
}

std::optional<std::vector<Selector::Requirement>> Selector::ParseRequirements(
    std::string_view text) {
  std::vector<Requirement> requirements;
  if (text.empty()) return requirements;
  for (std::string_view part : SplitTopLevel(text)) {
    part = Trim(part);
    if (part.empty()) return std::nullopt;
    Requirement requirement;
    size_t open = part.find('(');
    size_t equals = part.find('=');
    if (open != std::string_view::npos && part.back() == ')') {
      std::string_view head = Trim(part.substr(0, open));
      size_t space = head.rfind(' ');
      if (space == std::string_view::npos) return std::nullopt;
      std::string_view word = head.substr(space + 1);
      if (word != "in" && word != "notin") return std::nullopt;
      requirement.op = word == "in" ? Operator::kIn : Operator::kNotIn;
      requirement.key = Trim(head.substr(0, space));
      for (std::string_view value : SplitTopLevel(part.substr(open + 1, part.size() - open - 2))) {
        requirement.values.emplace_back(Trim(value));
      }
    } else if (equals != std::string_view::npos) {
      bool negated = equals > 0 && part[equals - 1] == '!';
      size_t value = equals + (part.substr(equals).starts_with("==") ? 2 : 1);
      requirement.op = negated ? Operator::kNotEquals : Operator::kEquals;
      requirement.key = Trim(part.substr(0, negated ? equals - 1 : equals));
      requirement.values.emplace_back(Trim(part.substr(value)));
    } else {
      requirement.op = part.front() == '!' ? Operator::kNotExists : Operator::kExists;
      requirement.key = part.front() == '!' ? Trim(part.substr(1)) : part;
    }
    if (requirement.key.empty()) return std::nullopt;
    requirements.push_back(std::move(requirement));
  }
  return requirements;
}

Selector Selector::Parse(const ResourceType& type, std::string_view fields, std::string_view labels,
                         std::optional<ApiError>* error) {
  Selector selector;
  auto parsed_fields = ParseRequirements(fields);
  auto parsed_labels = ParseRequirements(labels);
  if (!parsed_fields) {
    *error = BadRequest("invalid selector: '" + std::string(fields) + "'; can't understand it");
    return selector;
  }
  if (!parsed_labels) {
    *error = BadRequest("unable to parse requirement: " + std::string(labels));
    return selector;
  }
  for (const Requirement& requirement : *parsed_fields) {
    if (!FieldSupported(type, requirement.key)) {
      *error = BadRequest("field label not supported: " + requirement.key);
      return selector;
    }
  }
  selector.fields_ = std::move(*parsed_fields);
  selector.labels_ = std::move(*parsed_labels);
  return selector;
}

bool Selector::Matches(const StoredObject& object) const {
  if (empty()) return true;
  // By far the most frequent selector must not parse every Node: the key ends with the name.
  if (labels_.empty() && fields_.size() == 1 && fields_[0].key == "metadata.name" &&
      fields_[0].op == Operator::kEquals) {
    size_t slash = object.key.rfind('/');
    return std::string_view(object.key).substr(slash == std::string::npos ? 0 : slash + 1) ==
           fields_[0].values[0];
  }
  Result<JsonDocument> document = ParseJson(object.json);
  for (const Requirement& requirement : fields_) {
    std::string text = FieldText(*document, requirement.key);
    if (text.empty() && requirement.key == "spec.unschedulable") text = "false";
    if (!requirement.Holds(&text)) return false;
  }
  for (const Requirement& requirement : labels_) {
    const JsonValue* label = FindPath(*document, {"metadata", "labels", requirement.key});
    std::string text;
    if (label != nullptr && label->IsString()) text = View(*label);
    if (!requirement.Holds(label == nullptr ? nullptr : &text)) return false;
  }
  return true;
}

}  // namespace podroute
