#include "controller/check/filter_reader.h"

namespace podroute {

FilterTest ConstantTest(FlowPart part, bool negated) {
  FilterTest test;
  test.part = negated ? Not(part) : part;
  return test;
}

FilterTest ProtocolTest(std::string_view protocol, bool negated) {
  if (protocol == "all" || protocol == "0") return ConstantTest(FlowPart::kAll, negated);
  return ConstantTest(FlowPart::kSome, negated);
}

FilterTest StateTest(const std::set<std::string>& states, bool negated) {
  bool is_new = states.contains("new") || states.contains("NEW");
  return ConstantTest(is_new ? FlowPart::kAll : FlowPart::kNone, negated);
}

FilterTest MarkTest(std::string_view value, bool negated) {
  bool zero = value.find_first_not_of("0x") == std::string_view::npos;
  return ConstantTest(zero || negated ? FlowPart::kUnknown : FlowPart::kNone);
}

std::optional<AddressSpan> ParseAddressSpan(std::string_view text) {
  if (size_t dash = text.find('-'); dash != std::string_view::npos) {
    Result<IpAddress> first = IpAddress::Parse(text.substr(0, dash));
    Result<IpAddress> last = IpAddress::Parse(text.substr(dash + 1));
    if (!first.ok() || !last.ok()) return std::nullopt;
    return AddressSpan{*first, *last};
  }
  if (Result<IpAddress> address = IpAddress::Parse(text); address.ok()) {
    return AddressSpan{*address, *address};
  }
  Result<IpPrefix> prefix = IpPrefix::Parse(text);
  if (!prefix.ok()) return std::nullopt;
  return AddressSpan{prefix->address(), prefix->Last()};
}

}  // namespace podroute
