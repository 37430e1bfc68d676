#include "tests/fuzz/json_mutator.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <iterator>
#include <utility>
#include <vector>

namespace podroute {
namespace {

using Value = rapidjson::Value;

constexpr const char* kKeys[] = {
    "cniVersion", "name",       "type",          "ipam",         "ranges",
    "subnet",     "rangeStart", "rangeEnd",      "gateway",      "routes",
    "dst",        "gw",         "dns",           "prevResult",   "ips",
    "interfaces", "mac",        "runtimeConfig", "mtu",          "vlan",
    "args",       "cni",        "capabilities",  "portMappings", "hostPort",
    "address",    "dataDir",    "vlanTrunk",     "ipMasq",       "isDefaultGateway",
    "ipRanges",   "interface",  "priority",      "nameservers",  "cni.dev/valid-attachments",
};

constexpr const char* kTexts[] = {
    "",          "10.1.0.0/16", "10.1.0.0/30", "0.0.0.0/0", "::/0",
    "fd00::/64", "10.1.0.1",    "10.1.0.300",  "fd00::1",   "255.255.255.255/32",
    "1.0.0",     "1.1.0",       "0.4.0",       "9.9.9",     "host-local",
    "../x",      "0/0",         "10.1.0.0/-1", "c1",        "02:00:00:00:00:01",
};

constexpr const char* kNumbers[] = {
    "0",
    "-1",
    "1",
    "65535",
    "65536",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e308",
    "-0.0",
    "1.5",
};

class JsonMutator {
 public:
  explicit JsonMutator(std::mt19937& random) : random_(random) {}

  std::string Run(std::string_view text) {
    constexpr unsigned kFlags = rapidjson::kParseIterativeFlag;
    document_.Parse<kFlags>(text.data(), text.size());
    if (document_.HasParseError()) return std::string(text.substr(0, Below(text.size() + 1)));
    for (size_t i = 0, n = 1 + Below(3); i < n; ++i) {
      nodes_.clear();
      Collect(document_, 0);
      Change(*nodes_[Below(nodes_.size())]);
    }
    rapidjson::StringBuffer buffer;
    // Not checked: invalid UTF-8 goes out as it is.
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    document_.Accept(writer);
    std::string result(buffer.GetString(), buffer.GetSize());
    if (Below(12) == 0) result.resize(Below(result.size() + 1));
    return result;
  }

 private:
  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void Collect(Value& value, int depth) {
    constexpr int kDeepest = 40;
    nodes_.push_back(&value);
    if (depth == kDeepest) return;
    if (value.IsObject()) {
      for (auto& member : value.GetObject()) Collect(member.value, depth + 1);
    } else if (value.IsArray()) {
      for (Value& element : value.GetArray()) Collect(element, depth + 1);
    }
  }

  Value Text(std::string_view text) {
    return {text.data(), static_cast<rapidjson::SizeType>(text.size()), document_.GetAllocator()};
  }
  Value Key() { return Text(kKeys[Below(std::size(kKeys))]); }

  Value Number() {
    rapidjson::Document number(&document_.GetAllocator());
    number.Parse(kNumbers[Below(std::size(kNumbers))]);
    return Value(number, document_.GetAllocator());
  }

  Value Nested() {
    Value value = Text("deep");
    for (size_t i = 0, n = 1 + Below(2000); i < n; ++i) {
      Value outer;
      if (Below(2) == 0) {
        outer.SetArray().PushBack(value, document_.GetAllocator());
      } else {
        outer.SetObject().AddMember(Key(), value, document_.GetAllocator());
      }
      value = std::move(outer);
    }
    return value;
  }

  Value Any() {
    switch (Below(10)) {
      case 0:
        return Value();
      case 1:
        return Value(Below(2) == 0);
      case 2:
        return Number();
      case 3:
        return Text(std::string(1 + Below(70'000), 'a'));
      case 4:
        return Text("\xff\xfe\xc0\x80");
      case 5:
        return Text(std::string_view("a\0b\n\x01", 5));
      case 6:
        return Value(rapidjson::kObjectType);
      case 7:
        return Value(rapidjson::kArrayType);
      case 8:
        return Below(20) == 0 ? Nested() : Number();
      default:
        return Text(kTexts[Below(std::size(kTexts))]);
    }
  }

  // A copy of some other part, or something new.
  Value Other() {
    if (Below(2) == 0) return Any();
    return Value(*nodes_[Below(nodes_.size())], document_.GetAllocator());
  }

  void Change(Value& node) {
    auto& allocator = document_.GetAllocator();
    if (node.IsObject() && !node.ObjectEmpty()) {
      auto member = node.MemberBegin() + static_cast<ptrdiff_t>(Below(node.MemberCount()));
      switch (Below(6)) {
        case 0:
          node.EraseMember(member);
          return;
        case 1: {  // The same key twice.
          Value name(member->name, allocator);
          Value other = Other();
          node.AddMember(name, other, allocator);
          return;
        }
        case 2:
          member->name = Key();
          return;
        case 3: {
          Value name = Key();
          Value other = Other();
          node.AddMember(name, other, allocator);
          return;
        }
        default: {
          Value other = Other();
          member->value = other;
          return;
        }
      }
    }
    if (node.IsArray() && !node.Empty()) {
      auto index = static_cast<rapidjson::SizeType>(Below(node.Size()));
      Value other = Below(2) == 0 ? Value(node[index], allocator) : Other();
      if (Below(3) == 0) {
        node.Erase(node.Begin() + index);
      } else {
        for (size_t i = 0, n = Below(20) == 0 ? 300 : 1; i < n; ++i) {
          node.PushBack(Value(other, allocator), allocator);
        }
      }
      return;
    }
    Value other = Other();
    node = other;
  }

  std::mt19937& random_;
  rapidjson::Document document_;
  std::vector<Value*> nodes_;
};

}  // namespace

std::string MutateJson(std::string_view text, std::mt19937& random) {
  return JsonMutator(random).Run(text);
}

}  // namespace podroute
