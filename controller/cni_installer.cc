#include "controller/cni_installer.h"

#include <glog/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

constexpr Duration kRemakeDelay = std::chrono::seconds(1);
// A plugin that is being copied to where we install it from is not taken half-way.
constexpr Duration kSourceDelay = std::chrono::milliseconds(200);
constexpr Duration kChangingDelay = std::chrono::milliseconds(600);
constexpr Duration kNextLook = std::chrono::milliseconds(50);
constexpr Duration kNextWrite = std::chrono::seconds(2);
constexpr double kLookBurst = 200, kLooksPerSecond = 20;
constexpr double kWriteBurst = 50, kWritesPerSecond = 0.5;
constexpr BackoffOptions kRetry = {
    .initial = std::chrono::seconds(1), .max = std::chrono::minutes(1), .jitter = 0.2};

bool IsDirectory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Whatever the umask: nobody else may write there.
Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0755) == 0) {
      if (chmod(part.c_str(), 0755) != 0) return Status::FromErrno(errno, "chmod " + part);
    } else if (errno != EEXIST && !IsDirectory(part)) {
      return Status::FromErrno(errno, "make directory " + part);
    }
    if (slash == std::string::npos) break;
  }
  return IsDirectory(path) ? Status::Ok() : Status::FromErrno(ENOTDIR, path);
}

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
}

}  // namespace

Result<std::unique_ptr<CniInstaller>> CniInstaller::Create(EventLoop& loop,
                                                           const CniInstallerOptions& options,
                                                           const Clock& clock) {
  std::string source = options.plugin;
  Status no_plugin;
  if (!source.empty()) {
    struct stat info;
    if (access(source.c_str(), R_OK) != 0) {
      return Status::FromErrno(errno, "--cni_plugin=" + source);
    }
    if (stat(source.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return Status(StatusCode::kInvalidArgument, "--cni_plugin=" + source + ": not a file");
    }
  } else if (Result<std::string> found = FindPlugin(); found.ok()) {
    source = *found;
  } else {
    no_plugin = found.status();
  }
  std::unique_ptr<CniInstaller> installer(new CniInstaller(CniFiles(options.directories, source),
                                                           std::move(no_plugin), options, clock));
  CniInstaller* raw = installer.get();
  PODROUTE_ASSIGN_OR_RETURN(installer->timer_, Timer::Create(loop, [raw] { raw->Check(); }));
  Result<std::unique_ptr<DirectoryWatch>> watch = DirectoryWatch::Create(
      loop, [raw](const std::string& path, const std::string& name) { raw->OnChange(path, name); });
  if (watch.ok()) {
    installer->watch_ = std::move(*watch);
  } else {
    LOG(WARNING) << "CNI directories are looked at only each --resync_period error="
                 << QuotedValue(watch.status().message());
  }
  return installer;
}

CniInstaller::CniInstaller(CniFiles files, Status no_plugin, const CniInstallerOptions& options,
                           const Clock& clock)
    : clock_(clock),
      files_(std::move(files)),
      report_(options.report),
      tell_(options.failed),
      no_plugin_(std::move(no_plugin)),
      looks_(clock, kLookBurst, kLooksPerSecond),
      writes_(clock, kWriteBurst, kWritesPerSecond),
      backoff_(kRetry, clock) {
  bin_.path = files_.directories().bin;
  conf_.path = files_.directories().conf;
  if (!bin_.path.empty() && !files_.source().empty()) {
    source_directory_ = DirectoryOf(files_.source());
  }
  files_.RemoveLeftovers();
}

void CniInstaller::SetConflist(std::string content) {
  if (content_ == content) return;
  content_ = std::move(content);
  Check();
}

void CniInstaller::OnChange(const std::string& path, const std::string& name) {
  bool matters = name.empty();
  if (path == bin_.path) matters |= name == kPluginFile || name == kLoopbackFile;
  if (path == conf_.path) {
    matters |= name.ends_with(".conflist") || name.ends_with(".conf") || name.ends_with(".json");
  }
  if (matters && looks_.Take()) return Check();
  if (matters) timer_->ArmNoLater(kNextLook);
  if (path == source_directory_ && path + "/" + name == files_.source()) {
    timer_->ArmNoLater(kSourceDelay);
  }
}

void CniInstaller::Check() {
  timer_->Disarm();
  failed_ = false;
  if (!bin_.path.empty()) {
    if (watch_ && !source_directory_.empty()) {
      // Without it the slow timer finds a new plugin.
      if (Status status = watch_->Watch(source_directory_); !status.ok())
        VLOG(1) << status.message();
    }
    if (Prepare(bin_)) {
      CheckPlugin();
      CheckLoopback();
    } else {
      plugin_works_ = false;
    }
  }
  if (!conf_.path.empty() && (content_ || IsDirectory(conf_.path))) {
    if (Prepare(conf_)) {
      CheckConflist();
      WarnOfOthers();
    }
  }
  if (failed_) {
    timer_->ArmNoLater(backoff_.Next());
  } else {
    backoff_.Reset();
  }
}

bool CniInstaller::Prepare(Directory& directory) {
  Status status;
  if (IsDirectory(directory.path)) {
    directory.seen = true;
    directory.missing_since.reset();
  } else {
    MonotonicTime now = clock_.Now();
    if (!directory.missing_since) directory.missing_since = now;
    Duration left = *directory.missing_since + kRemakeDelay - now;
    if (directory.seen && left > Duration::zero()) {
      if (watch_) status = watch_->Watch(directory.path);
      timer_->ArmNoLater(left);
      return false;
    }
    status = MakeDirectories(directory.path);
    if (status.ok())
      LOG(INFO) << "directory made path=\"" << Printable(directory.path, 256) << "\"";
    directory.seen |= status.ok();
    directory.missing_since.reset();
  }
  if (watch_) {
    Status watched = watch_->Watch(directory.path);
    if (!watched.ok()) VLOG(1) << watched.message();
  }
  Report(directory.path, status);
  return status.ok();
}

void CniInstaller::CheckPlugin() {
  const std::string path = files_.directories().Plugin();
  Result<CniFiles::Look> look = files_.LookAtPlugin();
  Status status = look.status();
  plugin_works_ = look.ok() && *look == CniFiles::Look::kRight;
  if (plugin_works_ || files_.source().empty()) {
    // Where there is none to install, newer ones will not come.
    status = no_plugin_;
  } else if (look.ok()) {
    if (!MayWrite(path)) return;
    status = files_.WritePlugin();
    plugin_works_ = status.ok();
    if (status.ok()) Installed("CNI plugin installed", path, *look);
  }
  // An older one that could not be replaced still does its work.
  if (!plugin_works_) plugin_works_ = access(path.c_str(), X_OK) == 0 && IsPodroutePlugin(path);
  if (report_) report_("plugin", plugin_works_);
  Report(path, status, /*try_again=*/status != no_plugin_);
}

void CniInstaller::CheckLoopback() {
  if (!plugin_works_) return;
  const std::string path = files_.directories().Loopback();
  Result<CniFiles::Look> look = files_.LookAtLoopback();
  if (!look.ok()) return Report(path, look.status());
  bool foreign = *look == CniFiles::Look::kForeign;
  if (foreign && !std::exchange(foreign_loopback_, true)) {
    LOG(INFO) << "the CNI plugin loopback is somebody else's and stays file=\""
              << Printable(path, 256) << "\"";
  }
  foreign_loopback_ = foreign;
  if (*look == CniFiles::Look::kChanging) return timer_->ArmNoLater(kChangingDelay);
  Status status;
  if (*look == CniFiles::Look::kMissing || *look == CniFiles::Look::kWrong) {
    if (!MayWrite(path)) return;
    status = files_.WriteLoopback();
    if (status.ok()) Installed("CNI plugin loopback installed", path, *look);
  }
  Report(path, status);
}

void CniInstaller::CheckConflist() {
  if (!content_) return;
  const std::string path = files_.directories().Conflist();
  if (!bin_.path.empty() && !plugin_works_) {
    if (report_) report_("conflist", access(path.c_str(), F_OK) == 0);
    return Report(path,
                  Status(StatusCode::kUnavailable,
                         path + ": not written while there is no plugin that it could name"),
                  /*try_again=*/false);
  }
  Status status;
  CniFiles::Look look = files_.LookAtConflist(*content_);
  if (look != CniFiles::Look::kRight) {
    if (!MayWrite(path)) return;
    status = files_.WriteConflist(*content_);
    if (status.ok()) Installed("CNI configuration written", path, look);
  }
  if (report_) report_("conflist", status.ok());
  Report(path, status);
}

void CniInstaller::WarnOfOthers() {
  std::set<std::string> now;
  for (std::string& name : files_.ConfigurationsBeforeOurs()) now.insert(std::move(name));
  for (const std::string& name : now) {
    if (others_.contains(name)) continue;
    LOG(WARNING)
        << "another CNI configuration sorts before ours, container runtimes use it and not "
           "podroute file=\""
        << Printable(conf_.path + "/" + name, 256) << "\" ours=" << kConflistFile;
  }
  others_ = std::move(now);
}

bool CniInstaller::MayWrite(const std::string& path) {
  if (writes_.Take()) return true;
  if (!std::exchange(writes_deferred_, true)) {
    LOG(WARNING)
        << "somebody keeps changing it, it is put right every other second from now on; is "
           "there another podroute? file=\""
        << Printable(path, 256) << "\"";
  }
  timer_->ArmNoLater(kNextWrite);
  return false;
}

void CniInstaller::Report(const std::string& path, const Status& status, bool try_again) {
  std::string& said = errors_[path];
  if (!status.ok() && try_again) failed_ = true;
  if (said == status.message()) return;
  said = status.message();
  if (status.ok()) return;
  LOG(ERROR) << "CNI installation failed error=" << QuotedValue(said);
  if (tell_) tell_(said);
}

void CniInstaller::Installed(const std::string& what, const std::string& path,
                             CniFiles::Look found) {
  LOG(INFO) << what << " file=\"" << Printable(path, 256)
            << "\" before=" << (found == CniFiles::Look::kMissing ? "nothing" : "different");
}

}  // namespace podroute
