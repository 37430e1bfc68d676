// A directory for one test.
#ifndef PODROUTE_TESTS_BASE_TEMP_DIR_H_
#define PODROUTE_TESTS_BASE_TEMP_DIR_H_

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace podroute {

// Made empty, and gone with everything in it when this goes. Aborts when it cannot be made.
class TempDir {
 public:
  TempDir() {
    const char* base = getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/podroute.XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

  // Writes a file, with the directories above it, and returns its path.
  std::string Write(std::string_view name, std::string_view content, mode_t mode = 0644) const {
    std::string file = File(name);
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
    if (chmod(file.c_str(), mode) != 0) abort();
    return file;
  }

  // Writes a shell script and returns its path.
  std::string WriteScript(std::string_view name, std::string_view body) const {
    return Write(name, "#!/bin/sh\n" + std::string(body) + "\n", 0755);
  }

 private:
  std::string path_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BASE_TEMP_DIR_H_
