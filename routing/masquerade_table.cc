#include "routing/masquerade_table.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace podroute {
namespace {

constexpr char kWhat[] = "nftables table inet podroute";
// Somebody changes the set as we read: what was read has to do then, and is not what is wanted.
constexpr int kReadTries = 8;

uint8_t MessageOf(const NetlinkMessage& message) { return message.header.nlmsg_type & 0xff; }

// The failure of a message that can fail for no other reason than those that all can.
Status ToStatus(const NetlinkFailure& failure) {
  // What nfnetlink says of a subsystem that it does not have and cannot load.
  if (failure.error == EINVAL && failure.text.empty() && failure.index == 0) {
    return Status(StatusCode::kUnsupported, std::string(kWhat) + ": this kernel has no nf_tables");
  }
  return failure.ToStatus(kWhat);
}

// The messages of the layout. Views into `batch`.
std::vector<NetlinkMessage> MessagesOf(const NetlinkBatch& batch) {
  std::vector<NetlinkMessage> messages;
  std::span<const uint8_t> rest = batch.bytes();
  while (auto message = NextMessage(rest)) messages.push_back(*message);
  return messages;
}

}  // namespace

Result<MasqueradeState> MasqueradeTable::Read() {
  MasqueradeState state;
  PODROUTE_ASSIGN_OR_RETURN(bool sound, ReadLayout(&state));
  if (!sound) return state;
  for (const MasqueradeSet& set : MasqueradeSets()) {
    PODROUTE_ASSIGN_OR_RETURN(auto ranges, ReadSet(set));
    if (!ranges) return state;
    std::vector<AddressRange>& all = state.content.*set.ranges;
    all.insert(all.end(), ranges->begin(), ranges->end());
  }
  state.sound = true;
  return state;
}

Result<bool> MasqueradeTable::ReadLayout(MasqueradeState* state) {
  NftTransaction layout(kMasqueradeTable);
  AddMasqueradeLayout(layout);
  std::vector<NetlinkMessage> made = MessagesOf(layout.FinishAsCheck());
  std::erase_if(made, [](const NetlinkMessage& message) {
    return message.header.nlmsg_type == NFNL_MSG_BATCH_BEGIN ||
           MessageOf(message) == NFT_MSG_DELRULE;
  });
  auto rules = std::stable_partition(made.begin(), made.end(), [](const NetlinkMessage& message) {
    return MessageOf(message) != NFT_MSG_NEWRULE;
  });
  const std::vector<NetlinkMessage> made_rules(rules, made.end());
  made.erase(rules, made.end());
  NetlinkBatch questions;  // The first is about the table.
  for (const NetlinkMessage& message : made) EncodeGetMadeNft(questions, message);
  size_t as_made = 0;
  auto on_answer = [&](const NetlinkMessage& answer) {
    size_t index = answer.header.nlmsg_seq - questions.header(0).nlmsg_seq;
    if (index >= made.size()) return;
    state->there |= index == 0;
    bool same = ShowsMadeNft(answer, made[index]);
    if (auto table = DecodeNftTable(answer)) {
      // A dormant table does nothing.
      same = same && table->flags == 0 && table->uses == MasqueradeLayoutUses();
    }
    as_made += same ? 1 : 0;
  };
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(questions, on_answer));
  for (const NetlinkFailure& failure : failures) {
    if (failure.error != ENOENT) return ToStatus(failure);
  }
  if (as_made != made.size()) return false;
  return ReadRules(made_rules);
}

Result<bool> MasqueradeTable::ReadRules(const std::vector<NetlinkMessage>& made) {
  NetlinkBatch request;
  EncodeDumpNftRules(request, kMasqueradeTable, kMasqueradeChain);
  for (int tries = 0; tries < kReadTries; ++tries) {
    size_t next = 0;
    bool same = true;
    Result<DumpResult> dump = netlink_.Dump(request, [&](const NetlinkMessage& rule) {
      if (!IsNftRuleOf(rule, kMasqueradeTable, kMasqueradeChain)) return;
      same = same && next < made.size() && ShowsMadeNft(rule, made[next]);
      ++next;
    });
    if (!dump.ok() && dump.status().code() == StatusCode::kNotFound) return false;
    if (!dump.ok()) return dump.status().WithContext(kWhat);
    if (!dump->interrupted) return same && next == made.size();
  }
  return false;
}

Result<std::optional<std::vector<AddressRange>>> MasqueradeTable::ReadSet(
    const MasqueradeSet& set) {
  using Ranges = std::optional<std::vector<AddressRange>>;
  NetlinkBatch request;
  EncodeDumpNftElements(request, kMasqueradeTable, set.name);
  std::vector<NftElement> elements;
  for (int tries = 0; tries < kReadTries; ++tries) {
    elements.clear();
    Result<DumpResult> dump = netlink_.Dump(request, [&](const NetlinkMessage& message) {
      for (NftElement& element : DecodeNftElements(message)) {
        elements.push_back(std::move(element));
      }
    });
    if (!dump.ok() && dump.status().code() == StatusCode::kNotFound) return Ranges();
    if (!dump.ok()) return dump.status().WithContext(kWhat);
    if (!dump->interrupted) return Ranges(ToRanges(std::move(elements), set.family));
  }
  return Ranges();
}

Status MasqueradeTable::Write(const MasqueradeState& now, const Masquerading& wanted) {
  if (now.sound) {
    NftTransaction change = ChangeMasqueradeTable(now.content, wanted);
    if (Commit(change).ok()) return Status::Ok();
    // It has been changed since, or says the same in other elements, as after `nft -f`.
  }
  NftTransaction replacement = ReplaceMasqueradeTable(wanted);
  return Commit(replacement);
}

Status MasqueradeTable::Commit(NftTransaction& transaction) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(transaction.Finish()));
  if (failures.empty()) return Status::Ok();
  // All that is named is made in the same transaction, but for what the kernel has to bring along.
  if (failures.front().error == ENOENT) {
    return Status(
        StatusCode::kUnsupported,
        std::string(kWhat) + ": this kernel lacks one of nft_chain_nat, nft_masq and nft_fib_inet");
  }
  return ToStatus(failures.front());
}

}  // namespace podroute
