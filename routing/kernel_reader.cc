#include "routing/kernel_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace podroute {
namespace {

// IPv6 routes and nexthop objects: Linux says so when one changed during a dump. A router's table
// may never be still, so after these many tries what was read has to do: what is missing from it is
// met again as EEXIST, which is told from success.
constexpr int kRouteDumpTries = 8;

IpAddress Unspecified(IpFamily family) {
  return IpPrefix::Of(family == IpFamily::kV4
                          ? IpAddress::V4(0)
                          : IpAddress::FromBytes(family, std::array<uint8_t, 16>{}),
                      0)
      .address();
}

// Where a route of ours leads, as Route wants it. An IPv6 route that is made of several comes back
// as several; what cannot be said in a NextHop gets an unspecified gateway.
std::vector<NextHop> NextHopsOf(const KernelRoute& route,
                                const std::vector<KernelNexthop>& nexthops) {
  if (route.nexthop_id != 0) {
    auto found = std::lower_bound(nexthops.begin(), nexthops.end(), route.nexthop_id,
                                  [](const KernelNexthop& n, uint32_t id) { return n.id < id; });
    if (found != nexthops.end() && found->id == route.nexthop_id && found->usable) {
      return {found->via};
    }
  }
  if (route.via.size() == 1) return route.via;
  if (route.via.size() > 1 && route.nexthop_id == 0 && !route.dst.is_v4()) return route.via;
  return {{Unspecified(route.dst.family()), 0}};
}

Status DumpWithRetry(NetlinkTransport& transport, NetlinkBatch& request,
                     const std::function<void()>& restart, const NetlinkTransport::Handler& entry) {
  for (int tries = 1;; ++tries) {
    restart();
    Result<DumpResult> dump = transport.Dump(request, entry);
    // NotFound: the table does not exist yet.
    if (!dump.ok() && dump.status().code() == StatusCode::kNotFound) return Status::Ok();
    if (!dump.ok()) return dump.status();
    if (!dump->interrupted || tries == kRouteDumpTries) return Status::Ok();
  }
}

}  // namespace

bool HasMark(const KernelRoute& route, const RouteMark& mark) {
  // The kernel filters by table and protocol, if it is new enough (Linux 4.20).
  return route.mark.table == mark.table && route.mark.protocol == mark.protocol &&
         route.mark.metric == mark.metric && route.type == RTN_UNICAST && route.tos == 0 &&
         (route.flags & RTM_F_CLONED) == 0;
}

Result<std::vector<KernelNexthop>> ReadKernelNexthops(NetlinkTransport& transport) {
  std::vector<KernelNexthop> nexthops;
  NetlinkBatch request;
  EncodeDumpNexthops(request);
  Status read = DumpWithRetry(
      transport, request, [&] { nexthops.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != RTM_NEWNEXTHOP) return;
        if (auto nexthop = DecodeNexthop(message)) nexthops.push_back(*nexthop);
      });
  if (!read.ok()) return read.WithContext("read nexthop objects");
  std::sort(nexthops.begin(), nexthops.end(),
            [](const KernelNexthop& a, const KernelNexthop& b) { return a.id < b.id; });
  return nexthops;
}

Result<RouteSet> ReadMarkedRoutes(NetlinkTransport& transport, const RouteMark& mark,
                                  const NexthopIds& ids, const std::vector<KernelNexthop>& nexthops,
                                  std::unordered_set<uint32_t>* others) {
  RouteSet routes;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    NetlinkBatch request;
    EncodeDumpRoutes(request, family, mark);
    const size_t before = routes.size();
    Status read = DumpWithRetry(
        transport, request,
        [&] { routes.erase(routes.begin() + static_cast<ptrdiff_t>(before), routes.end()); },
        [&](const NetlinkMessage& message) {
          if (message.header.nlmsg_type != RTM_NEWROUTE) return;
          std::optional<KernelRoute> route = DecodeRoute(message);
          if (!route || route->dst.family() != family) return;
          if (!HasMark(*route, mark) || IsOtherOwners(route->nexthop_id, ids)) {
            if (route->nexthop_id != 0) others->insert(route->nexthop_id);
            return;
          }
          for (const NextHop& via : NextHopsOf(*route, nexthops)) {
            Route& added = routes.emplace_back();
            added.dst = route->dst;
            added.via = via;
            added.nexthop_id = route->nexthop_id;
          }
        });
    // A kernel without IPv6.
    if (family == IpFamily::kV6 && read.code() == StatusCode::kUnsupported) continue;
    if (!read.ok())
      return read.WithContext("read " + std::string(IpFamilyName(family)) + " routes");
  }
  auto by_dst = [](const Route& a, const Route& b) { return a.dst < b.dst; };
  if (!IsOrdered(routes)) std::stable_sort(routes.begin(), routes.end(), by_dst);
  return routes;
}

Status NameLinks(NetlinkTransport& transport, RouteSet& routes) {
  std::map<int, std::string> names;
  for (const Route& route : routes) names.try_emplace(route.via.ifindex);
  names.erase(0);
  if (names.empty()) return Status::Ok();
  NetlinkBatch batch;
  for (const auto& [ifindex, name] : names) EncodeGetLink(batch, ifindex);
  // A failure: the link has just gone; its number is shown instead.
  Result<std::vector<NetlinkFailure>> asked =
      transport.Execute(batch, [&](const NetlinkMessage& message) {
        if (auto link = DecodeLink(message)) names[link->ifindex] = link->name;
      });
  if (!asked.ok()) return asked.status();
  for (Route& route : routes) route.dev = names[route.via.ifindex];
  return Status::Ok();
}

Result<std::vector<ShadowedRoute>> FindShadowedRoutes(NetlinkTransport& transport,
                                                      const RouteMark& mark,
                                                      const RouteSet& routes) {
  struct Answer {
    std::optional<KernelRoute> route;
    int error = 0;
  };
  auto ask = [&](const std::vector<IpAddress>& addresses) -> Result<std::vector<Answer>> {
    std::vector<Answer> answers(addresses.size());
    if (addresses.empty()) return answers;
    NetlinkBatch batch;
    for (const IpAddress& address : addresses) EncodeFindRoute(batch, address);
    PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                              transport.Execute(batch, [&](const NetlinkMessage& message) {
                                size_t index = message.header.nlmsg_seq - batch.header(0).nlmsg_seq;
                                if (index < answers.size())
                                  answers[index].route = DecodeRoute(message);
                              }));
    for (const NetlinkFailure& failure : failures) answers[failure.index].error = failure.error;
    return answers;
  };
  // An address of the prefix can have a route of its own, more specific than ours: then another one
  // is asked for. EINVAL, EHOSTUNREACH, EACCES are what IPv4 blackholes and the like answer.
  auto conclusive = [](const Answer& answer, const IpPrefix& dst) {
    return answer.route && answer.route->dst.length() <= dst.length();
  };
  std::vector<IpAddress> addresses;
  for (const Route& route : routes) addresses.push_back(route.dst.address());
  PODROUTE_ASSIGN_OR_RETURN(std::vector<Answer> answers, ask(addresses));
  std::vector<size_t> unsure;
  addresses.clear();
  for (size_t i = 0; i < routes.size(); ++i) {
    if (conclusive(answers[i], routes[i].dst)) continue;
    unsure.push_back(i);
    addresses.push_back(routes[i].dst.Last());
  }
  PODROUTE_ASSIGN_OR_RETURN(std::vector<Answer> second, ask(addresses));
  for (size_t k = 0; k < unsure.size(); ++k) {
    if (!answers[unsure[k]].error || !second[k].error) answers[unsure[k]] = second[k];
  }
  std::vector<ShadowedRoute> shadowed;
  for (size_t i = 0; i < routes.size(); ++i) {
    const Answer& answer = answers[i];
    bool refused = answer.error == EINVAL || answer.error == EHOSTUNREACH || answer.error == EACCES;
    if (refused) shadowed.push_back({routes[i].dst, 0, 0});
    if (!answer.route || answer.route->dst != routes[i].dst || HasMark(*answer.route, mark))
      continue;
    shadowed.push_back({routes[i].dst, answer.route->mark.protocol, answer.route->mark.metric});
  }
  return shadowed;
}

}  // namespace podroute
