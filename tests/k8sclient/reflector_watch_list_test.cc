// Lists by watch-list (KEP-3157), and what becomes of them where the server has none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "k8sclient/reflector.h"
#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"
#include "tests/k8sclient/reflector_testing.h"
#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string EndBookmark(const std::string& version) {
  return R"({"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{)"
         R"("resourceVersion":")" +
         version +
         R"(","creationTimestamp":null,"annotations":{"k8s.io/initial-events-end":"true"}},)"
         R"("spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},)"
         R"("nodeInfo":{"machineID":""}}}})"
         "\n";
}

std::string Added(const std::vector<std::string>& names) {
  std::string events;
  for (const std::string& name : names) events += Event("ADDED", name, "1");
  return events;
}

// For tests of many cases: everything but the clock is new.
struct Anew {
  explicit Anew(FakeClock& the_clock) : clock(the_clock), before(clock.Waits().size()) {
    transport.on_exhausted = [this] { stop.Stop(); };
  }
  std::vector<std::string> Requests() const {
    std::vector<std::string> requests;
    for (const std::string& target : transport.targets()) requests.push_back(Short(target));
    return requests;
  }
  std::vector<Duration> Waits() const {
    std::vector<Duration> waits = clock.Waits();
    return {waits.begin() + static_cast<ptrdiff_t>(before), waits.end()};
  }

  FakeClock& clock;
  const size_t before;
  FakeTransport transport;
  StopToken stop;
  NodeStore store;
  Reflector reflector{transport, store, clock};
};

class ReflectorWatchListTest : public ReflectorFixture {
 protected:
  ReflectorWatchListTest() : ReflectorFixture({.seed = 1}) {}

  // A watch-list of these nodes and `version`, which then says `events` and lasts `duration`.
  FakeResponse WatchList(const std::string& version, const std::vector<std::string>& names,
                         const std::string& events = "", Duration duration = seconds(60)) {
    return Watch(Added(names) + EndBookmark(version) + events, duration);
  }
  BodyStep Check(std::function<void()> check) { return BodyStep::Do(std::move(check)); }
};

// ---- Where the server has it

TEST_F(ReflectorWatchListTest, AsksAsTheApiWantsIt) {
  Play({WatchList("7", {"a"})});
  HttpRequest request = transport_.requests()[0];
  EXPECT_THAT(request.target,
              MatchesRegex("/api/v1/nodes\\?watch=1&resourceVersion=0&allowWatchBookmarks=true"
                           "&timeoutSeconds=[3-6][0-9][0-9]&sendInitialEvents=true"
                           "&resourceVersionMatch=NotOlderThan"));
  EXPECT_EQ(request.idle_timeout, seconds(60));
}

TEST_F(ReflectorWatchListTest, InitialEventsAreTheListAndTheStreamGoesOnAsTheWatch) {
  std::vector<bool> connected;
  uint64_t lists = 0;
  auto note = [&] { connected.push_back(reflector_.state().connected); };
  EXPECT_THAT(Play({{.body = {BodyStep::Data(Added({"b", "a"})), Check([&] {
                                note();
                                EXPECT_FALSE(store_.TakeSnapshot().synced);
                                EXPECT_THAT(Names(), IsEmpty());
                              }),
                              BodyStep::Data(EndBookmark("7")), Check([&] {
                                note();
                                lists = store_.TakeSnapshot().lists;
                                EXPECT_THAT(Names(), ElementsAre("a", "b"));
                              }),
                              BodyStep::Data(Event("DELETED", "a", "8") + Event("ADDED", "c", "9")),
                              Pass(seconds(60))}}}),
              ElementsAre("watch-list 0", "watch 9"));
  EXPECT_THAT(connected, ElementsAre(false, true));
  EXPECT_EQ(lists, 1u);
  EXPECT_THAT(Names(), ElementsAre("b", "c"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
  NodeSnapshot snapshot = store_.TakeSnapshot();
  EXPECT_EQ(snapshot.lists, 1u);
  EXPECT_EQ(snapshot.consistent_lists, 0u);
  ReflectorState state = reflector_.state();
  EXPECT_EQ(state.lists, 1u);
  EXPECT_EQ(state.watches, 1u);
  EXPECT_EQ(state.events, 2u);
  EXPECT_EQ(state.list_failures + state.watch_failures, 0u);
}

TEST_F(ReflectorWatchListTest, BookmarkIsTheEndHoweverTheBytesAreCut) {
  for (size_t chunk_bytes : {1, 64, 1 << 20}) {
    Anew anew(clock_);
    FakeResponse response = WatchList("7", {"a", "b"}, Event("DELETED", "a", "8"), seconds(0));
    response.chunk_bytes = chunk_bytes;
    anew.transport.Add(std::move(response));
    anew.reflector.Run(anew.stop);
    EXPECT_THAT(anew.store.TakeSnapshot().nodes, SizeIs(1));
    EXPECT_EQ(anew.reflector.state().lists, 1u);
  }
}

TEST_F(ReflectorWatchListTest, ChangesAmongTheInitialEventsArePartOfTheList) {
  Play({Watch(Event("ADDED", "a", "1") + Event("ADDED", "b", "2") + Event("DELETED", "a", "3") +
              Event("MODIFIED", "b", "4") + EndBookmark("5"))});
  NodeSnapshot snapshot = store_.TakeSnapshot();
  ASSERT_THAT(snapshot.nodes, SizeIs(1));
  EXPECT_EQ(snapshot.nodes[0]->name, "b");
  EXPECT_THAT(snapshot.nodes[0]->pod_cidrs, ElementsAre("10.0.4.0/24"));
}

TEST_F(ReflectorWatchListTest, NoNodesAtAllIsAListToo) {
  Play({WatchList("7", {})});
  EXPECT_TRUE(store_.TakeSnapshot().synced);
}

TEST_F(ReflectorWatchListTest, ChangeIsAsOldAsTheFirstEvent) {
  MonotonicTime start = clock_.Now();
  Play({{.body = {BodyStep::Data(Added({"a"})), Pass(seconds(5)), BodyStep::Data(EndBookmark("7")),
                  Pass(seconds(9))}}});
  EXPECT_EQ(*store_.TakeSnapshot().changed_at, start);
}

TEST_F(ReflectorWatchListTest, RelistIsAWatchListAtTheLastVersionAndVanishedNodesGoAtItsEnd) {
  EXPECT_THAT(
      Play({WatchList("7", {"a", "b"}, Event("ADDED", "c", "8") + ErrorEvent(500, "")),
            {.body = {BodyStep::Data(Added({"b"})),
                      Check([&] { EXPECT_THAT(Names(), ElementsAre("a", "b", "c")); }),
                      BodyStep::Data(EndBookmark("9")),
                      Check([&] { EXPECT_THAT(Names(), ElementsAre("b")); }), Pass(seconds(60))}}}),
      ElementsAre("watch-list 0", "watch-list 8", "watch 9"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
  EXPECT_EQ(reflector_.state().watch_failures, 1u);
}

TEST_F(ReflectorWatchListTest, BrokenStreamAfterTheBookmarkIsFollowedByAPlainWatch) {
  EXPECT_THAT(Play({{.body = {BodyStep::Data(Added({"a"}) + EndBookmark("7")), Pass(seconds(9)),
                              BodyStep::Error(Status(StatusCode::kUnavailable, "reset"))}}}),
              ElementsAre("watch-list 0", "watch 7"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
  EXPECT_EQ(reflector_.state().list_failures, 0u);
}

TEST_F(ReflectorWatchListTest, EndRightAfterTheBookmarkDoesNotSpin) {
  EXPECT_THAT(Play({WatchList("7", {"a"}, "", seconds(0))}),
              ElementsAre("watch-list 0", "watch 7"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorWatchListTest, HoldsOneEventAtATimeHoweverMuchTheyAreTogether) {
  // Nothing is read ahead of the event under way, and the bound of 8 MiB is on one of them alone.
  std::string ballast(1 << 20, 'x');
  int decoded = 0;
  FakeResponse response;
  for (int i = 0; i < 12; ++i) {
    std::string event = R"({"type":"ADDED","object":{"kind":"Node","metadata":{"name":"n)" +
                        std::to_string(i) + R"(","resourceVersion":"1","annotations":{"x":")" +
                        ballast + "\"}}}}\n";
    response.body.push_back(BodyStep::Data(std::move(event)));
    response.body.push_back(Check([&] { ++decoded; }));
  }
  response.body.push_back(BodyStep::Data(EndBookmark("7")));
  response.body.push_back(Pass(seconds(60)));
  Play({std::move(response)});
  EXPECT_EQ(decoded, 12);
  EXPECT_THAT(Names(), SizeIs(12));
}

TEST_F(ReflectorWatchListTest, InitialEventsWithoutEndAreAnError) {
  FakeResponse endless;
  for (size_t i = 0; i <= kMaxListNodes; i += 1000) {
    std::vector<std::string> names;
    for (size_t j = 0; j < 1000; ++j) names.push_back("n" + std::to_string(i + j));
    endless.body.push_back(BodyStep::Data(Added(names)));
  }
  endless.body.push_back(Check([] { FAIL() << "it reads on"; }));
  EXPECT_THAT(Play({std::move(endless)}), ElementsAre("watch-list 0", "watch-list 0"));
  EXPECT_EQ(reflector_.state().last_error, "more than 200000 Nodes among the initial events");
  EXPECT_FALSE(store_.TakeSnapshot().synced);
}

// ---- Failures of a server that may have it

TEST_F(ReflectorWatchListTest, NothingPartialReachesTheStore) {
  std::string partial = Added({"b", "x"});
  struct Case {
    FakeResponse response;
    const char* next;
  };
  const char* again = "watch-list 7";
  const char* most_recent = "watch-list ";
  std::vector<Case> bad = {
      {Watch(partial), again},                                  // A clean end.
      {Watch(partial + R"({"type":"BOOKM)"), again},            // An end within an event.
      {Watch(partial + ErrorEvent(500, "")), most_recent},      //
      {Watch(partial + "garbage"), most_recent},                //
      {Watch(partial + Event("ADDED", "", "9")), most_recent},  //
      {Watch(partial + EndBookmark("")), most_recent},          // No version.
      {{.body = {BodyStep::Data(partial), BodyStep::Error(Status(StatusCode::kUnavailable, "x"))}},
       again},
      {Http(403, "Forbidden"), most_recent},
      {Http(404), most_recent},
      {Http(500), most_recent},
      {Http(504), again},
  };
  for (auto& [response, next] : bad) {
    SCOPED_TRACE(response.body.empty() ? "" : response.body[0].data.substr(0, 300));
    Anew anew(clock_);
    anew.transport.Add(WatchList("7", {"a", "b"}, ErrorEvent(500, "")));
    anew.transport.Add(response);
    anew.reflector.Run(anew.stop);
    EXPECT_THAT(anew.Requests(), ElementsAre("watch-list 0", "watch-list 7", next));
    EXPECT_THAT(anew.Waits(), SizeIs(2));
    NodeSnapshot snapshot = anew.store.TakeSnapshot();
    ASSERT_THAT(snapshot.nodes, SizeIs(2));
    EXPECT_EQ(snapshot.nodes[0]->name, "a");
    EXPECT_EQ(snapshot.lists, 1u);
    EXPECT_EQ(anew.reflector.state().list_failures, 1u);
  }
}

TEST_F(ReflectorWatchListTest, AfterTwoAnsweredFailuresInARowListsArePlainUntilOneSucceeds) {
  EXPECT_THAT(Play({Http(403), Watch(Added({"a"})), Http(500), List("7", {"a"}),
                    Watch(Bookmark("8") + ErrorEvent(500, "")), WatchList("9", {"a", "b"})}),
              ElementsAre("watch-list 0", "watch-list 0", kFirstList, kFirstList, "watch 7",
                          "watch-list 8", "watch 9"));
  EXPECT_THAT(clock_.Waits(), SizeIs(4));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(ReflectorWatchListTest, OutagesAndHaveToWaitsAreNoReasonForAPlainList) {
  std::vector<FakeResponse> script = {Refused(), Refused(), Http(429), Http(503), Http(429),
                                      Http(502), Http(401), Http(401), Http(401)};
  size_t requests = script.size() + 1;
  script.push_back(WatchList("7", {"a"}));
  std::vector<std::string> played = Play(std::move(script));
  ASSERT_THAT(played, SizeIs(requests + 1));
  for (size_t i = 0; i < requests; ++i) EXPECT_EQ(played[i], "watch-list 0");
}

TEST_F(ReflectorWatchListTest, GoneOrTooLargeAsksForTheMostRecentAtOnce) {
  for (const FakeResponse& no :
       {Http(410, "Expired"), Watch(ErrorEvent(410, "Expired")), Transcript("08-list-rv-future")}) {
    Anew anew(clock_);
    anew.transport.Add(WatchList("7", {"a"}, ErrorEvent(500, "")));
    anew.transport.Add(no);
    anew.transport.Add(WatchList("3", {"b"}));
    anew.reflector.Run(anew.stop);
    EXPECT_THAT(anew.Requests(),
                ElementsAre("watch-list 0", "watch-list 7", "watch-list ", "watch 3"));
    EXPECT_THAT(anew.Waits(), SizeIs(1));  // For the 500.
    EXPECT_EQ(anew.store.TakeSnapshot().consistent_lists, 1u);
  }
}

TEST_F(ReflectorWatchListTest, AnyOtherRefusalOfAVersionAsksForTheMostRecentAfterBackoff) {
  for (const FakeResponse& no : {Http(403), Http(500), Watch(ErrorEvent(500, ""))}) {
    Anew anew(clock_);
    anew.transport.Add(WatchList("7", {"a"}, ErrorEvent(500, "")));
    anew.transport.Add(no);
    anew.transport.Add(WatchList("9", {"b"}));
    anew.reflector.Run(anew.stop);
    EXPECT_THAT(anew.Requests(),
                ElementsAre("watch-list 0", "watch-list 7", "watch-list ", "watch 9"));
    EXPECT_THAT(anew.Waits(), SizeIs(2));
  }
}

TEST_F(ReflectorWatchListTest, RefusedVersionAfterTheRefusalOfWatchListsIsDroppedToo) {
  EXPECT_THAT(
      Play({WatchList("7", {"a"}, ErrorEvent(500, "")), Http(400), Http(400), List("9", {"a"})}),
      ElementsAre("watch-list 0", "watch-list 7", "/api/v1/nodes?resourceVersion=7",
                  kConsistentList, "watch 9"));
}

TEST_F(ReflectorWatchListTest, GoneInTheWatchAfterTheBookmarkAsksForTheMostRecentAtOnce) {
  EXPECT_THAT(Play({WatchList("7", {"a"}, ErrorEvent(410, "Gone")), WatchList("9", {"b"})}),
              ElementsAre("watch-list 0", "watch-list ", "watch 9"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(ReflectorWatchListTest, NoEndAtAVersionOfItsOwnAsksForTheMostRecent) {
  // A server restored from a backup may wait for a version that it will not have for days.
  EXPECT_THAT(Play({WatchList("7", {"a"}, ErrorEvent(500, "")),
                    {.body = {BodyStep::Data(Added({"b"})),
                              BodyStep::Error(Status(StatusCode::kDeadlineExceeded, "silence"))}},
                    WatchList("3", {"b"})}),
              ElementsAre("watch-list 0", "watch-list 7", "watch-list ", "watch 3"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

// ---- Where the server has none

TEST_F(ReflectorWatchListTest, RefusalOfAnOldServerIsFollowedAtOnceByPlainListsForEver) {
  LogCapture log;
  EXPECT_THAT(Play({Transcript("12-watchlist-on-old-server"), List("7", {"a"}),
                    Watch(ErrorEvent(410, "Gone")), List("8", {"b"}), Watch(ErrorEvent(500, "")),
                    List("9", {"c"}), Watch(Bookmark("10"))}),
              ElementsAre("watch-list 0", kFirstList, "watch 7", kConsistentList, "watch 8",
                          "/api/v1/nodes?resourceVersion=8", "watch 9", "watch 10"));
  // None for the refusal, none for the version that was gone: the refusal has not used that up.
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
  ReflectorState state = reflector_.state();
  EXPECT_EQ(state.list_failures, 0u);
  EXPECT_EQ(state.lists, 3u);
  ASSERT_GE(log.lines.size(), 2u);
  EXPECT_THAT(log.lines[0], StartsWith("I the server has no watch-list, so lists are plain: "
                                       "HTTP 422 Invalid: ListOptions.meta.k8s.io"));
  EXPECT_THAT(log.lines[1], StartsWith("I listed nodes count=1"));
}

TEST_F(ReflectorWatchListTest, PlainListAfterTheRefusalFailsAsAnyList) {
  EXPECT_THAT(Play({Transcript("12-watchlist-on-old-server"), Refused(), Http(500), List("7", {})}),
              ElementsAre("watch-list 0", kFirstList, kFirstList, kFirstList, "watch 7"));
  EXPECT_THAT(clock_.Waits(), SizeIs(2));
}

TEST_F(ReflectorWatchListTest, EveryProofOfAnOldServerIsFollowedByAPlainListAtOnce) {
  auto silence = [](const std::string& data) {
    return FakeResponse{.body = {BodyStep::Data(data),
                                 BodyStep::Error(Status(StatusCode::kDeadlineExceeded, "x"))}};
  };
  // A busy cluster, where the server says neither that nor anything of a bookmark.
  FakeResponse busy;
  busy.body = {BodyStep::Data(Added({"x", "y"}))};
  for (int i = 0; i < 13; ++i) {
    busy.body.push_back(Pass(seconds(5)));
    busy.body.push_back(BodyStep::Data(Event("MODIFIED", "x", std::to_string(i + 2))));
  }
  busy.body.push_back(Check([] { FAIL() << "it has waited for more than a minute"; }));
  for (const FakeResponse& old :
       {Http(400), Http(405), Http(422, "Invalid"), Watch(ErrorEvent(422, "Invalid")),
        Watch(Transcript("11-watch-rv0").body[0].data + Bookmark("6")), Watch(Bookmark("6")),
        silence(""), silence(Added({"x"})), busy}) {
    SCOPED_TRACE(old.status);
    Anew anew(clock_);
    anew.transport.Add(old);
    anew.transport.Add(List("7", {"a"}));
    anew.transport.Add(Watch(ErrorEvent(500, "")));
    anew.reflector.Run(anew.stop);
    EXPECT_THAT(anew.Requests(), ElementsAre("watch-list 0", kFirstList, "watch 7",
                                             "/api/v1/nodes?resourceVersion=7"));
    EXPECT_THAT(anew.Waits(), SizeIs(1));  // For the 500.
    EXPECT_EQ(anew.reflector.state().list_failures, 0u);
    ASSERT_THAT(anew.store.TakeSnapshot().nodes, SizeIs(1));
  }
}

TEST_F(ReflectorWatchListTest, InitialEventsMayTakeLongAsLongAsNewNodesCome) {
  FakeResponse slow;
  for (int i = 0; i < 9; ++i) {
    slow.body.push_back(BodyStep::Data(Added({"n" + std::to_string(i)})));
    slow.body.push_back(Pass(seconds(50)));
  }
  slow.body.push_back(BodyStep::Data(EndBookmark("7")));
  EXPECT_THAT(Play({std::move(slow)}), ElementsAre("watch-list 0", "watch 7"));
  EXPECT_THAT(Names(), SizeIs(9));
}

// ---- Being asked

TEST_F(ReflectorWatchListTest, RequestedConsistentListIsAWatchListToo) {
  EXPECT_THAT(Play({{.body = {BodyStep::Data(Added({"a"}) + EndBookmark("7")),
                              BodyStep::Do([&] { reflector_.RequestConsistentList(); }),
                              BodyStep::Data(Event("ADDED", "never", "9"))}},
                    Refused(),
                    Watch(Added({"x"})),
                    WatchList("10", {"b"})}),
              ElementsAre("watch-list 0", "watch-list ", "watch-list ", "watch-list ", "watch 10"));
  EXPECT_EQ(store_.TakeSnapshot().consistent_lists, 1u);
  EXPECT_THAT(Names(), ElementsAre("b"));
  EXPECT_THAT(clock_.Waits(), SizeIs(2));
}

TEST_F(ReflectorWatchListTest, RequestDuringTheInitialEventsIsServedByTheNextList) {
  EXPECT_THAT(Play({{.body = {BodyStep::Data(Added({"a"})),
                              BodyStep::Do([&] { reflector_.RequestConsistentList(); }),
                              BodyStep::Data(EndBookmark("7")),
                              Check([] { FAIL() << "the watch has not ended"; })}},
                    WatchList("8", {"b"})}),
              ElementsAre("watch-list 0", "watch-list ", "watch 8"));
  NodeSnapshot snapshot = store_.TakeSnapshot();
  EXPECT_EQ(snapshot.lists, 2u);
  EXPECT_EQ(snapshot.consistent_lists, 1u);
  EXPECT_EQ(reflector_.state().watch_failures, 0u);
}

TEST_F(ReflectorWatchListTest, RequestIsServedByThePlainListOfAnOldServer) {
  reflector_.RequestConsistentList();
  EXPECT_THAT(Play({Transcript("12-watchlist-on-old-server"), List("7", {"a"})}),
              ElementsAre("watch-list ", kConsistentList, "watch 7"));
  EXPECT_EQ(store_.TakeSnapshot().consistent_lists, 1u);
}

TEST_F(ReflectorWatchListTest, StopsWithinTheInitialEvents) {
  Play({{.body = {BodyStep::Data(Added({"a"})), BodyStep::Do([&] {
                    stop_.Stop();
                    reflector_.Interrupt();
                  })}}});
  EXPECT_THAT(transport_.targets(), SizeIs(1));
  EXPECT_FALSE(store_.TakeSnapshot().synced);
  EXPECT_THAT(clock_.Waits(), IsEmpty());
}

TEST(ReflectorWatchListThreadTest, AnotherThreadRequestsAndStops) {
  FakeClock clock;
  FakeTransport transport;
  NodeStore store;
  StopToken stop;
  Reflector reflector(transport, store, clock);
  transport.Add({.body = {BodyStep::Data(Added({"a"}) + EndBookmark("7")), BodyStep::Block()}});
  transport.Add({.body = {BodyStep::Data(Added({"b"})), BodyStep::Block(),
                          BodyStep::Data(EndBookmark("8")), BodyStep::Block()}});
  std::thread thread([&] { reflector.Run(stop); });
  transport.AwaitBlocked(1);
  EXPECT_TRUE(reflector.state().connected);
  // A watch's silence is allowed now, not a list's.
  EXPECT_GE(transport.idle_timeout_set(), seconds(330));
  reflector.RequestConsistentList();
  transport.AwaitBlocked(2);
  EXPECT_FALSE(reflector.state().connected);
  EXPECT_EQ(store.TakeSnapshot().consistent_lists, 0u);
  EXPECT_EQ(transport.idle_timeout_set(), Duration(0));
  stop.Stop();
  reflector.Interrupt();
  thread.join();
  EXPECT_EQ(store.TakeSnapshot().lists, 1u);
  EXPECT_THAT(transport.targets(), SizeIs(2));
}

}  // namespace
}  // namespace podroute
