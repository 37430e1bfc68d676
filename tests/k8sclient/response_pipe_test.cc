#include "k8sclient/response_pipe.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace podroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

std::string ReadAll(ResponsePipe& pipe, size_t size) {
  std::string text(size, '\0');
  auto n = pipe.Read(text, hours(1));
  text.resize(n.ok() ? *n : 0);
  return text;
}

TEST(ResponsePipe, TakesAtOnceWhatFits) {
  ResponsePipe pipe(10);
  int taken = 0;
  pipe.Put(std::string_view("hello"), [&] { ++taken; });
  pipe.Put(std::string_view("world"), [&] { ++taken; });
  EXPECT_EQ(taken, 2);
  EXPECT_EQ(ReadAll(pipe, 7), "hellowo");
  EXPECT_EQ(ReadAll(pipe, 7), "rld");
}

TEST(ResponsePipe, MakesTheReceiverWaitForWhatDoesNotFit) {
  ResponsePipe pipe(4);
  int taken = 0;
  pipe.Put(std::string_view("abc"), [&] { ++taken; });
  std::string more = "defgh";
  pipe.Put(more, [&] { ++taken; });
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(ReadAll(pipe, 5), "abcde");
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(ReadAll(pipe, 5), "fgh");
  EXPECT_EQ(taken, 2);
}

TEST(ResponsePipe, CancelFreesTheReceiver) {
  ResponsePipe pipe(1);
  int taken = 0;
  pipe.Put(std::string_view("too much"), [&] { ++taken; });
  pipe.Cancel();
  EXPECT_EQ(taken, 1);
  pipe.Put(std::string_view("more"), [&] { ++taken; });
  EXPECT_EQ(taken, 2);
  char buffer[8];
  EXPECT_EQ(pipe.Read(buffer, hours(1)).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(pipe.WaitHead(hours(1)).status().code(), StatusCode::kCancelled);
  EXPECT_FALSE(pipe.AtCleanEnd());
}

TEST(ResponsePipe, GivesWhatIsLeftBeforeTheEndOrTheError) {
  for (bool good : {true, false}) {
    ResponsePipe pipe(64);
    pipe.Put(std::string_view("rest"), [] {});
    pipe.Finish(good ? Status::Ok() : Status(StatusCode::kUnavailable, "broken"));
    pipe.Finish(Status(StatusCode::kInternal, "only the first end counts"));
    EXPECT_FALSE(pipe.AtCleanEnd());
    EXPECT_EQ(ReadAll(pipe, 64), "rest");
    char buffer[8];
    auto end = pipe.Read(buffer, hours(1));
    EXPECT_EQ(end.ok(), good);
    EXPECT_EQ(end.status().message(), good ? "" : "broken");
    EXPECT_EQ(pipe.AtCleanEnd(), good);
  }
}

TEST(ResponsePipe, AnErrorBeforeTheHeadIsTheHeads) {
  ResponsePipe pipe(64);
  EXPECT_EQ(pipe.WaitHead(milliseconds(1)).status().code(), StatusCode::kDeadlineExceeded);
  pipe.Finish(Status(StatusCode::kUnavailable, "refused"));
  EXPECT_EQ(pipe.WaitHead(hours(1)).status().message(), "refused");
}

TEST(ResponsePipe, WakesABlockedReader) {
  ResponsePipe pipe(64);
  std::thread receiver([&] {
    pipe.SetHead({200, {{"a", "b"}}});
    pipe.Put(std::string_view("x"), [] {});
  });
  auto head = pipe.WaitHead(hours(1));
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->headers.at("a"), "b");
  EXPECT_EQ(ReadAll(pipe, 1), "x");
  receiver.join();
}

}  // namespace
}  // namespace podroute
