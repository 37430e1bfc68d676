#include "routing/bird_control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "routing/bird_reply.h"

namespace podroute {
namespace {

constexpr char kGreeting[] = "0001 BIRD 2.0.12 ready.\n";

MonotonicTime In(Duration duration) { return SystemClock().Now() + duration; }
MonotonicTime Soon() { return In(std::chrono::milliseconds(50)); }
MonotonicTime Late() { return In(std::chrono::seconds(60)); }

Result<BirdReply> Parse(std::string_view text, size_t step = 1 << 20) {
  BirdReplyReader reader;
  while (!text.empty()) {
    PODROUTE_RETURN_IF_ERROR(reader.Feed(text.substr(0, step)));
    text.remove_prefix(std::min(step, text.size()));
  }
  if (!reader.complete()) return Status(StatusCode::kUnavailable, "not complete");
  return reader.Take();
}

std::string Flat(const BirdReply& reply) {
  std::string text;
  for (const BirdLine& line : reply.lines) {
    text += std::to_string(line.code) + "|" + std::string(line.text) + "\n";
  }
  return text;
}

TEST(BirdReplyTest, LinesContinueWithTheirCode) {
  const std::string text =
      "1009-10.0.0.0/24\n \tvia 192.168.1.0\n 10.0.1.0/24\n \tvia 192.168.1.1 (dormant)\n0000 \n";
  // In pieces of every size.
  for (size_t step = 1; step <= text.size(); ++step) {
    Result<BirdReply> reply = Parse(text, step);
    ASSERT_TRUE(reply.ok()) << step << ": " << reply.status().message();
    EXPECT_EQ(Flat(*reply),
              "1009|10.0.0.0/24\n1009|\tvia 192.168.1.0\n1009|10.0.1.0/24\n"
              "1009|\tvia 192.168.1.1 (dormant)\n0|\n");
  }
}

TEST(BirdReplyTest, LogMessagesInBetweenAreNoPartOfIt) {
  EXPECT_EQ(Flat(Parse("+<INFO> Reconfigured\n0002-Reading\n+x\n0003 Done\n").value()),
            "2|Reading\n3|Done\n");
}

TEST(BirdReplyTest, ErrorsKeepBirdsWords) {
  const BirdReply reply =
      Parse("0002-Reading configuration from /x\n8002 /x:12:1 syntax error, unexpected GARBAGE\n")
          .value();
  EXPECT_TRUE(reply.is_error());
  EXPECT_EQ(reply.status().message(), "/x:12:1 syntax error, unexpected GARBAGE");
  EXPECT_TRUE(Parse("0003 Reconfigured\n")->status().ok());
  EXPECT_FALSE(Parse("9001 syntax error\n")->status().ok());
  // A terminal's escapes are not passed on.
  EXPECT_EQ(Parse("8002 a\x1b[31m\n")->status().message(), "a?[31m");
}

TEST(BirdReplyTest, GarbageIsRefused) {
  const std::vector<std::string> bad = {
      "\n",
      "HTTP/1.1 400 Bad Request\r\n",
      "000 x\n",
      "00000 x\n",
      "0000\n",
      "0000x\n",
      " continued\n",
      "-001 x\n",
      "0003 Reconfigured\n0003 Reconfigured\n",
      "0003 Reconfigured\nx",
      std::string("\0\0\0\0 x\n", 8),
      std::string(BirdReplyReader::kMaxLineBytes + 2, 'x'),
      "1009-" + std::string(BirdReplyReader::kMaxLineBytes + 2, 'x') + "\n",
  };
  for (const std::string& text : bad) {
    Result<BirdReply> reply = Parse(text);
    ASSERT_FALSE(reply.ok()) << text;
    EXPECT_EQ(reply.status().code(), StatusCode::kInternal) << text.substr(0, 50);
    EXPECT_LT(reply.status().message().size(), 300u);
    EXPECT_EQ(reply.status().message().find('\n'), std::string::npos);
  }
}

TEST(BirdReplyTest, AnAnswerWithoutEndIsRefused) {
  BirdReplyReader reader;
  const std::string line = "1009-" + std::string(60000, 'x') + "\n";
  Status status;
  for (size_t bytes = 0; status.ok() && bytes < BirdReplyReader::kMaxReplyBytes + (1 << 20);
       bytes += line.size()) {
    status = reader.Feed(line);
  }
  EXPECT_EQ(status.code(), StatusCode::kInternal);
}

TEST(BirdReplyTest, ProtocolStates) {
  auto state = [](const std::string& text) {
    return ParseProtocolState(*Parse(text), "podroute4");
  };
  const std::string head = "2002-Name       Proto      Table      State  Since         Info\n";
  EXPECT_EQ(*state(head + "1002-podroute4  Static     master4    up     03:03:56.045  \n0000 \n"),
            BirdProtocolState::kUp);
  for (const std::string down : {"down", "flush", "start", "stop"}) {
    EXPECT_EQ(*state(head + "1002-podroute4  Static     master4    " + down + "  1  \n0000 \n"),
              BirdProtocolState::kDown);
  }
  EXPECT_EQ(*state(head + "1002-podroute4  BGP        ---        up     03:03:56.045  \n0000 \n"),
            BirdProtocolState::kForeign);
  EXPECT_EQ(*state("8003 No protocols match\n"), BirdProtocolState::kUnknown);
  EXPECT_FALSE(state("8007 Access denied\n").ok());
  EXPECT_FALSE(state("9001 syntax error\n").ok());
  EXPECT_FALSE(state("0000 \n").ok());
}

TEST(BirdReplyTest, StaticRoutes) {
  const RouteSet routes =
      *ParseStaticRoutes(*Parse("1009-fd01::/64\n"
                                " \tvia fd00::2\n"
                                " 10.0.1.0/24\n"
                                " \tvia 192.168.1.1 (dormant)\n"
                                " 10.0.2.0/24\n"
                                " \tvia 192.168.1.2\n"
                                " \tvia 192.168.1.3\n"
                                " 10.0.3.0/24\tblackhole\n"
                                " 10.0.4.0/24\n"
                                " \tvia 192.168.1.2 onlink\n"
                                " 10.0.5.0/24\n"
                                " \tdev \"lan\"\n"
                                " \tvia 192.168.1.2\n"
                                " \n0000 \n"));
  std::string text;
  for (const Route& route : routes) {
    text += route.dst.ToString() + " " + route.via.gateway.ToString() + "\n";
  }
  EXPECT_EQ(text,
            "10.0.1.0/24 192.168.1.1\n10.0.2.0/24 0.0.0.0\n10.0.3.0/24 0.0.0.0\n"
            "10.0.4.0/24 0.0.0.0\n10.0.5.0/24 0.0.0.0\nfd01::/64 fd00::2\n");
  EXPECT_TRUE(ParseStaticRoutes(*Parse("0000 \n"))->empty());
  for (const std::string bad : {"1009-hello\n0000 \n", "1009-\tvia 192.168.1.1\n0000 \n",
                                "9001 syntax error\n", "8007 Access denied\n"}) {
    EXPECT_FALSE(ParseStaticRoutes(*Parse(bad)).ok()) << bad;
  }
}

// A daemon at the other end of a socketpair, on a thread of its own.
class FakeBird {
 public:
  using Script = std::function<void(int fd)>;
  explicit FakeBird(Script script) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) abort();
    ours_ = UniqueFd(fds[0]);
    thread_ = std::thread([fd = fds[1], script = std::move(script)] {
      UniqueFd closer(fd);
      script(fd);
    });
  }
  ~FakeBird() { thread_.join(); }
  UniqueFd TakeFd() { return std::move(ours_); }

  static void Say(int fd, std::string_view text) {
    while (!text.empty()) {
      ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  // One command, without its newline; empty at the end.
  static std::string Hear(int fd) {
    std::string line;
    for (char c; read(fd, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  static void UntilClosed(int fd) {
    while (!Hear(fd).empty()) {
    }
  }

 private:
  UniqueFd ours_;
  std::thread thread_;
};

Result<std::unique_ptr<BirdControl>> Greet(FakeBird& bird, MonotonicTime deadline,
                                           StopToken* stop = nullptr) {
  return BirdControl::Greet(bird.TakeFd(), "/run/bird.ctl", deadline, stop);
}

TEST(BirdControlTest, AsksAndIsAnswered) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    for (int i = 0; i < 2; ++i) FakeBird::Say(fd, "0013 heard " + FakeBird::Hear(fd) + "\n");
    FakeBird::UntilClosed(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok()) << control.status().message();
  EXPECT_EQ((*control)->Ask("show status", Late())->lines[0].text, "heard show status");
  EXPECT_EQ((*control)->Ask("show x", Late())->lines[0].text, "heard show x");
  EXPECT_TRUE((*control)->Usable());
}

TEST(BirdControlTest, AsksSeveralAtOnce) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    std::string answer;
    for (int i = 0; i < 3; ++i) {
      answer += "1009-to " + FakeBird::Hear(fd) + "\n more\n" + (i == 1 ? "9001 no\n" : "0000 \n");
    }
    // In pieces that end in the middle of lines and of replies.
    for (size_t at = 0; at < answer.size(); at += 7) FakeBird::Say(fd, answer.substr(at, 7));
    FakeBird::UntilClosed(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok()) << control.status().message();
  bool called = false;
  Result<std::vector<BirdReply>> replies =
      (*control)->AskAll({"a", "b", "c"}, Late(), [&] { called = true; });
  ASSERT_TRUE(replies.ok()) << replies.status().message();
  EXPECT_TRUE(called);
  ASSERT_EQ(replies->size(), 3u);
  EXPECT_EQ(Flat((*replies)[0]), "1009|to a\n1009|more\n0|\n");
  EXPECT_EQ(Flat((*replies)[1]), "1009|to b\n1009|more\n9001|no\n");
  EXPECT_EQ(Flat((*replies)[2]), "1009|to c\n1009|more\n0|\n");
  EXPECT_FALSE((*control)->AskAll({"a", "b\nc"}, Late()).ok());
  EXPECT_TRUE((*control)->Usable());
  control->reset();
}

TEST(BirdControlTest, AnEndBetweenTwoAnswersIsNoticed) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::Hear(fd);
    FakeBird::Say(fd, "0003 Reconfigured\n");
    FakeBird::Hear(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  EXPECT_EQ((*control)->AskAll({"a", "b"}, Late()).status().code(), StatusCode::kUnavailable);
}

TEST(BirdControlTest, TakesAnswersInSingleBytes) {
  FakeBird bird([](int fd) {
    for (char c : std::string(kGreeting)) FakeBird::Say(fd, std::string(1, c));
    FakeBird::Hear(fd);
    for (char c : std::string("1009-a\n b\n0000 \n")) FakeBird::Say(fd, std::string(1, c));
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok()) << control.status().message();
  EXPECT_EQ(Flat(*(*control)->Ask("show static", Late())), "1009|a\n1009|b\n0|\n");
}

TEST(BirdControlTest, WhatDoesNotGreetAsBirdIsRefused) {
  const std::vector<std::pair<std::string, StatusCode>> greetings = {
      {"HTTP/1.1 400 Bad Request\r\n", StatusCode::kInternal},
      {"0001 FRR 8.4 ready.\n", StatusCode::kInternal},
      {"0003 BIRD 2.0.12 ready.\n", StatusCode::kInternal},
      {"\x7f\x45\x4c\x46\n", StatusCode::kInternal},
      {"0001 BIRD 1.6.8 ready.\n", StatusCode::kUnsupported},
      {"", StatusCode::kUnavailable},
      {"0001 BIRD 2", StatusCode::kUnavailable},
  };
  for (const auto& [greeting, code] : greetings) {
    FakeBird bird([text = greeting](int fd) { FakeBird::Say(fd, text); });
    auto control = Greet(bird, Late());
    ASSERT_FALSE(control.ok()) << greeting;
    EXPECT_EQ(control.status().code(), code) << control.status().message();
    EXPECT_NE(control.status().message().find("/run/bird.ctl"), std::string::npos)
        << control.status().message();
  }
}

TEST(BirdControlTest, AHangingBirdEndsAtTheDeadline) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::UntilClosed(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  Result<BirdReply> reply = (*control)->Ask("configure check", Soon());
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(reply.status().message(),
            "BIRD on /run/bird.ctl does not answer \"configure check\" in time: it hangs, or is "
            "very busy");
  // An answer that comes later would be taken for the next one's.
  EXPECT_FALSE((*control)->Usable());
  EXPECT_FALSE((*control)->Ask("show status", Late()).ok());
}

TEST(BirdControlTest, AnAnswerThatTricklesEndsAtTheDeadlineToo) {
  std::atomic<bool> done = false;
  FakeBird bird([&](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::Hear(fd);
    while (!done) FakeBird::Say(fd, "+x\n");
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  Result<BirdReply> reply = (*control)->Ask("show status", Soon());
  done = true;
  ASSERT_FALSE(reply.ok());
  EXPECT_NE(reply.status().code(), StatusCode::kUnavailable) << reply.status().message();
  control->reset();
}

TEST(BirdControlTest, ASilentGreetingEndsAtTheDeadline) {
  FakeBird bird(FakeBird::UntilClosed);
  auto control = Greet(bird, Soon());
  EXPECT_EQ(control.status().code(), StatusCode::kDeadlineExceeded);
}

TEST(BirdControlTest, AStopEndsTheWait) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::UntilClosed(fd);
  });
  StopToken stop;
  auto control = Greet(bird, Late(), &stop);
  ASSERT_TRUE(control.ok());
  std::thread stopper([&] { stop.Stop(); });
  Result<BirdReply> reply = (*control)->Ask("configure", Late());
  stopper.join();
  EXPECT_EQ(reply.status().code(), StatusCode::kCancelled) << reply.status().message();
  control->reset();
}

TEST(BirdControlTest, AClosedConnectionIsNoticed) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::Hear(fd);
    FakeBird::Say(fd, "1009-10.0.0.0/24\n");
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  Result<BirdReply> reply = (*control)->Ask("show static", Late());
  EXPECT_EQ(reply.status().code(), StatusCode::kUnavailable) << reply.status().message();
  EXPECT_FALSE((*control)->Usable());
}

TEST(BirdControlTest, WordsThatNobodyAskedForBreakTheConnection) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::Hear(fd);
    FakeBird::Say(fd, "0003 Reconfigured\n0003 Reconfigured\n");
    FakeBird::UntilClosed(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  // With the answer or behind it: either way the next answer is not trusted.
  Result<BirdReply> first = (*control)->Ask("configure", Late());
  EXPECT_FALSE(first.ok() && (*control)->Ask("show status", Soon()).ok());
  control->reset();
}

TEST(BirdControlTest, OneCommandIsOneLine) {
  FakeBird bird([](int fd) {
    FakeBird::Say(fd, kGreeting);
    FakeBird::UntilClosed(fd);
  });
  auto control = Greet(bird, Late());
  ASSERT_TRUE(control.ok());
  for (std::string_view bad : {std::string_view("show status\ndown"), std::string_view(""),
                               std::string_view("a\rb"), std::string_view("a\0b", 3)}) {
    EXPECT_EQ((*control)->Ask(bad, Late()).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE((*control)->Usable());
  control->reset();
}

TEST(BirdControlTest, NobodyThereIsUnavailable) {
  // Bazel's own directories are too deep for a socket.
  char dir[] = "/tmp/podroute-control.XXXXXX";
  ASSERT_NE(mkdtemp(dir), nullptr);
  const std::string file = std::string(dir) + "/file";
  std::ofstream(file) << "no socket";
  for (const std::string& path : {std::string(dir) + "/none", file}) {
    auto control = BirdControl::Connect(path, Late(), nullptr);
    EXPECT_EQ(control.status().code(), StatusCode::kUnavailable) << control.status().message();
    EXPECT_NE(control.status().message().find(path), std::string::npos);
  }
  unlink(file.c_str());
  rmdir(dir);
  auto control = BirdControl::Connect("/" + std::string(108, 'x'), Late(), nullptr);
  EXPECT_EQ(control.status().code(), StatusCode::kInvalidArgument);
}

// A daemon that is stopped has a listening socket whose queue fills up.
TEST(BirdControlTest, AFullQueueEndsAtTheDeadline) {
  char path[] = "/tmp/podroute-control.XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  const std::string socket_path = std::string(path) + "/ctl";
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  std::vector<UniqueFd> queue;
  while (true) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) break;
    queue.push_back(std::move(fd));
  }
  auto control = BirdControl::Connect(socket_path, Soon(), nullptr);
  EXPECT_EQ(control.status().code(), StatusCode::kDeadlineExceeded) << control.status().message();
  StopToken stop;
  stop.Stop();
  EXPECT_EQ(BirdControl::Connect(socket_path, Late(), &stop).status().code(),
            StatusCode::kCancelled);
  unlink(socket_path.c_str());
  rmdir(path);
}

}  // namespace
}  // namespace podroute
