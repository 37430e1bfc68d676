// The floor: what a pod's ADD and DEL cost a program that has nothing but the kernel's headers,
// checks nothing and undoes nothing. Takes the container's number for the address: no allocation,
// but a lock and a reservation file as every IPAM needs. Shares no code with cni/.
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Buffer {
  alignas(8) char bytes[4096];
  size_t used = 0;
  nlmsghdr* message = nullptr;

  void Begin(uint16_t type, uint16_t flags, const void* body, size_t size) {
    message = reinterpret_cast<nlmsghdr*>(bytes + used);
    *message = {};
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    Raw(nullptr, 0);
    used += sizeof(nlmsghdr);
    Raw(body, size);
  }
  void Raw(const void* data, size_t size) {
    if (size > 0) std::memcpy(bytes + used, data, size);
    used += NLMSG_ALIGN(size);
    message->nlmsg_len = static_cast<uint32_t>(bytes + used - reinterpret_cast<char*>(message));
  }
  rtattr* Put(uint16_t type, const void* data, size_t size) {
    auto* attribute = reinterpret_cast<rtattr*>(bytes + used);
    attribute->rta_type = type;
    attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    used += sizeof(rtattr);
    Raw(data, size);
    return attribute;
  }
  void End(rtattr* nest) {
    nest->rta_len = static_cast<uint16_t>(bytes + used - reinterpret_cast<char*>(nest));
  }
};

void Check(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

void Send(int fd, const Buffer& buffer) {
  Check(send(fd, buffer.bytes, buffer.used, 0) >= 0, "send");
  char answer[8192];
  ssize_t size = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
  if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return;
  auto* header = reinterpret_cast<nlmsghdr*>(answer);
  if (header->nlmsg_type == NLMSG_ERROR) {
    auto* error = reinterpret_cast<nlmsgerr*>(header + 1);
    std::fprintf(stderr, "netlink: %s\n", std::strerror(-error->error));
    std::exit(1);
  }
}

uint32_t Field(const char* config, const char* key, char* out, size_t size) {
  const char* at = std::strstr(config, key);
  Check(at != nullptr, key);
  at += std::strlen(key);
  size_t length = std::strcspn(at, "\"");
  if (length >= size) std::exit(1);
  std::memcpy(out, at, length);
  out[length] = 0;
  return 0;
}

void Add(int fd, const char* name, const char* bridge, int netns, uint32_t address) {
  ifinfomsg link{};
  ifinfomsg up{};
  up.ifi_flags = up.ifi_change = IFF_UP;
  unsigned char mac[6] = {0x0a,
                          0x58,
                          10,
                          2,
                          static_cast<unsigned char>(address >> 8),
                          static_cast<unsigned char>(address)};
  uint32_t master = if_nametoindex(bridge);
  Buffer host;
  host.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  host.Put(IFLA_IFNAME, name, std::strlen(name) + 1);
  rtattr* info = host.Put(IFLA_LINKINFO, nullptr, 0);
  host.Put(IFLA_INFO_KIND, "veth", 5);
  rtattr* data = host.Put(IFLA_INFO_DATA, nullptr, 0);
  rtattr* peer = host.Put(VETH_INFO_PEER, nullptr, 0);
  host.Raw(&link, sizeof link);
  host.Put(IFLA_IFNAME, "eth0", 5);
  host.Put(IFLA_ADDRESS, mac, sizeof mac);
  host.Put(IFLA_NET_NS_FD, &netns, sizeof netns);
  host.End(peer);
  host.End(data);
  host.End(info);
  host.Begin(RTM_NEWLINK, 0, &link, sizeof link);
  host.Put(IFLA_IFNAME, name, std::strlen(name) + 1);
  host.Put(IFLA_MASTER, &master, sizeof master);
  rtattr* families = host.Put(IFLA_AF_SPEC, nullptr, 0);
  rtattr* inet6 = host.Put(AF_INET6, nullptr, 0);
  uint8_t none = IN6_ADDR_GEN_MODE_NONE;
  host.Put(IFLA_INET6_ADDR_GEN_MODE, &none, 1);
  host.End(inet6);
  host.End(families);
  host.Begin(RTM_NEWLINK, 0, &up, sizeof up);
  host.Put(IFLA_IFNAME, name, std::strlen(name) + 1);
  info = host.Put(IFLA_LINKINFO, nullptr, 0);
  host.Put(IFLA_INFO_SLAVE_KIND, "bridge", 7);
  data = host.Put(IFLA_INFO_SLAVE_DATA, nullptr, 0);
  uint8_t hairpin = 1;
  host.Put(IFLA_BRPORT_MODE, &hairpin, 1);
  host.End(data);
  host.End(info);
  Send(fd, host);

  Check(setns(netns, CLONE_NEWNET) == 0, "setns");
  int inside = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  Buffer pod;
  up.ifi_index = 1;
  pod.Begin(RTM_NEWLINK, 0, &up, sizeof up);
  up.ifi_index = static_cast<int>(if_nametoindex("eth0"));
  pod.Begin(RTM_NEWLINK, 0, &up, sizeof up);
  ifaddrmsg has{};
  has.ifa_family = AF_INET;
  has.ifa_prefixlen = 16;
  has.ifa_index = static_cast<uint32_t>(up.ifi_index);
  pod.Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &has, sizeof has);
  uint32_t wire = __builtin_bswap32(address);
  pod.Put(IFA_LOCAL, &wire, 4);
  pod.Put(IFA_ADDRESS, &wire, 4);
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_type = RTN_UNICAST;
  pod.Begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  uint32_t gateway = __builtin_bswap32(0x0a020001);
  pod.Put(RTA_GATEWAY, &gateway, 4);
  pod.Put(RTA_OIF, &up.ifi_index, 4);
  Send(inside, pod);
}

void Del(int fd, const char* name) {
  ifinfomsg link{};
  Buffer buffer;
  buffer.Begin(RTM_DELLINK, 0, &link, sizeof link);
  buffer.Put(IFLA_IFNAME, name, std::strlen(name) + 1);
  Send(fd, buffer);
}

}  // namespace

int main() {
  char config[4096] = {};
  Check(read(STDIN_FILENO, config, sizeof config - 1) > 0, "read");
  char bridge[16];
  char directory[1024];
  Field(config, "\"bridge\":\"", bridge, sizeof bridge);
  Field(config, "\"dataDir\":\"", directory, sizeof directory);
  const char* container = std::getenv("CNI_CONTAINERID");
  uint32_t number =
      static_cast<uint32_t>(std::atoi(container + std::strcspn(container, "0123456789")));
  uint32_t address = 0x0a020002 + number;
  char name[16];
  std::snprintf(name, sizeof name, "plug%u", number);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  char path[1200];
  std::snprintf(path, sizeof path, "%s/bare.lock", directory);
  int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  std::snprintf(path, sizeof path, "%s/bare.%u", directory, number);
  if (std::strcmp(std::getenv("CNI_COMMAND"), "ADD") == 0) {
    Check(flock(lock, LOCK_EX) == 0, "flock");
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    Check(write(file, container, std::strlen(container)) > 0, "reserve");
    flock(lock, LOCK_UN);
    Add(fd, name, bridge, open(std::getenv("CNI_NETNS"), O_RDONLY | O_CLOEXEC), address);
    std::printf("{\"cniVersion\":\"1.0.0\"}\n");
  } else {
    Del(fd, name);
    Check(flock(lock, LOCK_EX) == 0, "flock");
    unlink(path);
  }
  return 0;
}
