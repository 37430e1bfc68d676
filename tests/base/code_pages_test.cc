#include "base/code_pages.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"

namespace podroute {
namespace {

// Of this process, in KiB: what is mapped of files just now.
long FilePages() {
  const std::string status = ReadFile("/proc/self/status").value();
  const std::string field = "RssFile:";
  return std::stol(status.substr(status.find(field) + field.size()));
}

int constructed = 0;
struct Constructed {
  Constructed() { constructed = 42; }
} before_main;

TEST(CodePagesTest, LessIsMappedAfterwardsAndAllOfItWorksOn) {
  const long before = FilePages();
  ReleaseCodePages();
  EXPECT_LT(FilePages(), before);
  // Code, constants, relocated constants (a virtual table) and variables.
  EXPECT_EQ(constructed, 42);
  EXPECT_NE(testing::UnitTest::GetInstance()->current_test_info(), nullptr);
  EXPECT_THROW((void)std::stol("none"), std::invalid_argument);
  ReleaseCodePages();
  EXPECT_EQ(std::to_string(constructed), "42");
}

}  // namespace
}  // namespace podroute
