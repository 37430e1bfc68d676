#include "k8sclient/lease.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/base/fake_clock.h"
#include "tests/k8sclient/fake_transport.h"
#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

using std::chrono::seconds;

constexpr char kTime[] = "2026-11-22T21:00:00.000000Z";

LeaseRecord RecordOf(const std::string& holder) {
  return {.holder = holder,
          .duration_seconds = 15,
          .acquire_time = kTime,
          .renew_time = kTime,
          .transitions = 0};
}

class LeaseClientTest : public ::testing::Test {
 protected:
  FakeTransport transport_;
  LeaseClient client_{transport_, "kube-system", "podroute"};
};

TEST_F(LeaseClientTest, ReadsWhatARealServerSends) {
  transport_.Add(Transcript("22-lease-get"));
  LeaseAnswer answer = client_.Get(seconds(5));
  ASSERT_TRUE(answer.error.ok()) << answer.error.status.message();
  EXPECT_EQ(answer.lease.resource_version, "223");
  EXPECT_EQ(answer.lease.record, RecordOf("a"));
  HttpRequest request = transport_.requests().at(0);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podroute");
  EXPECT_EQ(request.idle_timeout, seconds(5));
}

TEST_F(LeaseClientTest, TellsTheServersRefusalsApart) {
  transport_.Add(Transcript("23-lease-get-404"));
  transport_.Add(Transcript("21-lease-create-conflict-409"));
  transport_.Add(Transcript("25-lease-update-stale-409"));
  transport_.Add(Transcript("15-forbidden-403"));
  EXPECT_EQ(client_.Get(seconds(1)).error.status.code(), StatusCode::kNotFound);
  EXPECT_EQ(client_.Create(RecordOf("a"), seconds(1)).error.status.code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(client_.Update({}, RecordOf("a"), seconds(1)).error.status.code(),
            StatusCode::kConflict);
  EXPECT_EQ(client_.Get(seconds(1)).error.status.code(), StatusCode::kPermissionDenied);
}

TEST_F(LeaseClientTest, CreatesAndUpdates) {
  transport_.Add(Transcript("20-lease-create-201"));
  transport_.Add(Transcript("24-lease-update-200"));
  LeaseAnswer created = client_.Create(RecordOf("a"), seconds(1));
  ASSERT_TRUE(created.error.ok());
  LeaseRecord renewed = created.lease.record;
  renewed.renew_time = "2026-11-22T21:00:02.000000Z";
  LeaseAnswer updated = client_.Update(created.lease, renewed, seconds(1));
  ASSERT_TRUE(updated.error.ok());
  EXPECT_EQ(updated.lease.resource_version, "224");
  EXPECT_EQ(updated.lease.record, renewed);

  HttpRequest create = transport_.requests().at(0), update = transport_.requests().at(1);
  EXPECT_EQ(create.method, "POST");
  EXPECT_EQ(create.target, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases");
  EXPECT_EQ(create.content_type, "application/json");
  EXPECT_EQ(create.body, R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1",)"
                         R"("metadata":{"name":"podroute","namespace":"kube-system"},)"
                         R"("spec":{"holderIdentity":"a","leaseDurationSeconds":15,)"
                         R"("acquireTime":"2026-11-22T21:00:00.000000Z",)"
                         R"("renewTime":"2026-11-22T21:00:00.000000Z","leaseTransitions":0}})");
  EXPECT_EQ(update.method, "PUT");
  EXPECT_NE(update.body.find(R"("resourceVersion":"223")"), std::string::npos) << update.body;
  EXPECT_NE(update.body.find(R"("managedFields")"), std::string::npos) << update.body;
}

TEST(LeaseTest, AnUpdateKeepsWhatItDoesNotKnow) {
  Result<Lease> lease = ParseLease(
      R"({"kind":"Lease","metadata":{"resourceVersion":"7","labels":{"a":"b"},)"
      R"("annotations":{"c":"d"},"ownerReferences":[{"uid":"1"}]},)"
      R"("spec":{"holderIdentity":"x","strategy":"OldestEmulationVersion","renewTime":null}})");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  LeaseRecord released{.duration_seconds = 1, .transitions = 3};
  EXPECT_EQ(RenderLease(*lease, released),
            R"({"kind":"Lease","metadata":{"resourceVersion":"7","labels":{"a":"b"},)"
            R"("annotations":{"c":"d"},"ownerReferences":[{"uid":"1"}]},)"
            R"("spec":{"holderIdentity":"","strategy":"OldestEmulationVersion","renewTime":null,)"
            R"("leaseDurationSeconds":1,"acquireTime":null,"leaseTransitions":3}})");
}

TEST(LeaseTest, ASpecThatIsNotThereIsMade) {
  for (const char* json : {R"({"metadata":{"resourceVersion":"7"}})",
                           R"({"metadata":{"resourceVersion":"7"},"spec":null})"}) {
    Result<Lease> lease = ParseLease(json);
    ASSERT_TRUE(lease.ok()) << json;
    EXPECT_EQ(lease->record, LeaseRecord());
    Result<Lease> again = ParseLease(RenderLease(*lease, RecordOf("a")));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->record, RecordOf("a"));
  }
}

TEST(LeaseTest, MembersOfTheWrongTypeAreAsIfAbsent) {
  Result<Lease> lease = ParseLease(
      R"({"metadata":{"resourceVersion":"7"},"spec":{"holderIdentity":1,)"
      R"("leaseDurationSeconds":"15","renewTime":{},"acquireTime":[],"leaseTransitions":1.5}})");
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->record, LeaseRecord());
}

TEST(LeaseTest, WhatIsNoLeaseIsRefused) {
  std::string deep = R"({"metadata":{"resourceVersion":"7"},"x":)" + std::string(100000, '[');
  for (const std::string& json :
       {std::string(), std::string("[]"), std::string("{"), std::string("<html>"),
        std::string(R"({"metadata":{}})"), std::string(R"({"metadata":[]})"),
        std::string(R"({"kind":"Status","metadata":{"resourceVersion":"7"}})"),
        deep + std::string(100000, ']') + "}"}) {
    EXPECT_FALSE(ParseLease(json).ok()) << json.substr(0, 60);
  }
}

TEST(LeaseTest, TimesHaveSixDigits) {
  WallTime time(seconds(1795381202));
  EXPECT_EQ(FormatMicroTime(time), "2026-11-22T21:00:02.000000Z");
  EXPECT_EQ(FormatMicroTime(time + std::chrono::nanoseconds(1999)), "2026-11-22T21:00:02.000001Z");
  EXPECT_EQ(FormatMicroTime(WallTime(std::chrono::microseconds(-1))),
            "1969-12-31T23:59:59.999999Z");
}

std::string Event(const std::string& type, const std::string& holder) {
  return R"({"type":")" + type + R"(","object":{"kind":"Lease","metadata":{"name":"podroute",)" +
         R"("resourceVersion":"8"},"spec":{"holderIdentity":")" + holder + R"("}}})";
}

TEST_F(LeaseClientTest, WatchesTheOneLease) {
  FakeResponse response =
      FakeResponse::Body(Event("ADDED", "a}{\\\"") + "\n" + Event("MODIFIED", "") + "\r\n " +
                         Event("DELETED", "") + "\n");
  response.chunk_bytes = 7;
  transport_.Add(std::move(response));
  std::unique_ptr<BodyStream> body;
  ASSERT_TRUE(client_.Watch(301, seconds(30), &body).ok());
  EXPECT_EQ(transport_.targets().at(0),
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?watch=1"
            "&fieldSelector=metadata.name%3Dpodroute&timeoutSeconds=301");
  LeaseWatchReader reader(*body);
  std::vector<std::string> seen;
  while (true) {
    auto event = reader.Next();
    ASSERT_TRUE(event.ok()) << event.status().message();
    if (!event->has_value()) break;
    seen.push_back((*event)->deleted ? "deleted" : "holder " + (*event)->lease.record.holder);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"holder a}{\"", "holder ", "deleted"}));
}

TEST_F(LeaseClientTest, WhatIsNoEventIsAnError) {
  struct Case {
    std::string body;
    StatusCode code;
  };
  for (const Case& c :
       {Case{Event("ADDED", "a").substr(0, 40), StatusCode::kUnavailable},
        Case{"<html>", StatusCode::kUnavailable}, Case{"{}", StatusCode::kInternal},
        Case{Event("BOGUS", "a"), StatusCode::kInternal},
        Case{R"({"type":"ADDED","object":{"metadata":{}}})", StatusCode::kInternal},
        Case{R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})",
             StatusCode::kGone}}) {
    transport_.Add(FakeResponse::Body(c.body));
    std::unique_ptr<BodyStream> body;
    ASSERT_TRUE(client_.Watch(301, seconds(30), &body).ok());
    EXPECT_EQ(LeaseWatchReader(*body).Next().status().code(), c.code) << c.body;
  }
}

}  // namespace
}  // namespace podroute
