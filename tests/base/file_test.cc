#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/unique_fd.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

size_t EntriesIn(const std::string& directory) {
  auto entries = std::filesystem::directory_iterator(directory);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST(ReadFileTest, ReadsTheWholeOfIt) {
  TempDir dir;
  for (size_t size : {0u, 1u, 16383u, 16384u, 16385u, 100'000u}) {
    std::string content(size, 'x');
    if (size > 0) content.back() = '\0';
    Result<std::string> read = ReadFile(dir.Write("f", content));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(*read, content);
  }
}

TEST(ReadFileTest, ReadsFilesThatDoNotKnowTheirSize) {
  Result<std::string> read = ReadFile("/proc/self/status");
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(*read, HasSubstr("Pid:"));
  EXPECT_THAT(ReadFile("/proc/self/status", 10).status().message(),
              HasSubstr("larger than 10 bytes"));
}

TEST(ReadFileTest, ErrorsNameTheFile) {
  TempDir dir;
  EXPECT_EQ(
      ReadFile(dir.File("absent")).status(),
      Status(StatusCode::kNotFound, "open " + dir.File("absent") + ": No such file or directory"));
  EXPECT_EQ(ReadFile(dir.path()).status(),
            Status(StatusCode::kInvalidArgument, "read " + dir.path() + ": Is a directory"));
  EXPECT_EQ(ReadFile("").status().code(), StatusCode::kNotFound);
}

TEST(ReadFileTest, TheLimitIsExact) {
  TempDir dir;
  std::string file = dir.Write("f", "12345");
  EXPECT_TRUE(ReadFile(file, 5).ok());
  EXPECT_EQ(ReadFile(file, 4).status(),
            Status(StatusCode::kInvalidArgument, file + " is larger than 4 bytes"));
}

TEST(ReadAllTest, ReadsAPipeToItsEnd) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  UniqueFd read_end(fds[0]);
  std::thread writer([write_end = fds[1]] {
    std::string block(100'000, 'x');
    size_t done = 0;
    while (done < block.size()) {
      ssize_t n = write(write_end, block.data() + done, block.size() - done);
      ASSERT_GT(n, 0);
      done += static_cast<size_t>(n);
    }
    close(write_end);
  });
  Result<std::string> read = ReadAll(read_end.get(), "standard input");
  writer.join();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->size(), 100'000u);
  EXPECT_THAT(ReadAll(-1, "standard input").status().message(), HasSubstr("read standard input: "));
}

TEST(WriteFileTest, MakesAndReplaces) {
  TempDir dir;
  std::string file = dir.File("f");
  ASSERT_TRUE(WriteFileAtomically(file, "one").ok());
  EXPECT_EQ(*ReadFile(file), "one");
  EXPECT_EQ(ModeOf(file), 0644u);
  ASSERT_TRUE(WriteFileAtomically(file, std::string(200'000, 'x'), 0600).ok());
  EXPECT_EQ(ReadFile(file)->size(), 200'000u);
  EXPECT_EQ(ModeOf(file), 0600u);
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
}

TEST(WriteFileTest, TheModeIsExactWhateverTheUmask) {
  TempDir dir;
  mode_t before = umask(0077);
  EXPECT_TRUE(WriteFileAtomically(dir.File("f"), "", 0755).ok());
  umask(before);
  EXPECT_EQ(ModeOf(dir.File("f")), 0755u);
}

TEST(WriteFileTest, AnErrorLeavesNothingBehind) {
  TempDir dir;
  EXPECT_EQ(WriteFileAtomically(dir.File("no/such/f"), "x").code(), StatusCode::kNotFound);
  std::filesystem::create_directory(dir.File("d"));
  Status status = WriteFileAtomically(dir.File("d"), "x");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(" to " + dir.File("d") + ": Is a directory"));
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
}

TEST(WriteFileTest, TheHalvesOfItTellTheSameEachTimeAndReplaceOnlyWhenTheyMay) {
  TempDir dir;
  std::string prefix = dir.File(".new-");
  std::string there = dir.Write("there", "old");
  Result<std::string> temporary = WriteTemporaryFile(prefix, "x", 0755);
  ASSERT_TRUE(temporary.ok());
  EXPECT_EQ(ModeOf(*temporary), 0755u);
  EXPECT_EQ(
      MoveIntoPlace(*temporary, there, false),
      Status(StatusCode::kAlreadyExists, "rename a temporary file to " + there + ": File exists"));
  EXPECT_EQ(*ReadFile(there), "old");
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
  temporary = WriteTemporaryFile(prefix, "new", 0644);
  ASSERT_TRUE(temporary.ok());
  EXPECT_TRUE(MoveIntoPlace(*temporary, dir.File("fresh"), false).ok());
  EXPECT_EQ(*ReadFile(dir.File("fresh")), "new");
  EXPECT_EQ(EntriesIn(dir.path()), 2u);
  // So that whoever says it once can tell that it is the same.
  EXPECT_EQ(WriteTemporaryFile("/nonexistent/.new-", "x", 0644).status().message(),
            "create /nonexistent/.new-*: No such file or directory");
}

TEST(WriteFileTest, AFullDiskLeavesTheOldContent) {
  // /dev/full has no directory of its own, so a limit on the file's size stands in for it.
  TempDir dir;
  std::string file = dir.Write("f", "old");
  struct Limit {
    rlimit before;
    sighandler_t handler;
    explicit Limit(rlim_t bytes) : handler(signal(SIGXFSZ, SIG_IGN)) {
      getrlimit(RLIMIT_FSIZE, &before);
      rlimit now = {.rlim_cur = bytes, .rlim_max = before.rlim_max};
      setrlimit(RLIMIT_FSIZE, &now);
    }
    ~Limit() {
      setrlimit(RLIMIT_FSIZE, &before);
      signal(SIGXFSZ, handler);
    }
  };
  Status status;
  {
    Limit limit(1000);
    status = WriteFileAtomically(file, std::string(2000, 'x'));
  }
  EXPECT_THAT(status.message(), HasSubstr("File too large"));
  EXPECT_EQ(*ReadFile(file), "old");
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
}

TEST(WriteFileTest, AReaderSeesOldOrNewAndNothingBetween) {
  TempDir dir;
  std::string file = dir.File("f");
  const std::string a(50'000, 'a'), b(60'000, 'b');
  ASSERT_TRUE(WriteFileAtomically(file, a).ok());
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      Result<std::string> read = ReadFile(file);
      ASSERT_TRUE(read.ok()) << read.status().message();
      ASSERT_TRUE(*read == a || *read == b);
    }
  });
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(WriteFileAtomically(file, i % 2 ? a : b).ok());
  done = true;
  reader.join();
}

TEST(UniqueFdTest, ClosesWhatItOwnsOnce) {
  int raw = open("/dev/null", O_RDONLY | O_CLOEXEC);
  UniqueFd fd(raw);
  UniqueFd moved(std::move(fd));
  EXPECT_FALSE(fd);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.get(), raw);
  moved.reset(raw);  // The same one: stays open.
  EXPECT_EQ(fcntl(raw, F_GETFD), FD_CLOEXEC);
  UniqueFd& self = moved;
  moved = std::move(self);
  EXPECT_EQ(fcntl(raw, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(moved.get(), raw);
  moved.reset();
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
}

}  // namespace
}  // namespace podroute
