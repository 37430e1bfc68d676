#include "tests/apiserver/patch.h"

#include <rapidjson/pointer.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podroute {

namespace {

constexpr std::string_view kSetElementOrder = "$setElementOrder/";
constexpr std::string_view kDeleteFromPrimitiveList = "$deleteFromPrimitiveList/";

// patchMergeKey of the list fields in the kinds that we keep. (spec.taints has none: it is replaced
// whole.)
std::string_view MergeKey(std::string_view field) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kKeys = {{
      {"conditions", "type"},
      {"addresses", "type"},
      {"ownerReferences", "uid"},
  }};
  for (const auto& [name, key] : kKeys) {
    if (name == field) return key;
  }
  return "";
}

// Lists of plain values with patchStrategy=merge.
bool MergesPrimitives(std::string_view field) {
  return field == "podCIDRs" || field == "finalizers";
}

JsonValue Copy(const JsonValue& value, JsonAllocator& allocator) { return {value, allocator}; }

Status MergeObjects(JsonValue& target, const JsonValue& patch, JsonAllocator& allocator);

const JsonValue* FindByKey(const JsonValue& list, std::string_view key, const JsonValue& value) {
  for (const JsonValue& element : list.GetArray()) {
    const JsonValue* found = Find(element, key);
    if (found != nullptr && *found == value) return &element;
  }
  return nullptr;
}

// Position in `list` of the element with the same key as `element`; -1 when there is none. With an
// empty key the elements themselves are compared.
int IndexOf(const JsonValue& list, std::string_view key, const JsonValue& element) {
  int index = 0;
  for (const JsonValue& other : list.GetArray()) {
    if (key.empty()) {
      if (other == element) return index;
    } else {
      const JsonValue* a = Find(other, key);
      const JsonValue* b = Find(element, key);
      if (a != nullptr && b != nullptr && *a == *b) return index;
    }
    ++index;
  }
  return -1;
}

// Those that the patch names (`left`) and those that only the server has (`right`), each in its
// order; where the server knows both of a pair its order decides, else the patch's element comes
// first.
JsonValue MergeInOrder(std::vector<JsonValue> left, std::vector<JsonValue> right,
                       const JsonValue& server_order, std::string_view key,
                       JsonAllocator& allocator) {
  JsonValue merged(rapidjson::kArrayType);
  size_t i = 0, j = 0;
  while (i < left.size() || j < right.size()) {
    bool take_left = j >= right.size();
    if (i < left.size() && j < right.size()) {
      int l = IndexOf(server_order, key, left[i]);
      int r = IndexOf(server_order, key, right[j]);
      take_left = l < 0 || r < 0 || l < r;
    }
    merged.PushBack(take_left ? left[i++] : right[j++], allocator);
  }
  return merged;
}

// `order`, the patch's $setElementOrder, or the patch itself when it has none, says how those that
// the patch names follow each other.
JsonValue Normalise(JsonValue merged, const JsonValue& order, const JsonValue& server_order,
                    std::string_view key, JsonAllocator& allocator) {
  std::vector<JsonValue> left, right;
  for (const JsonValue& wanted : order.GetArray()) {
    int index = IndexOf(merged, key, wanted);
    if (index >= 0) left.push_back(Copy(merged[static_cast<unsigned>(index)], allocator));
  }
  for (JsonValue& element : merged.GetArray()) {
    if (IndexOf(order, key, element) < 0) right.push_back(std::move(element));
  }
  return MergeInOrder(std::move(left), std::move(right), server_order, key, allocator);
}

Status MergeKeyedList(JsonValue& target, const JsonValue& patch, const JsonValue* order,
                      std::string_view field, JsonAllocator& allocator) {
  std::string_view key = MergeKey(field);
  JsonValue server_order = Copy(target, allocator);
  for (const JsonValue& element : patch.GetArray()) {
    if (StringAt(element, {"$patch"}) == "replace") {
      target.SetArray();
      for (const JsonValue& kept : patch.GetArray()) {
        if (Find(kept, "$patch") == nullptr) target.PushBack(Copy(kept, allocator), allocator);
      }
      return Status::Ok();
    }
  }
  JsonValue named(rapidjson::kArrayType);
  for (const JsonValue& element : patch.GetArray()) {
    const JsonValue* value = Find(element, key);
    if (value == nullptr) {
      return Status(
          StatusCode::kInvalidArgument,
          "map: " + ToText(element) + " does not contain declared merge key: " + std::string(key));
    }
    auto* found = const_cast<JsonValue*>(FindByKey(target, key, *value));
    if (StringAt(element, {"$patch"}) == "delete") {
      if (found != nullptr) target.Erase(found);
      continue;
    }
    named.PushBack(Copy(element, allocator), allocator);
    if (found != nullptr) {
      PODROUTE_RETURN_IF_ERROR(MergeObjects(*found, element, allocator));
    } else {
      target.PushBack(Copy(element, allocator), allocator);
    }
  }
  JsonValue merged = std::move(target);
  target =
      Normalise(std::move(merged), order != nullptr ? *order : named, server_order, key, allocator);
  return Status::Ok();
}

void MergePrimitiveList(JsonValue& target, const JsonValue& patch, const JsonValue* order,
                        JsonAllocator& allocator) {
  JsonValue server_order = Copy(target, allocator);
  for (const JsonValue& element : patch.GetArray()) {
    if (IndexOf(target, "", element) < 0) target.PushBack(Copy(element, allocator), allocator);
  }
  JsonValue merged = std::move(target);
  target =
      Normalise(std::move(merged), order != nullptr ? *order : patch, server_order, "", allocator);
}

// $deleteFromPrimitiveList/f and $retainKeys.
void ApplyDirective(JsonValue& target, std::string_view name, const JsonValue& value) {
  if (name.starts_with(kDeleteFromPrimitiveList) && value.IsArray()) {
    JsonValue* list = Find(target, name.substr(kDeleteFromPrimitiveList.size()));
    if (list == nullptr || !list->IsArray()) return;
    for (const JsonValue& gone : value.GetArray()) {
      int index = IndexOf(*list, "", gone);
      if (index >= 0) list->Erase(list->Begin() + index);
    }
  } else if (name == "$retainKeys" && value.IsArray()) {
    std::vector<std::string> drop;
    for (const auto& member : target.GetObject()) {
      if (IndexOf(value, "", member.name) < 0) drop.emplace_back(View(member.name));
    }
    for (const std::string& key : drop) RemoveMember(target, key);
  }  // $setElementOrder is read together with its list.
}

Status MergeField(JsonValue& target, std::string_view name, const JsonValue& value,
                  const JsonValue& patch, JsonAllocator& allocator) {
  if (value.IsNull()) {
    RemoveMember(target, name);
    return Status::Ok();
  }
  bool keyed = !MergeKey(name).empty();
  if (value.IsArray() && (keyed || MergesPrimitives(name))) {
    JsonValue* old = Find(target, name);
    if (old == nullptr || !old->IsArray()) {
      SetMember(target, name, JsonValue(rapidjson::kArrayType), allocator);
      old = Find(target, name);
    }
    const JsonValue* order = Find(patch, std::string(kSetElementOrder) + std::string(name));
    if (order != nullptr && !order->IsArray()) order = nullptr;
    if (keyed) return MergeKeyedList(*old, value, order, name, allocator);
    MergePrimitiveList(*old, value, order, allocator);
    return Status::Ok();
  }
  if (value.IsObject()) {
    return MergeObjects(ObjectMember(target, name, allocator), value, allocator);
  }
  SetMember(target, name, Copy(value, allocator), allocator);
  return Status::Ok();
}

Status MergeObjects(JsonValue& target, const JsonValue& patch, JsonAllocator& allocator) {
  if (const JsonValue* directive = Find(patch, "$patch")) {
    std::string_view word = directive->IsString() ? View(*directive) : "";
    if (word == "replace" || word == "delete") {
      target = word == "replace" ? Copy(patch, allocator) : JsonValue(rapidjson::kObjectType);
      RemoveMember(target, "$patch");
      return Status::Ok();
    }
    if (word != "merge") {
      return Status(StatusCode::kInvalidArgument,
                    "Unknown patch type found: " + ToText(*directive));
    }
  }
  for (const auto& member : patch.GetObject()) {
    std::string_view name = View(member.name);
    if (name == "$patch") continue;
    if (name.starts_with("$")) {
      ApplyDirective(target, name, member.value);
      continue;
    }
    PODROUTE_RETURN_IF_ERROR(MergeField(target, name, member.value, patch, allocator));
  }
  return Status::Ok();
}

Status JsonPatchStep(JsonDocument& target, const JsonValue& step) {
  std::string_view op = StringAt(step, {"op"});
  std::string path(StringAt(step, {"path"}));
  auto bad = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument,
                  std::string(op) + " operation does not apply: " + std::string(why) + ": " + path);
  };
  rapidjson::Pointer pointer(path.c_str(), path.size());
  if (!pointer.IsValid()) return bad("invalid path");
  const JsonValue* value = Find(step, "value");
  JsonValue* at = pointer.Get(target);
  if (op == "test") {
    if (value == nullptr || at == nullptr || *at != *value) return bad("testing value failed");
    return Status::Ok();
  }
  if (op == "remove") {
    return pointer.Erase(target) ? Status::Ok() : bad("no such path");
  }
  if (op == "replace") {
    if (at == nullptr || value == nullptr) return bad("no such path");
    at->CopyFrom(*value, target.GetAllocator());
    return Status::Ok();
  }
  if (op != "add") return bad("unknown operation");
  if (value == nullptr) return bad("no value");
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return bad("invalid path");
  JsonValue* parent = rapidjson::Pointer(path.c_str(), slash).Get(target);
  if (parent == nullptr) return bad("missing parent");
  std::string_view last = std::string_view(path).substr(slash + 1);
  if (parent->IsArray() && last != "-") {
    // An insertion, where Pointer::Set would replace.
    size_t index = pointer.GetTokens()[pointer.GetTokenCount() - 1].index;
    if (index > parent->Size()) return bad("index out of bounds");
    parent->PushBack(Copy(*value, target.GetAllocator()), target.GetAllocator());
    for (size_t i = parent->Size() - 1; i > index; --i) {
      (*parent)[static_cast<unsigned>(i)].Swap((*parent)[static_cast<unsigned>(i - 1)]);
    }
    return Status::Ok();
  }
  pointer.Set(target, *value);
  return Status::Ok();
}

}  // namespace

void ApplyMergePatch(JsonValue& target, const JsonValue& patch, JsonAllocator& allocator) {
  if (!patch.IsObject()) {
    target.CopyFrom(patch, allocator);
    return;
  }
  if (!target.IsObject()) target.SetObject();
  for (const auto& member : patch.GetObject()) {
    std::string_view name = View(member.name);
    if (member.value.IsNull()) {
      RemoveMember(target, name);
      continue;
    }
    if (Find(target, name) == nullptr) SetMember(target, name, JsonValue(), allocator);
    ApplyMergePatch(*Find(target, name), member.value, allocator);
  }
}

Status ApplyStrategicMergePatch(JsonValue& target, const JsonValue& patch,
                                JsonAllocator& allocator) {
  if (!patch.IsObject()) {
    return Status(StatusCode::kInvalidArgument, "the patch is not a JSON object");
  }
  return MergeObjects(target, patch, allocator);
}

Status ApplyJsonPatch(JsonDocument& target, const JsonValue& patch) {
  if (!patch.IsArray()) {
    return Status(StatusCode::kInvalidArgument, "the patch is not a list of operations");
  }
  for (const JsonValue& step : patch.GetArray()) {
    PODROUTE_RETURN_IF_ERROR(JsonPatchStep(target, step));
  }
  return Status::Ok();
}

}  // namespace podroute
