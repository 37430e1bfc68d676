// What a daemon may say on its vty socket; the real ones are in the tests of the backend.
#include "routing/frr_vty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

std::string Answer(const std::string& text, char code) {
  return text + std::string(3, '\0') + code;
}

// Answers the commands of one connection with these bytes, one after the other, and then closes it,
// or waits for its end.
class Daemon {
 public:
  Daemon(std::vector<std::string> answers, bool closes)
      : path_(MakeDirectory() + "/staticd.vty"),
        listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    thread_ = std::thread([this, answers = std::move(answers), closes] {
      UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      for (const std::string& answer : answers) {
        for (char c = 'x'; c != '\0';) {
          if (read(fd.get(), &c, 1) != 1) return;
          commands_ += c;
        }
        // In pieces, as a stream may come.
        for (char c : answer) EXPECT_EQ(send(fd.get(), &c, 1, MSG_NOSIGNAL), 1);
      }
      char none = 0;
      if (!closes) (void)!read(fd.get(), &none, 1);
    });
  }
  ~Daemon() {
    shutdown(listener_.get(), SHUT_RDWR);  // Where nobody has come.
    thread_.join();
    unlink(path_.c_str());
    rmdir(path_.substr(0, path_.rfind('/')).c_str());
  }
  Result<std::string> Read(Duration patience = std::chrono::minutes(1)) {
    return ReadFrrRunningConfig("staticd", path_, SystemClock().Now() + patience, nullptr);
  }
  const std::string& commands() const { return commands_; }

 private:
  // Bazel's own directories are too deep for a socket.
  static std::string MakeDirectory() {
    char path[] = "/tmp/podroute-vty.XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    return path;
  }

  const std::string path_;
  UniqueFd listener_;
  std::string commands_;
  std::thread thread_;
};

TEST(FrrVtyTest, ReadsAnAnswerThatComesInPieces) {
  Daemon daemon({Answer("", 0), Answer("ip route 10.0.0.0/8 192.168.0.1\n!\n", 0)}, true);
  Result<std::string> text = daemon.Read();
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_EQ(*text, "ip route 10.0.0.0/8 192.168.0.1\n!\n");
  EXPECT_EQ(daemon.commands(), std::string("enable\0show running-config\0", 27));
}

TEST(FrrVtyTest, ARefusalIsAnErrorInItsWords) {
  Daemon daemon({Answer("", 0), Answer("% [STATIC] Unknown command: show\n", 2)}, true);
  EXPECT_EQ(daemon.Read().status().code(), StatusCode::kInternal);
  Daemon other({Answer("% no\n", 1)}, true);
  EXPECT_THAT(other.Read().status().message(), HasSubstr("staticd.vty refuses \"enable\": % no"));
}

TEST(FrrVtyTest, WhatIsCutOffIsNotTheWhole) {
  const std::string whole = Answer("ip route 10.0.0.0/8 192.168.0.1\n", 0);
  for (size_t size = 0; size < whole.size(); ++size) {
    Daemon daemon({Answer("", 0), whole.substr(0, size)}, true);
    EXPECT_EQ(daemon.Read().status().code(), StatusCode::kUnavailable) << size;
  }
}

TEST(FrrVtyTest, OneThatSaysNothingMoreIsAnErrorInTime) {
  Daemon daemon({Answer("", 0), "ip route "}, false);
  Status status = daemon.Read(std::chrono::milliseconds(200)).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("does not answer \"show running-config\" in time"));
}

TEST(FrrVtyTest, OneThatIsNotThereIsNamed) {
  Status status =
      ReadFrrRunningConfig("staticd", "/nowhere/staticd.vty", SystemClock().Now(), nullptr)
          .status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "connect to staticd on /nowhere/staticd.vty: No such file or directory");
}

}  // namespace
}  // namespace podroute
