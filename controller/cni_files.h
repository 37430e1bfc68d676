// The files by which a node gets its pod network: the plugin, its second name, and the conflist.
// Thin: each function looks at, or changes, one of them; when to do what is CniInstaller's.
#ifndef PODROUTE_CONTROLLER_CNI_FILES_H_
#define PODROUTE_CONTROLLER_CNI_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

inline constexpr std::string_view kPluginFile = "podroute-cni";
inline constexpr std::string_view kLoopbackFile = "loopback";
inline constexpr std::string_view kConflistFile = "10-podroute.conflist";

struct CniDirectories {
  std::string bin, conf;  // Empty: that half is somebody else's business.

  std::string Plugin() const { return bin + "/" + std::string(kPluginFile); }
  std::string Loopback() const { return bin + "/" + std::string(kLoopbackFile); }
  std::string Conflist() const { return conf + "/" + std::string(kConflistFile); }
};

// The plugin that came with this executable: beside it, or where a build tree has it. NotFound says
// where it was looked for.
Result<std::string> FindPlugin();

// Whether a file is a podroute-cni of any version, whatever its name. False when it cannot be read.
bool IsPodroutePlugin(const std::string& path);

// Each of these is a regular file of this process's user; anything else in its place is replaced.
// Every write is to a temporary file, with fsync, that is renamed: a plugin that is being executed
// is no obstacle, and on error the old file is whole. One thread.
//
// `loopback` is a copy and not a hard link: somebody who installs the reference plugin by writing
// into the file that is there would write into podroute-cni. Ours is one with the plugin's content,
// or what a podroute-cni of any version contains, or the very file that was written here, unless it
// has become an executable of somebody else's.
class CniFiles {
 public:
  // `source`: the plugin to install; empty when there is none, then the one that is installed
  // stays.
  CniFiles(CniDirectories directories, std::string source)
      : directories_(std::move(directories)), source_(std::move(source)) {}

  const CniDirectories& directories() const { return directories_; }
  const std::string& source() const { return source_; }

  enum class Look { kRight, kMissing, kWrong, kForeign, kChanging };
  // An error when `source` cannot be read. Without one, kRight is a podroute-cni that can be
  // executed.
  Result<Look> LookAtPlugin() const;
  // kForeign: somebody else's; it stays. kChanging: what will become of it has to be awaited, for
  // somebody has written into it within the last half second.
  Result<Look> LookAtLoopback() const;
  Look LookAtConflist(std::string_view content) const;

  // A loopback of ours follows, before the plugin does: stopped between the two, one can still tell
  // that it is ours.
  Status WritePlugin();
  Status WriteLoopback();
  Status WriteConflist(std::string_view content) const;

  // Configurations that a container runtime, which takes the first by name, finds before ours.
  std::vector<std::string> ConfigurationsBeforeOurs() const;

  // What was being written when a process of ours was killed.
  void RemoveLeftovers() const;

  // False when there was none.
  Result<bool> RemoveConflist() const;
  Result<bool> RemoveLoopback() const;  // Only ours.
  Result<bool> RemovePlugin() const;

 private:
  std::string LoopbackSource() const;
  // What a look at whose it is finds: kWrong when it is ours, kForeign, or kChanging.
  Look WhoseLoopback() const;

  const CniDirectories directories_;
  const std::string source_;
  UniqueFd loopback_;  // The file that WriteLoopback wrote last; open, so that no other is it.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CNI_FILES_H_
