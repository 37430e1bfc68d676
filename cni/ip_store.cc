#include "cni/ip_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "base/file.h"
#include "cni/store_lock.h"

namespace podroute {
namespace {

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0600;
constexpr char kLockFile[] = "lock";
constexpr size_t kMaxMarkBytes = 64;
constexpr char kProbeFile[] = ".podroute.new";  // No address, so nobody takes it for a reservation.
constexpr char kOwnDirectory[] = "/.podroute";
constexpr size_t kMaxReservationBytes = 4096;
constexpr size_t kMaxLinkBytes = 1024;

Status MakeDirectories(const std::string& path) {
  if (mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return Status::Ok();
  size_t slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) {
    return Status::FromErrno(errno, "create directory " + path);
  }
  PODROUTE_RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash)));
  if (mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return Status::Ok();
  return Status::FromErrno(errno, "create directory " + path);
}

std::string_view Trim(std::string_view text) {
  constexpr char kSpace[] = " \t\r\n";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// "ID\r\nIFNAME", or the old form without the interface.
std::optional<CniAttachment> ParseOwner(std::string_view content) {
  content = Trim(content);
  if (content.empty()) return std::nullopt;
  size_t end = content.find("\r\n");
  if (end == std::string_view::npos) return CniAttachment{std::string(content), ""};
  return CniAttachment{std::string(content.substr(0, end)), std::string(content.substr(end + 2))};
}

// The old form belongs to every interface of its container, as in the reference plugin.
bool Owns(const CniAttachment& owner, const CniAttachment& written) {
  return written.container_id == owner.container_id &&
         (written.interface.empty() || written.interface == owner.interface);
}

// Makes `content` all that is in the file. Not cut to nothing first: ext4 then writes the new
// content to the disk when the file is closed, 2 ms. False: errno says why, ENOSPC where only part
// of it fits.
bool Overwrite(int fd, std::string_view content) {
  auto size = static_cast<off_t>(content.size());
  ssize_t written = pwrite(fd, content.data(), content.size(), 0);
  if (written >= 0 && written < size) errno = ENOSPC;
  return written == size && ftruncate(fd, size) == 0;
}

// Writes `content` into the spare file, which is made where it is missing.
Status WriteSpare(const std::string& spare, std::string_view content) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd(open(spare.c_str(), kFlags, kFileMode));
  if (!fd && errno == ENOENT) {
    PODROUTE_RETURN_IF_ERROR(MakeDirectories(spare.substr(0, spare.rfind('/'))));
    fd = UniqueFd(open(spare.c_str(), kFlags, kFileMode));
  }
  if (!fd) return Status::FromErrno(errno, "create " + spare);
  if (Overwrite(fd.get(), content)) return Status::Ok();
  return Status::FromErrno(errno, "write " + spare);
}

// Takes a file away; where there is no spare one, it is that from now on. Returns an errno, or 0.
int MakeSpare(int directory, const char* name, const std::string& spare) {
  if (renameat2(directory, name, AT_FDCWD, spare.c_str(), RENAME_NOREPLACE) == 0) return 0;
  return unlinkat(directory, name, 0) == 0 ? 0 : errno;
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Calls `each` with the name of everything in a directory. By large steps: musl's readdir takes
// 2 KiB at a time, a thousand calls for 60,000 names.
Status EachName(const std::string& directory, const std::function<void(const char*)>& each) {
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "list " + directory);
  constexpr size_t kBytes = 64u << 10;
  auto buffer = std::make_unique<char[]>(kBytes);
  constexpr size_t kName = 19;  // struct linux_dirent64: inode, offset, length, type, name.
  while (true) {
    long size = syscall(SYS_getdents64, fd.get(), buffer.get(), kBytes);
    if (size < 0) return Status::FromErrno(errno, "list " + directory);
    if (size == 0) return Status::Ok();
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      uint16_t length = 0;
      std::memcpy(&length, buffer.get() + at + kName - 3, sizeof length);
      each(buffer.get() + at + kName);
      at += length;
    }
  }
}

// All but the owner; empty when it cannot be read.
OwnerLink ReadOwnerLink(const std::string& path) {
  OwnerLink link;
  char buffer[kMaxLinkBytes];
  struct stat status;
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return link;
  ssize_t size = read(fd.get(), buffer, sizeof buffer);
  if (size < 0 || fstat(fd.get(), &status) != 0) return link;
  link.written_ns = Nanoseconds(status.st_mtim);
  std::string_view rest(buffer, static_cast<size_t>(size));
  while (!rest.empty()) {
    size_t comma = std::min(rest.find(','), rest.size());
    std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    Result<IpAddress> address = IpAddress::Parse(part);
    if (address.ok()) {
      link.addresses.push_back(*address);
    } else if (auto stamp = ReservationStamp::Parse(part)) {
      link.stamp = std::move(stamp);
    }
  }
  return link;
}

// Renames without replacing; returns an errno, or 0.
int MoveInto(const std::string& from, int directory, const char* to) {
  if (renameat2(AT_FDCWD, from.c_str(), directory, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system that cannot do that (NFS) can do this.
  if (linkat(AT_FDCWD, from.c_str(), directory, to, 0) != 0) return errno;
  unlink(from.c_str());
  return 0;
}

}  // namespace

IpStore::IpStore(const std::string& data_dir, const std::string& network, UniqueFd directory_fd,
                 UniqueFd lock)
    : directory_(data_dir + "/" + network),
      link_directory_(data_dir + kOwnDirectory + "/" + network),
      spare_(data_dir + kOwnDirectory + "/.spare." + network),
      spare_link_(data_dir + kOwnDirectory + "/.spare-link." + network),
      directory_fd_(std::move(directory_fd)),
      lock_(std::move(lock)),
      index_(data_dir + kOwnDirectory + "/.taken." + network + ".") {}

Result<IpStore> IpStore::Open(const std::string& data_dir, const std::string& network,
                              std::chrono::milliseconds timeout) {
  PODROUTE_RETURN_IF_ERROR(MakeDirectories(data_dir + "/" + network));
  return Lock(data_dir, network, timeout);
}

Result<IpStore> IpStore::OpenExisting(const std::string& data_dir, const std::string& network,
                                      std::chrono::milliseconds timeout) {
  return Lock(data_dir, network, timeout);
}

Result<IpStore> IpStore::Lock(const std::string& data_dir, const std::string& network,
                              std::chrono::milliseconds timeout) {
  std::string directory = data_dir + "/" + network;
  UniqueFd directory_fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_fd) return Status::FromErrno(errno, "open " + directory);
  UniqueFd lock(openat(directory_fd.get(), kLockFile, O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!lock && (errno == ENOSPC || errno == EDQUOT || errno == EROFS)) {
    // Nobody can make it. What only reads and removes, as DEL, must go on all the same.
    lock = UniqueFd(openat(directory_fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (!lock) return Status::FromErrno(errno, "open " + directory + "/lock");
  PODROUTE_RETURN_IF_ERROR(LockWithin(lock.get(), directory + "/lock", timeout));
  return IpStore(data_dir, network, std::move(directory_fd), std::move(lock));
}

std::string IpStore::PathOf(const IpAddress& address) const {
  return directory_ + "/" + address.ToString();
}

std::string IpStore::LinkName(const CniAttachment& owner) const {
  return link_directory_ + "/" + owner.container_id + "@" + owner.interface;
}

std::optional<CniAttachment> IpStore::OwnerOf(const IpAddress& address) const {
  Result<std::string> content = ReadFile(PathOf(address), kMaxReservationBytes);
  return content.ok() ? ParseOwner(*content) : std::nullopt;
}

Result<bool> IpStore::Reserve(const IpAddress& address, const CniAttachment& owner, size_t set) {
  std::string name = address.ToString();
  PODROUTE_RETURN_IF_ERROR(WriteSpare(spare_, owner.container_id + "\r\n" + owner.interface));
  int error = MoveInto(spare_, directory_fd_.get(), name.c_str());
  if (error == EEXIST) return false;
  if (error != 0) return Status::FromErrno(error, "reserve " + PathOf(address));
  Status kept = KeepLastReserved(name, set);
  if (!kept.ok()) {
    (void)MakeSpare(directory_fd_.get(), name.c_str(), spare_);
    return kept;
  }
  index_.Mark(address, true);
  return true;
}

// Rewritten in place, as the reference plugin does. What a kill leaves torn is another address or
// none, and the walk begins there.
Status IpStore::KeepLastReserved(const std::string& address, size_t set) {
  std::string name = "last_reserved_ip." + std::to_string(set);
  UniqueFd file(
      openat(directory_fd_.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kFileMode));
  if (!file || !Overwrite(file.get(), address)) {
    return Status::FromErrno(errno, "write " + directory_ + "/" + name);
  }
  return Status::Ok();
}

void IpStore::Link(const CniAttachment& owner, const std::vector<IpAddress>& addresses,
                   const std::optional<ReservationStamp>& stamp) {
  std::string text;
  for (const IpAddress& address : addresses) {
    if (!text.empty()) text += ',';
    text += address.ToString();
  }
  if (text.empty()) return;
  if (stamp) text += "," + stamp->ToText();
  if (!WriteSpare(spare_link_, text).ok()) return;
  std::string name = LinkName(owner);
  if (rename(spare_link_.c_str(), name.c_str()) == 0 || errno != ENOENT) return;
  if (MakeDirectories(link_directory_).ok()) (void)rename(spare_link_.c_str(), name.c_str());
}

void IpStore::Unlink(const CniAttachment& owner) {
  (void)MakeSpare(AT_FDCWD, LinkName(owner).c_str(), spare_link_);
}

Result<bool> IpStore::IsReserved(const IpAddress& address) const {
  if (faccessat(directory_fd_.get(), address.ToString().c_str(), F_OK, 0) == 0) return true;
  if (errno == ENOENT) return false;
  return Status::FromErrno(errno, "look at " + PathOf(address));
}

std::optional<IpAddress> IpStore::LastReserved(size_t set) const {
  std::string path = directory_ + "/last_reserved_ip." + std::to_string(set);
  Result<std::string> content = ReadFile(path, kMaxReservationBytes);
  if (!content.ok()) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(Trim(*content));
  if (!address.ok()) return std::nullopt;
  return *address;
}

Result<std::vector<IpAddress>> IpStore::Addresses() const {
  std::vector<IpAddress> addresses;
  PODROUTE_RETURN_IF_ERROR(EachName(directory_, [&](const char* name) {
    Result<IpAddress> address = IpAddress::Parse(name);
    if (address.ok()) addresses.push_back(*address);
  }));
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

Result<std::vector<ReservationRecord>> IpStore::Records() const {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<IpAddress> addresses, Addresses());
  std::vector<ReservationRecord> records;
  records.reserve(addresses.size());
  for (const IpAddress& address : addresses) {
    struct stat status;
    if (fstatat(directory_fd_.get(), address.ToString().c_str(), &status, 0) != 0) continue;
    records.push_back({address, status.st_size == 0, Nanoseconds(status.st_mtim)});
  }
  return records;
}

Result<std::vector<Reservation>> IpStore::All() const {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<IpAddress> addresses, Addresses());
  std::vector<Reservation> all;
  all.reserve(addresses.size());
  for (const IpAddress& address : addresses) {
    if (auto owner = OwnerOf(address)) all.push_back({address, std::move(*owner)});
  }
  return all;
}

std::vector<OwnerLink> IpStore::Links() const {
  std::vector<OwnerLink> links;
  // Without the directory there are none.
  (void)EachName(link_directory_, [&](const char* entry) {
    std::string_view name(entry);
    size_t at = name.find('@');  // In no container's ID.
    if (at == std::string_view::npos) return;
    OwnerLink link = ReadOwnerLink(link_directory_ + "/" + entry);
    link.owner = {std::string(name.substr(0, at)), std::string(name.substr(at + 1))};
    links.push_back(std::move(link));
  });
  return links;
}

IpStore::Mark IpStore::ReadMark() const {
  char buffer[kMaxMarkBytes];
  struct stat status;
  ssize_t size = pread(lock_.get(), buffer, sizeof buffer, 0);
  if (size <= 0 || fstat(lock_.get(), &status) != 0) return {};
  return {std::string(buffer, static_cast<size_t>(size)), Nanoseconds(status.st_mtim)};
}

void IpStore::SetMark(const std::string& text) {
  UniqueFd file(openat(directory_fd_.get(), kLockFile, O_WRONLY | O_CLOEXEC));
  if (!file) return;
  if (pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return;
  if (ftruncate(file.get(), static_cast<off_t>(text.size())) != 0) return;
}

Result<std::optional<IpAddress>> IpStore::EndOfTakenRun(const IpAddress& address) {
  return index_.EndOfRun(address, [this] { return ReadTaken(); });
}

Status IpStore::RereadTaken() {
  return index_.Rebuild([this] { return ReadTaken(); });
}

// What is read is kept beside the links.
Result<std::vector<IpAddress>> IpStore::ReadTaken() const {
  (void)MakeDirectories(link_directory_);
  return Addresses();
}

std::vector<IpAddress> IpStore::LinkedAddressesOf(const CniAttachment& owner) const {
  std::vector<IpAddress> addresses;
  for (const IpAddress& address : ReadOwnerLink(LinkName(owner)).addresses) {
    std::optional<CniAttachment> written = OwnerOf(address);
    if (written && Owns(owner, *written)) addresses.push_back(address);
  }
  return addresses;
}

Status IpStore::CheckWritable() const {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  UniqueFd fd(openat(directory_fd_.get(), kProbeFile, kFlags, kFileMode));
  if (!fd) return Status::FromErrno(errno, "create " + directory_ + "/" + kProbeFile);
  // With something in it: where no byte is free there may still be room for a name.
  bool written = Overwrite(fd.get(), "\n");
  int error = errno;
  unlinkat(directory_fd_.get(), kProbeFile, 0);
  if (written) return Status::Ok();
  return Status::FromErrno(error, "write " + directory_ + "/" + kProbeFile);
}

Result<std::vector<IpAddress>> IpStore::AddressesOf(const CniAttachment& owner) const {
  std::vector<IpAddress> addresses = LinkedAddressesOf(owner);
  if (!addresses.empty()) return addresses;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<Reservation> all, All());
  for (const Reservation& reservation : all) {
    if (Owns(owner, reservation.owner)) addresses.push_back(reservation.address);
  }
  return addresses;
}

Status IpStore::Release(const IpAddress& address, const CniAttachment& owner) {
  std::optional<CniAttachment> written = OwnerOf(address);
  if (!written || !Owns(owner, *written)) return Status::Ok();
  return ReleaseAny(address);
}

Status IpStore::ReleaseAny(const IpAddress& address) {
  index_.Mark(address, false);  // First: a clear bit is only a hint to look.
  int error = MakeSpare(directory_fd_.get(), address.ToString().c_str(), spare_);
  if (error != 0 && error != ENOENT) return Status::FromErrno(error, "release " + PathOf(address));
  return Status::Ok();
}

Status IpStore::ReleaseAll(const CniAttachment& owner) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<IpAddress> addresses, AddressesOf(owner));
  for (const IpAddress& address : addresses) {
    PODROUTE_RETURN_IF_ERROR(Release(address, owner));
  }
  Unlink(owner);  // Last: a kill before this leaves a hint that nobody believes.
  return Status::Ok();
}

}  // namespace podroute
