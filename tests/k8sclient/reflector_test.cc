#include "k8sclient/reflector.h"

#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"
#include "tests/k8sclient/reflector_testing.h"
#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// Plain lists; watch-lists are in reflector_watch_list_test.cc.
class ReflectorTest : public ReflectorFixture {
 protected:
  ReflectorTest() : ReflectorFixture({.watch_list = false, .seed = 1}) {}
};

// ---- Lists

TEST_F(ReflectorTest, FirstListAcceptsAnyVersionAndTheWatchStartsFromIt) {
  EXPECT_THAT(Play({List("7", {"a", "b"})}), ElementsAre(kFirstList, "watch 7"));
  NodeSnapshot snapshot = store_.TakeSnapshot();
  EXPECT_TRUE(snapshot.synced);
  EXPECT_EQ(snapshot.lists, 1u);
  EXPECT_EQ(snapshot.consistent_lists, 0u);
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
}

TEST_F(ReflectorTest, ListsInPages) {
  EXPECT_THAT(Play({List("7", {"a"}, "t=1"), List("8", {"b"}, "t=2"), List("9", {"c"})}),
              ElementsAre(kFirstList, "/api/v1/nodes?limit=500&continue=t%3D1",
                          "/api/v1/nodes?limit=500&continue=t%3D2", "watch 7"));
  EXPECT_THAT(Names(), ElementsAre("a", "b", "c"));
}

TEST_F(ReflectorTest, GoneOnALaterPageIsOneWholeListWithoutLimit) {
  EXPECT_THAT(Play({List("7", {"a"}, "t"), Http(410, "Expired"), List("9", {"a", "b"})}),
              ElementsAre(kFirstList, "/api/v1/nodes?limit=500&continue=t",
                          "/api/v1/nodes?resourceVersion=0", "watch 9"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(ReflectorTest, FailureOnALaterPageLeavesTheStoreAlone) {
  EXPECT_THAT(Play({List("7", {"a"}, "t"), Http(500), List("9", {"b"})}),
              ElementsAre(kFirstList, "/api/v1/nodes?limit=500&continue=t", kFirstList, "watch 9"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
  EXPECT_EQ(store_.TakeSnapshot().lists, 1u);
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(ReflectorTest, PagesWithoutEndAreAnError) {
  Play({List("7", {"a"}, "t"), List("7", {"b"}, "t")});
  EXPECT_FALSE(store_.TakeSnapshot().synced);
  EXPECT_EQ(reflector_.state().last_error, "the list's pages have no end");
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorTest, RelistThatLacksANodeIsItsDeletion) {
  Play({List("7", {"a", "b"}), Watch(ErrorEvent(500, "InternalError")), List("8", {"b"})});
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(ReflectorTest, ListAfterTheFirstIsAtTheLastVersionAndWithoutLimit) {
  // Beside a version, a limit would mean "exactly this version".
  EXPECT_THAT(Play({List("7", {"a"}), Watch(Event("ADDED", "b", "9") + ErrorEvent(500, ""))}),
              ElementsAre(kFirstList, "watch 7", "/api/v1/nodes?resourceVersion=9"));
}

TEST_F(ReflectorTest, ResourceVersionsAreOpaque) {
  EXPECT_THAT(
      Play({List("9 &/\\u00fc", {"a"}), Watch(Event("ADDED", "b", "2")),
            Watch(Event("ADDED", "c", "1000")), Watch(Event("ADDED", "c", "abc"))}),
      ElementsAre(kFirstList, "watch 9%20%26%2F%C3%BC", "watch 2", "watch 1000", "watch abc"));
}

TEST_F(ReflectorTest, WhatIsNoCompleteListChangesNothing) {
  std::string whole = List("9", {"x"}).body[0].data;
  FakeResponse html = FakeResponse::Body("<html>log in</html>");
  html.headers["content-type"] = "text/html";
  std::vector<FakeResponse> script = {List("7", {"a", "b"}), Watch(ErrorEvent(500, ""))};
  std::vector<FakeResponse> bad = {
      FakeResponse::Body(whole.substr(0, whole.size() - 1)),
      FakeResponse::Body(""),
      FakeResponse::Body("garbage"),
      FakeResponse::Body(R"({"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[]})"),
      FakeResponse::Body(R"({"kind":"Table","metadata":{"resourceVersion":"9"},"rows":[]})"),
      FakeResponse::Body(R"({"kind":"NodeList","metadata":{"resourceVersion":"9"}})"),
      FakeResponse::Body(R"({"kind":"NodeList","metadata":{},"items":[]})"),  // No version.
      {.body = {BodyStep::Data(whole), BodyStep::Error(Status(StatusCode::kUnavailable, "reset"))}},
      {.body = {BodyStep::Data(whole.substr(0, 99)),
                BodyStep::Error(Status(StatusCode::kDeadlineExceeded, "silence"))}},
      html,
      Http(200 + 4),
      Http(302),
      Http(403, "Forbidden"),
      Http(404),
      Http(429),
      Http(500),
      Http(503),
      Refused(),
  };
  script.insert(script.end(), bad.begin(), bad.end());
  EXPECT_THAT(Play(std::move(script)), SizeIs(2 + bad.size() + 1));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_EQ(reflector_.state().lists, 1u);
  EXPECT_EQ(reflector_.state().list_failures, bad.size());
  // One step of backoff for the watch's error and one for every list's.
  EXPECT_THAT(clock_.Waits(), SizeIs(1 + bad.size()));
}

// ---- Watches

TEST_F(ReflectorTest, WatchAsksForBookmarksAndARandomTimeout) {
  std::vector<FakeResponse> script = {List("7", {})};
  for (int i = 0; i < 200; ++i) script.push_back(Watch(Bookmark("7")));
  Play(std::move(script));
  std::set<std::string> timeouts;
  for (const HttpRequest& request : transport_.requests()) {
    if (request.target.find("watch=1") == std::string::npos) continue;
    EXPECT_THAT(request.target, HasSubstr("&allowWatchBookmarks=true&timeoutSeconds="));
    std::string timeout = request.target.substr(request.target.rfind('=') + 1);
    EXPECT_GE(std::stoi(timeout), 300);
    EXPECT_LE(std::stoi(timeout), 600);
    EXPECT_EQ(request.idle_timeout, seconds(std::stoi(timeout) + 30));
    timeouts.insert(timeout);
  }
  EXPECT_GT(timeouts.size(), 50u);
}

TEST_F(ReflectorTest, EventsReachTheStore) {
  Play({List("1", {"a", "b"}), Watch(Event("ADDED", "c", "2") + Event("DELETED", "a", "3") +
                                     Event("MODIFIED", "b", "4"))});
  NodeSnapshot snapshot = store_.TakeSnapshot();
  ASSERT_THAT(snapshot.nodes, SizeIs(2));
  EXPECT_EQ(snapshot.nodes[0]->name, "b");
  EXPECT_THAT(snapshot.nodes[0]->pod_cidrs, ElementsAre("10.0.4.0/24"));
  EXPECT_EQ(snapshot.nodes[1]->name, "c");
}

TEST_F(ReflectorTest, CleanCloseWatchesAgainFromTheLastVersionWithoutList) {
  EXPECT_THAT(Play({List("7", {}), Watch(Event("ADDED", "a", "8")), Watch("", seconds(2)),
                    Watch(Event("DELETED", "a", "9")), Watch(Bookmark("12"))}),
              ElementsAre(kFirstList, "watch 7", "watch 8", "watch 8", "watch 9", "watch 12"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
}

TEST_F(ReflectorTest, BookmarksMoveTheVersionAndNothingElse) {
  int changes = 0;
  store_.SetOnChange([&] { ++changes; });
  EXPECT_THAT(Play({List("7", {"a"}), Watch(Bookmark("8") + Bookmark("15"))}),
              ElementsAre(kFirstList, "watch 7", "watch 15"));
  EXPECT_EQ(changes, 1);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(ReflectorTest, WatchThatEndsWithinASecondWithNoEventListsAfterBackoff) {
  EXPECT_THAT(Play({List("7", {}), Watch("", milliseconds(999))}),
              ElementsAre(kFirstList, "watch 7", "/api/v1/nodes?resourceVersion=7"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorTest, WatchThatEndsWithinASecondWithEventsBacksOffWithoutList) {
  EXPECT_THAT(Play({List("7", {}), Watch(Bookmark("8"), milliseconds(999))}),
              ElementsAre(kFirstList, "watch 7", "watch 8"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorTest, BrokenConnectionBacksOffAndWatchesAgainWithoutList) {
  auto broken = [&](const std::string& data, StatusCode code) {
    return FakeResponse{
        .body = {BodyStep::Data(data), Pass(seconds(60)), BodyStep::Error(Status(code, "broke"))}};
  };
  EXPECT_THAT(Play({List("7", {"a"}),
                    broken(Event("ADDED", "b", "8") + R"({"type":"DELE)", StatusCode::kUnavailable),
                    broken(Event("ADDED", "b", "9"), StatusCode::kDeadlineExceeded)}),
              ElementsAre(kFirstList, "watch 7", "watch 8", "watch 9"));
  EXPECT_THAT(clock_.Waits(), SizeIs(2));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(ReflectorTest, EndWithinAnEventBacksOffAndWatchesAgainWithoutList) {
  EXPECT_THAT(Play({List("7", {}), Watch(R"({"type":"ADD)")}),
              ElementsAre(kFirstList, "watch 7", "watch 7"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorTest, ConnectionRefusedBacksOffAndWatchesAgainWithoutList) {
  EXPECT_THAT(Play({List("7", {}), Refused(), Refused(), Watch(Bookmark("8"))}),
              ElementsAre(kFirstList, "watch 7", "watch 7", "watch 7", "watch 8"));
  EXPECT_THAT(clock_.Waits(), SizeIs(2));
}

TEST_F(ReflectorTest, TooManyRequestsBacksOffAndWatchesAgainWithoutList) {
  EXPECT_THAT(Play({List("7", {}), Http(429, "TooManyRequests", 11),
                    Watch(ErrorEvent(429, "TooManyRequests"))}),
              ElementsAre(kFirstList, "watch 7", "watch 7", "watch 7"));
  ASSERT_THAT(clock_.Waits(), SizeIs(2));
  EXPECT_EQ(clock_.Waits()[0], seconds(11));
}

TEST_F(ReflectorTest, OtherRefusalsOfAWatchBackOffAndListAtTheLastVersion) {
  for (int status : {400, 403, 404, 500}) {
    SCOPED_TRACE(status);
    FakeClock clock;
    clock.AutoAdvance();
    FakeTransport transport;
    StopToken stop;
    transport.on_exhausted = [&] { stop.Stop(); };
    Reflector reflector(transport, store_, clock, {.watch_list = false});
    transport.Add(List("7", {}));
    transport.Add(Http(status));
    reflector.Run(stop);
    EXPECT_THAT(transport.targets(),
                ElementsAre(kFirstList, HasSubstr("watch"), "/api/v1/nodes?resourceVersion=7"));
    EXPECT_THAT(clock.Waits(), SizeIs(1));
  }
}

TEST_F(ReflectorTest, WhatIsNoEventLeadsToAList) {
  for (const std::string& bad :
       {ErrorEvent(500, "InternalError"), std::string("garbage"), Event("RENAMED", "a", "9"),
        Event("ADDED", "", "9"), Event("ADDED", "a", ""), std::string(R"({"type":"ADDED"})"),
        std::string(R"({"type":"BOOKMARK","object":{}})"),
        std::string(R"({"type":"ADDED","object":{"kind":"Pod"}})")}) {
    SCOPED_TRACE(bad);
    FakeClock clock;
    clock.AutoAdvance();
    FakeTransport transport;
    StopToken stop;
    transport.on_exhausted = [&] { stop.Stop(); };
    NodeStore store;
    Reflector reflector(transport, store, clock, {.watch_list = false});
    transport.Add(List("7", {}));
    transport.Add(Watch(Event("ADDED", "b", "8") + bad));
    reflector.Run(stop);
    EXPECT_THAT(transport.targets(),
                ElementsAre(kFirstList, HasSubstr("watch"), "/api/v1/nodes?resourceVersion=8"));
    EXPECT_THAT(clock.Waits(), SizeIs(1));
    EXPECT_THAT(store.TakeSnapshot().nodes, SizeIs(1));
    EXPECT_EQ(reflector.state().watch_failures, 1u);
  }
}

TEST_F(ReflectorTest, SilenceOfFiveMinutesIsFollowedByAList) {
  // Transcript 07: a server restored from a backup accepts a version it never had, and says
  // nothing.
  EXPECT_THAT(Play({List("7", {}), Watch("", seconds(200)), Watch("", seconds(100)),
                    Transcript("08-list-rv-future"), List("3", {})}),
              ElementsAre(kFirstList, "watch 7", "watch 7", "/api/v1/nodes?resourceVersion=7",
                          kConsistentList, "watch 3"));
}

// ---- Being asked

TEST_F(ReflectorTest, RequestedConsistentListEndsTheWatchAndIsCounted) {
  uint64_t before = 99;
  EXPECT_THAT(Play({List("7", {"a"}),
                    {.body = {BodyStep::Data(Event("ADDED", "b", "8")), BodyStep::Do([&] {
                                before = store_.TakeSnapshot().consistent_lists;
                                reflector_.RequestConsistentList();
                                reflector_.RequestConsistentList();
                              }),
                              BodyStep::Data(Event("ADDED", "never", "9"))}},
                    List("10", {"b"}),
                    Watch(Bookmark("11"))}),
              ElementsAre(kFirstList, "watch 7", kConsistentList, "watch 10", "watch 11"));
  EXPECT_EQ(before, 0u);
  EXPECT_EQ(store_.TakeSnapshot().consistent_lists, 1u);
  EXPECT_THAT(Names(), ElementsAre("b"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
  EXPECT_EQ(reflector_.state().watch_failures, 0u);
}

TEST_F(ReflectorTest, RequestedConsistentListIsTriedUntilItSucceeds) {
  EXPECT_THAT(Play({List("7", {"a"}),
                    {.body = {BodyStep::Do([&] { reflector_.RequestConsistentList(); })}},
                    Refused(),
                    Http(500),
                    FakeResponse::Body("garbage"),
                    List("10", {"b"})}),
              ElementsAre(kFirstList, "watch 7", kConsistentList, kConsistentList, kConsistentList,
                          kConsistentList, "watch 10"));
  EXPECT_THAT(clock_.Waits(), SizeIs(3));
}

TEST_F(ReflectorTest, RequestDuringAListIsServedByTheNextOne) {
  std::string list = List("7", {"a"}).body[0].data;
  EXPECT_THAT(Play({{.body = {BodyStep::Data(list.substr(0, 20)),
                              BodyStep::Do([&] { reflector_.RequestConsistentList(); }),
                              BodyStep::Data(list.substr(20))}},
                    List("8", {"a"})}),
              ElementsAre(kFirstList, kConsistentList, "watch 8"));
}

TEST_F(ReflectorTest, RequestDuringAConsistentListIsServedByTheNextOne) {
  // What was being sent already may be older than the request.
  reflector_.RequestConsistentList();
  std::string list = List("7", {"a"}).body[0].data;
  EXPECT_THAT(Play({{.body = {BodyStep::Data(list.substr(0, 20)),
                              BodyStep::Do([&] { reflector_.RequestConsistentList(); }),
                              BodyStep::Data(list.substr(20))}},
                    List("8", {"a"})}),
              ElementsAre(kConsistentList, kConsistentList, "watch 8"));
}

TEST_F(ReflectorTest, StopsWithinAListAWatchAndAWait) {
  std::string list = List("7", {"a"}).body[0].data;
  Play({{.body = {BodyStep::Data(list.substr(0, 20)), BodyStep::Do([&] {
                    stop_.Stop();
                    reflector_.Interrupt();
                  })}}});
  EXPECT_THAT(transport_.targets(), SizeIs(1));
  EXPECT_FALSE(store_.TakeSnapshot().synced);
  EXPECT_THAT(clock_.Waits(), IsEmpty());
}

TEST(ReflectorThreadTest, AnotherThreadRequestsInterruptsAndStops) {
  FakeClock clock;
  FakeTransport transport;
  NodeStore store;
  StopToken stop;
  Reflector reflector(transport, store, clock, {.watch_list = false});
  transport.Add(List("7", {"a"}));
  transport.Add({.body = {BodyStep::Block()}});
  transport.Add(List("8", {"b"}));
  transport.Add({.body = {BodyStep::Data(Event("ADDED", "c", "9")), BodyStep::Block()}});
  std::thread thread([&] { reflector.Run(stop); });
  transport.AwaitBlocked(2);
  EXPECT_TRUE(reflector.state().connected);
  EXPECT_EQ(reflector.state().lists, 1u);
  reflector.RequestConsistentList();
  transport.AwaitBlocked(4);
  EXPECT_EQ(store.TakeSnapshot().consistent_lists, 1u);
  EXPECT_EQ(store.TakeSnapshot().nodes.size(), 2u);
  stop.Stop();
  transport.Shutdown();
  thread.join();
  EXPECT_FALSE(reflector.state().connected);
  EXPECT_THAT(transport.targets(), SizeIs(4));
}

TEST(ReflectorThreadTest, StopEndsAWait) {
  FakeClock clock;
  FakeTransport transport;
  NodeStore store;
  StopToken stop;
  Reflector reflector(transport, store, clock, {.watch_list = false});
  transport.Add(Refused());
  std::thread thread([&] { reflector.Run(stop); });
  clock.AwaitWaiters();
  EXPECT_TRUE(reflector.state().failing_since);
  stop.Stop();
  thread.join();
  EXPECT_THAT(transport.targets(), SizeIs(1));
}

// ---- What it tells

TEST_F(ReflectorTest, StateCounts) {
  MonotonicTime start = clock_.Now();
  Play({Refused(), List("7", {}), Watch(Event("ADDED", "a", "8") + Bookmark("9")), Http(503)});
  ReflectorState state = reflector_.state();
  EXPECT_EQ(state.lists, 1u);
  EXPECT_EQ(state.list_failures, 1u);
  EXPECT_EQ(state.watches, 1u);
  EXPECT_EQ(state.watch_failures, 1u);
  EXPECT_EQ(state.events, 2u);
  EXPECT_FALSE(state.connected);
  EXPECT_EQ(state.resource_version, "9");
  EXPECT_EQ(state.last_error, "HTTP 503");
  EXPECT_EQ(*state.last_heard - start, clock_.Waits()[0]);
  EXPECT_EQ(*state.failing_since - start, clock_.Waits()[0] + seconds(60));
}

TEST_F(ReflectorTest, LogsChangesOnly) {
  LogCapture log;
  std::vector<FakeResponse> script = {List("7", {"a"})};
  for (int i = 0; i < 20; ++i) script.push_back(Refused());
  script.push_back(Watch(Bookmark("8")));
  for (int i = 0; i < 20; ++i) script.push_back(Watch("", milliseconds(1)));  // Each with a list,
  for (int i = 0; i < 20; ++i) script.push_back(Http(500));                   // from here on none.
  Play(std::move(script));
  ASSERT_GE(log.lines.size(), 4u);
  EXPECT_THAT(log.lines[0], StartsWith("I listed nodes count=1 resource_version=7"));
  EXPECT_THAT(log.lines[1], StartsWith("W watch failed reason=Unavailable retry_in="));
  EXPECT_THAT(log.lines[1], HasSubstr(": connect: Connection refused"));
  EXPECT_THAT(log.lines[2], StartsWith("I watch works again resource_version=7"));
  EXPECT_LE(log.lines.size(), 8u) << ::testing::PrintToString(log.lines);
}

TEST_F(ReflectorTest, WatchesThatAreAcceptedAndFailAtOnceDoNotFloodTheLog) {
  LogCapture log;
  std::vector<FakeResponse> script;
  for (int i = 0; i < 30; ++i) {
    script.push_back(List("7", {"a"}));
    script.push_back(Watch("", milliseconds(1)));
  }
  Play(std::move(script));
  EXPECT_THAT(log.lines, ElementsAre(StartsWith("I listed nodes"),
                                     StartsWith("W watch failed reason=Unavailable")));
}

// ---- The whole, as a real server answers

TEST_F(ReflectorTest, ReplaysTranscriptsInPiecesOfAnySize) {
  for (size_t chunk_bytes : {1, 64, 1 << 20}) {
    FakeClock clock;
    clock.AutoAdvance();
    FakeTransport transport;
    StopToken stop;
    transport.on_exhausted = [&] { stop.Stop(); };
    NodeStore store;
    Reflector reflector(transport, store, clock, {.watch_list = false});
    for (const char* name : {"02-list-limit2", "03-list-continue", "05-watch-events-bookmark"}) {
      FakeResponse response = Transcript(name);
      response.chunk_bytes = chunk_bytes;
      response.body.push_back(BodyStep::Do([&] { clock.Advance(seconds(65)); }));
      transport.Add(std::move(response));
    }
    reflector.Run(stop);
    EXPECT_THAT(transport.targets(),
                ElementsAre(kFirstList, StartsWith("/api/v1/nodes?limit=500&continue=eyJ2"),
                            HasSubstr("resourceVersion=217&"), HasSubstr("resourceVersion=225&")));
    NodeSnapshot snapshot = store.TakeSnapshot();
    ASSERT_THAT(snapshot.nodes, SizeIs(3));
    EXPECT_EQ(snapshot.nodes[0]->name, "master1");
    EXPECT_EQ(snapshot.nodes[1]->name, "worker1");
    EXPECT_EQ(snapshot.nodes[2]->name, "worker3");
    EXPECT_TRUE(snapshot.nodes[1]->network_unavailable);
  }
}

}  // namespace
}  // namespace podroute
