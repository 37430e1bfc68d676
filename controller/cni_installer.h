// Keeps the plugin and the conflist of this node as they should be, whoever changes them.
#ifndef PODROUTE_CONTROLLER_CNI_INSTALLER_H_
#define PODROUTE_CONTROLLER_CNI_INSTALLER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/directory_watch.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/cni_files.h"
#include "controller/hint_budget.h"

namespace podroute {

struct CniInstallerOptions {
  CniDirectories directories;
  std::string plugin;  // What to install; empty: FindPlugin.
  // Told after each look: "plugin" or "conflist", and whether it is there as it should be. May be
  // empty.
  std::function<void(const std::string& file, bool there)> report = {};
  // Told what cannot be done, once for each reason. May be empty.
  std::function<void(const std::string& error)> failed = {};
};

// On one loop, in its thread. What it does it says in the log, and what it cannot do, once for each
// reason; then it tries again, after a second at first and after a minute at last, and at once when
// something changes in a directory.
//
// - The plugin, and its second name `loopback` where nobody else has one, from Start on.
// - The conflist from SetConflist on, and only while there is a plugin to go with it. It is never
//   taken away: whoever cannot reach the API server still has its pods.
// - A directory that is not there is made: at once at the start; later after a second, for somebody
//   who replaces it must not find ours in the way.
// - Somebody who changes our files as fast as we put them right is answered at once fifty times,
// and
//   then every other second.
class CniInstaller {
 public:
  // The loop and the clock must outlive this. InvalidArgument when `plugin` is named and is not
  // there: that is a mistake of the operator's, while a missing default is only said.
  static Result<std::unique_ptr<CniInstaller>> Create(EventLoop& loop,
                                                      const CniInstallerOptions& options,
                                                      const Clock& clock);

  // What the conflist should be from now on.
  void SetConflist(std::string content);
  bool has_conflist() const { return content_.has_value(); }

  // Looks at everything. Once at the start, and on a slow timer for what no notification tells.
  void Resync() {
    writes_deferred_ = false;
    Check();
  }

 private:
  struct Directory {
    std::string path;
    bool seen = false;
    std::optional<MonotonicTime> missing_since;
  };

  CniInstaller(CniFiles files, Status no_plugin, const CniInstallerOptions& options,
               const Clock& clock);
  void OnChange(const std::string& path, const std::string& name);
  void Check();
  bool Prepare(Directory& directory);
  void CheckPlugin();
  void CheckLoopback();
  void CheckConflist();
  void WarnOfOthers();
  bool MayWrite(const std::string& path);
  void Report(const std::string& path, const Status& status, bool try_again = true);
  void Installed(const std::string& what, const std::string& path, CniFiles::Look found);

  const Clock& clock_;
  CniFiles files_;
  const std::function<void(const std::string&, bool)> report_;
  const std::function<void(const std::string&)> tell_;
  const Status no_plugin_;  // Why there is none to install; OK otherwise.
  Directory bin_, conf_;
  std::string source_directory_;
  std::unique_ptr<DirectoryWatch> watch_;  // Null where there can be none.
  std::unique_ptr<Timer> timer_;

  std::optional<std::string> content_;  // Of the conflist.
  bool plugin_works_ = false;           // One is there, if maybe an older one.
  HintBudget looks_, writes_;
  bool writes_deferred_ = false;  // And said so since the last Resync.
  Backoff backoff_;
  std::map<std::string, std::string> errors_;  // By path, as last said.
  bool failed_ = false;                        // Something, in this look.
  std::set<std::string> others_;               // Configurations before ours, as last said.
  bool foreign_loopback_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CNI_INSTALLER_H_
