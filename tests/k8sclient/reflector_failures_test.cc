// How the reflector takes refusals and failures: which version it asks for next, and after what
// wait.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
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
using ::testing::SizeIs;

// Plain lists; watch-lists are in reflector_watch_list_test.cc.
class ReflectorFailuresTest : public ReflectorFixture {
 protected:
  ReflectorFailuresTest() : ReflectorFixture({.watch_list = false, .seed = 1}) {}
};

// ---- Versions that the server refuses

TEST_F(ReflectorFailuresTest, GoneAsHttpStatusListsConsistentlyAtOnce) {
  EXPECT_THAT(Play({List("7", {}), Http(410, "Expired"), List("9", {})}),
              ElementsAre(kFirstList, "watch 7", kConsistentList, "watch 9"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
  EXPECT_EQ(store_.TakeSnapshot().consistent_lists, 1u);
}

TEST_F(ReflectorFailuresTest, GoneAsErrorEventListsConsistentlyAtOnce) {
  EXPECT_THAT(
      Play({List("7", {}), Transcript("06-watch-rv-too-old"), List("9", {}), Watch(Bookmark("10")),
            Watch(Bookmark("11"), seconds(121)), Watch(ErrorEvent(410, "Gone")), List("12", {})}),
      ElementsAre(kFirstList, "watch 7", kConsistentList, "watch 9", "watch 10", "watch 11",
                  kConsistentList, "watch 12"));
  EXPECT_THAT(clock_.Waits(), IsEmpty());
}

TEST_F(ReflectorFailuresTest, TooLargeVersionListsConsistentlyAtOnce) {
  EXPECT_THAT(Play({List("7", {}), Watch(ErrorEvent(500, "")), Transcript("08-list-rv-future"),
                    List("3", {})}),
              ElementsAre(kFirstList, "watch 7", "/api/v1/nodes?resourceVersion=7", kConsistentList,
                          "watch 3"));
  EXPECT_THAT(clock_.Waits(), SizeIs(1));
}

TEST_F(ReflectorFailuresTest, AnyOtherRefusalOfAListAtAVersionIsTheVersionsFault) {
  // As for a version that an event brought and the server cannot read (transcript 09).
  for (const FakeResponse& no : {Transcript("09-watch-rv-invalid"), Http(400), Http(403), Http(422),
                                 Http(500), FakeResponse::Body("{}")}) {
    SCOPED_TRACE(no.status);
    FakeClock clock;
    clock.AutoAdvance();
    FakeTransport transport;
    StopToken stop;
    transport.on_exhausted = [&] { stop.Stop(); };
    NodeStore store;
    Reflector reflector(transport, store, clock, {.watch_list = false});
    transport.Add(List("7", {"a"}));
    transport.Add(Watch(Event("MODIFIED", "a", "garbage")));
    transport.Add(Http(400));
    transport.Add(no);
    transport.Add(List("9", {"a"}));
    reflector.Run(stop);
    std::vector<std::string> requests;
    for (const std::string& target : transport.targets()) requests.push_back(Short(target));
    EXPECT_THAT(requests,
                ElementsAre(kFirstList, "watch 7", "watch garbage",
                            "/api/v1/nodes?resourceVersion=garbage", kConsistentList, "watch 9"));
    EXPECT_THAT(clock.Waits(), SizeIs(3));
  }
}

TEST_F(ReflectorFailuresTest, NoAnswerOrNotNowToAListLeavesItsVersionAlone) {
  EXPECT_THAT(Play({List("7", {}), Http(500), Refused(), Http(429), Http(503), List("9", {})}),
              ElementsAre(kFirstList, "watch 7", "/api/v1/nodes?resourceVersion=7",
                          "/api/v1/nodes?resourceVersion=7", "/api/v1/nodes?resourceVersion=7",
                          "/api/v1/nodes?resourceVersion=7", "watch 9"));
}

TEST_F(ReflectorFailuresTest, ListStaysConsistentUntilOneSucceedsAndThenUsesVersionsAgain) {
  EXPECT_THAT(Play({List("7", {}), Http(410), Http(500), Refused(), List("9", {}),
                    Watch(ErrorEvent(500, "")), List("10", {})}),
              ElementsAre(kFirstList, "watch 7", kConsistentList, kConsistentList, kConsistentList,
                          "watch 9", "/api/v1/nodes?resourceVersion=9", "watch 10"));
  EXPECT_THAT(clock_.Waits(), SizeIs(3));
}

TEST_F(ReflectorFailuresTest, GoneAgainAndAgainTakesBackoff) {
  std::vector<FakeResponse> script(40, Http(410, "Expired"));
  EXPECT_THAT(Play(std::move(script)), SizeIs(41));
  EXPECT_THAT(clock_.Waits(), SizeIs(20));  // Two requests in each step.
}

TEST_F(ReflectorFailuresTest, WatchesGoneAgainAndAgainTakeBackoffThoughListsSucceed) {
  std::vector<FakeResponse> script;
  for (int i = 0; i < 30; ++i) {
    script.push_back(List("7", {"a"}));
    script.push_back(Transcript("06-watch-rv-too-old"));
  }
  EXPECT_THAT(Play(std::move(script)), SizeIs(61));
  EXPECT_THAT(clock_.Waits(), SizeIs(15));
}

// ---- Backoff

TEST_F(ReflectorFailuresTest, BackoffDoublesFromEightTenthsToThirtySecondsWithJitter) {
  std::vector<FakeResponse> script(12, Refused());
  EXPECT_THAT(Play(std::move(script)), SizeIs(13));
  std::vector<Duration> waits = clock_.Waits();
  ASSERT_THAT(waits, SizeIs(12));
  Duration base = milliseconds(800);
  for (const Duration& wait : waits) {
    EXPECT_GE(wait, base);
    EXPECT_LE(wait, 2 * base);
    base = std::min<Duration>(base * 2, seconds(30));
  }
}

TEST_F(ReflectorFailuresTest, BackoffStartsAnewAfterTwoMinutesOfHealth) {
  EXPECT_THAT(Play({Refused(), Refused(), Refused(), Refused(), List("7", {}),
                    Watch(Bookmark("8"), seconds(119)), Refused(),
                    Watch(Bookmark("9"), seconds(121)), Refused()}),
              SizeIs(10));
  std::vector<Duration> waits = clock_.Waits();
  ASSERT_THAT(waits, SizeIs(6));
  EXPECT_GE(waits[4], milliseconds(12800));
  EXPECT_LE(waits[5], milliseconds(1600));
}

TEST_F(ReflectorFailuresTest, EveryFailureTakesOneStepOfBackoff) {
  FakeResponse tls = FakeResponse::Failure(StatusCode::kUnavailable, "TLS: certificate expired");
  FakeResponse credentials = FakeResponse::Failure(StatusCode::kUnauthenticated, "no such file");
  std::vector<FakeResponse> failures = {
      Refused(),
      tls,
      credentials,
      Http(403),
      Http(429),
      Http(500),
      Http(503),
      Http(504),
      FakeResponse::Body("garbage"),
      FakeResponse::Body(""),
      FakeResponse::Failure(StatusCode::kDeadlineExceeded, "silence"),
      FakeResponse::Failure(StatusCode::kCancelled, "by somebody else")};
  std::vector<FakeResponse> script(failures);
  script.push_back(List("7", {}));
  // As a watch: those that lead to a list get one.
  size_t watches = 0;
  for (const FakeResponse& failure : failures) {
    script.push_back(failure);
    bool list = failure.error.ok() &&
                (failure.status == 200 || failure.status == 403 || failure.status == 500);
    if (list) script.push_back(List("7", {}));
    ++watches;
  }
  size_t requests = script.size() + 1;
  EXPECT_THAT(Play(std::move(script)), SizeIs(requests));
  EXPECT_THAT(clock_.Waits(), SizeIs(failures.size() + watches));
}

TEST_F(ReflectorFailuresTest, RetryAfterIsAMinimum) {
  EXPECT_THAT(Play({Http(429, "", 120), Http(503, "", 1), Http(500, "", 1000000)}), SizeIs(4));
  std::vector<Duration> waits = clock_.Waits();
  ASSERT_THAT(waits, SizeIs(3));
  EXPECT_EQ(waits[0], seconds(120));
  EXPECT_GE(waits[1], milliseconds(1600));
  EXPECT_EQ(waits[2], seconds(300));  // Within reason.
}

TEST_F(ReflectorFailuresTest, UnauthorizedIsTriedOnceMoreAtOnce) {
  EXPECT_THAT(Play({Http(401), List("7", {}), Watch(Bookmark("8"), seconds(121)), Http(401),
                    Http(401), Http(401), Http(401)}),
              ElementsAre(kFirstList, kFirstList, "watch 7", "watch 8", "watch 8", "watch 8",
                          "watch 8", "watch 8"));
  EXPECT_THAT(clock_.Waits(), SizeIs(2));
}

}  // namespace
}  // namespace podroute
