#include "k8sclient/watch_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"
#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Type = WatchEvent::Type;

struct Decoded {
  std::vector<WatchEvent> events;
  Status end;  // OK: the clean end.
};

Decoded DecodeAll(FakeResponse response) {
  FakeClock clock;
  FakeBody body(std::move(response));
  WatchDecoder decoder(body, clock);
  Decoded decoded;
  while (true) {
    Result<std::optional<WatchEvent>> event = decoder.Next();
    decoded.end = event.status();
    if (!event.ok() || !event->has_value()) return decoded;
    decoded.events.push_back(**event);
  }
}

std::string Event(const std::string& type, const std::string& name) {
  return R"({"type":")" + type + R"(","object":{"kind":"Node","metadata":{"name":")" + name +
         R"(","resourceVersion":"9"}}})";
}

TEST(WatchDecoderTest, ReadsTheEventsOfATranscript) {
  Decoded decoded = DecodeAll(Transcript("05-watch-events-bookmark"));
  EXPECT_TRUE(decoded.end.ok()) << decoded.end.message();
  std::vector<Type> types;
  std::vector<std::string> names, versions;
  for (const WatchEvent& event : decoded.events) {
    types.push_back(event.type);
    names.push_back(event.node.name);
    versions.push_back(event.node.resource_version);
  }
  EXPECT_THAT(types, ElementsAre(Type::kModified, Type::kDeleted, Type::kAdded, Type::kModified,
                                 Type::kBookmark, Type::kBookmark));
  EXPECT_THAT(names, ElementsAre("worker1", "worker2", "worker3", "worker1", "", ""));
  EXPECT_THAT(versions, ElementsAre("218", "219", "220", "225", "225", "225"));
  EXPECT_FALSE(decoded.events[0].node.network_unavailable);
  ASSERT_TRUE(decoded.events[3].node.network_unavailable);
}

TEST(WatchDecoderTest, OnlyABookmarkThatSaysSoEndsTheInitialEvents) {
  auto event = [](const std::string& type, const std::string& metadata) {
    return R"({"type":")" + type + R"(","object":{"kind":"Node","metadata":{"name":"a",)" +
           metadata + R"("resourceVersion":"9"}}})";
  };
  const std::string end = R"("annotations":{"x":{"y":[1]},"k8s.io/initial-events-end":"true"},)";
  struct Case {
    std::string json;
    bool end;
  };
  for (const Case& c : {
           Case{event("BOOKMARK", end), true},
           Case{event("BOOKMARK", ""), false},
           Case{event("BOOKMARK", R"("annotations":{},)"), false},
           Case{event("BOOKMARK", R"("annotations":null,)"), false},
           Case{event("BOOKMARK", R"("annotations":{"k8s.io/initial-events-end":"false"},)"),
                false},
           Case{event("BOOKMARK", R"("annotations":{"k8s.io/initial-events-end":true},)"), false},
           Case{event("BOOKMARK", R"("labels":{"k8s.io/initial-events-end":"true"},)"), false},
           Case{event("BOOKMARK", end + R"("annotations":{},)"), false},
           Case{event("ADDED", end), false},
           Case{R"({"object":{"kind":"Node","metadata":{)" + end +
                    R"("resourceVersion":"9"}},"type":"BOOKMARK"})",
                true},
           Case{R"({"object":{"kind":"Node","metadata":{"name":"a",)" + end +
                    R"("resourceVersion":"9"}},"type":"ADDED"})",
                false},
       }) {
    Decoded decoded = DecodeAll(FakeResponse::Body(c.json));
    ASSERT_THAT(decoded.events, SizeIs(1)) << c.json << decoded.end.message();
    EXPECT_EQ(decoded.events[0].initial_events_end, c.end) << c.json;
    EXPECT_EQ(decoded.events[0].node.resource_version, "9");
  }
}

TEST(WatchDecoderTest, ReadsTheErrorOfATranscript) {
  Decoded decoded = DecodeAll(Transcript("06-watch-rv-too-old"));
  ASSERT_THAT(decoded.events, SizeIs(1));
  EXPECT_EQ(decoded.events[0].type, Type::kError);
  ApiStatus expected{
      .code = 410, .reason = "Expired", .message = "too old resource version: 1 (209)"};
  EXPECT_EQ(decoded.events[0].error, expected);
}

TEST(WatchDecoderTest, OtherTranscriptsAndChunksOfAnySize) {
  struct Case {
    const char* name;
    size_t events;
  };
  for (const Case& c :
       {Case{"05-watch-events-bookmark", 6}, Case{"06-watch-rv-too-old", 1},
        Case{"07-watch-rv-future", 0}, Case{"10-watch-no-rv", 3}, Case{"11-watch-rv0", 3}}) {
    Decoded whole = DecodeAll(Transcript(c.name));
    EXPECT_TRUE(whole.end.ok());
    ASSERT_THAT(whole.events, SizeIs(c.events)) << c.name;
    for (size_t chunk_bytes : {1, 5, 100}) {
      FakeResponse response = Transcript(c.name);
      response.chunk_bytes = chunk_bytes;
      Decoded decoded = DecodeAll(std::move(response));
      EXPECT_TRUE(decoded.end.ok());
      ASSERT_THAT(decoded.events, SizeIs(c.events));
      for (size_t i = 0; i < c.events; ++i) {
        EXPECT_EQ(decoded.events[i].type, whole.events[i].type);
        EXPECT_EQ(decoded.events[i].node, whole.events[i].node);
        EXPECT_EQ(decoded.events[i].error, whole.events[i].error);
      }
    }
  }
}

TEST(WatchDecoderTest, EventsAreDeliveredBeforeAnythingFollowsThem) {
  FakeClock clock;
  bool asked_for_more = false;
  FakeBody body(
      {.body = {BodyStep::Data(Event("ADDED", "a")), BodyStep::Do([&] { asked_for_more = true; }),
                BodyStep::Data("\n" + Event("ADDED", "b"))}});
  WatchDecoder decoder(body, clock);
  EXPECT_EQ(decoder.Next().value()->node.name, "a");
  EXPECT_FALSE(asked_for_more);
  EXPECT_EQ(decoder.Next().value()->node.name, "b");
  EXPECT_TRUE(asked_for_more);
}

TEST(WatchDecoderTest, ArrivalIsThatOfTheEventsFirstByte) {
  FakeClock clock;
  MonotonicTime start = clock.Now();
  auto later = [&] { return BodyStep::Do([&] { clock.Advance(std::chrono::seconds(1)); }); };
  std::string b = Event("ADDED", "b");
  FakeBody body({.body = {BodyStep::Data(Event("ADDED", "a") + "\n"), later(), BodyStep::Data("\n"),
                          later(), BodyStep::Data(b.substr(0, 1)), later(),
                          BodyStep::Data(b.substr(1) + Event("ADDED", "c"))}});
  WatchDecoder decoder(body, clock);
  EXPECT_EQ(decoder.Next().value()->arrived - start, std::chrono::seconds(0));
  EXPECT_EQ(decoder.Next().value()->arrived - start, std::chrono::seconds(2));
  EXPECT_EQ(decoder.Next().value()->arrived - start, std::chrono::seconds(3));
}

TEST(WatchDecoderTest, TypeMayFollowTheObject) {
  Decoded decoded = DecodeAll(FakeResponse::Body(
      R"({"object":{"metadata":{"resourceVersion":"1","name":"a"}},"x":[{}],"type":"DELETED"})"));
  ASSERT_THAT(decoded.events, SizeIs(1));
  EXPECT_EQ(decoded.events[0].type, Type::kDeleted);
  EXPECT_EQ(decoded.events[0].node.name, "a");
  decoded = DecodeAll(FakeResponse::Body(
      R"({"object":{"code":504,"details":{"causes":[{"reason":"ResourceVersionTooLarge"}],)"
      R"("retryAfterSeconds":3}},"type":"ERROR"})"));
  ASSERT_THAT(decoded.events, SizeIs(1));
  EXPECT_TRUE(decoded.events[0].error.version_too_large);
  EXPECT_EQ(decoded.events[0].error.retry_after_seconds, 3);
}

TEST(WatchDecoderTest, EveryTruncationWithinAnEventIsUnavailable) {
  std::string text = Event("ADDED", "a");
  for (size_t size = 1; size < text.size(); ++size) {
    Decoded decoded = DecodeAll(FakeResponse::Body(text.substr(0, size)));
    EXPECT_THAT(decoded.events, SizeIs(0));
    EXPECT_EQ(decoded.end.code(), StatusCode::kUnavailable) << size;
  }
}

TEST(WatchDecoderTest, WhatIsNoEventIsAnError) {
  struct Case {
    std::string body;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"<html>", "before \"<html>\": Invalid value."},
      {"[]", "not a JSON object"},
      {"7 ", "not a JSON object"},
      {"{}", "an event has no type"},
      {R"({"type":5,"object":{}})", "an event has no type"},
      {R"({"type":"ADDED","type":5,"object":{}})", "an event has no type"},
      {R"({"type":"RENAMED","object":{}})", "RENAMED event: the type is unknown"},
      {R"({"type":"ADDED"})", "ADDED event: there is no object"},
      {R"({"type":"ADDED","object":[]})", "ADDED event: there is no object"},
      {R"({"type":"ADDED","object":{"metadata":{"name":"a"}},"object":1})",
       "ADDED event: there is no object"},
      {R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}})",
       "ADDED event: the object has no metadata.name"},
      {R"({"type":"DELETED","object":{"metadata":{"name":"a"}}})",
       "DELETED event: the object has no metadata.resourceVersion"},
      {R"({"type":"BOOKMARK","object":{}})",
       "BOOKMARK event: the object has no metadata.resourceVersion"},
      {R"({"type":"ADDED","object":{"kind":"Pod"}})",
       "ADDED event: the object is a Pod, not a Node"},
      {R"({"type":"ADDED","object":{"x":")" + std::string(9 << 20, 'x') + "\"}}",
       "an object is over 8 MiB long"},
      {std::string(9 << 20, '\n'), "an object is over 8 MiB long"},
      {std::string(1, '\0'), nullptr},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.body.substr(0, 100));
    Decoded decoded = DecodeAll(FakeResponse::Body(Event("ADDED", "a") + "\n" + c.body));
    EXPECT_THAT(decoded.events, SizeIs(1));  // What came before it counts.
    EXPECT_EQ(decoded.end.code(), StatusCode::kInternal);
    if (c.message != nullptr) {
      EXPECT_THAT(decoded.end.message(), HasSubstr(c.message));
    }
  }
}

TEST(WatchDecoderTest, NothingFollowsAnError) {
  FakeClock clock;
  FakeBody body(FakeResponse::Body("{}" + Event("ADDED", "a")));
  WatchDecoder decoder(body, clock);
  Status first = decoder.Next().status();
  EXPECT_FALSE(first.ok());
  EXPECT_EQ(decoder.Next().status(), first);
}

TEST(WatchDecoderTest, ErrorsOfTheBodyArePassedOn) {
  for (StatusCode code : {StatusCode::kUnavailable, StatusCode::kDeadlineExceeded}) {
    Decoded decoded = DecodeAll({.body = {BodyStep::Data(Event("ADDED", "a") + "{\"ty"),
                                          BodyStep::Error(Status(code, "why"))}});
    EXPECT_THAT(decoded.events, SizeIs(1));
    EXPECT_EQ(decoded.end, Status(code, "why"));
  }
}

}  // namespace
}  // namespace podroute
