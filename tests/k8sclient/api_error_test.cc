#include "k8sclient/api_error.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "tests/k8sclient/transcripts.h"

namespace podroute {
namespace {

ApiError ErrorOf(FakeResponse script) {
  FakeTransport transport;
  transport.Add(std::move(script));
  HttpResponse response = transport.Send({}).value();
  return ReadApiError(response);
}

TEST(ApiErrorTest, TranscriptsMapToCodesWithReadableMessages) {
  struct Case {
    const char* transcript;
    StatusCode code;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"08-list-rv-future", StatusCode::kTooLarge,
       "HTTP 504 Timeout: Timeout: Too large resource version: 99999999, current: 220"},
      {"09-watch-rv-invalid", StatusCode::kInternal,
       "HTTP 500: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": "
       "invalid syntax"},
      {"12-watchlist-on-old-server", StatusCode::kInvalidArgument,
       "HTTP 422 Invalid: ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: "
       "Forbidden: resourceVersionMatch is forbidden for watch, resourceVersionMatch: Forbidden: "
       "resourceVersionMatch is forbidden unless resourceVersion is provided]"},
      {"13-anonymous-403", StatusCode::kPermissionDenied,
       "HTTP 403 Forbidden: nodes is forbidden: User \"system:anonymous\" cannot list resource "
       "\"nodes\" in API group \"\" at the cluster scope"},
      {"14-bad-token-401", StatusCode::kUnauthenticated, "HTTP 401 Unauthorized: Unauthorized"},
      {"15-forbidden-403", StatusCode::kPermissionDenied, nullptr},
      {"21-lease-create-conflict-409", StatusCode::kAlreadyExists,
       "HTTP 409 AlreadyExists: leases.coordination.k8s.io \"podroute\" already exists"},
      {"23-lease-get-404", StatusCode::kNotFound, nullptr},
      {"25-lease-update-stale-409", StatusCode::kConflict, nullptr},
      {"28-patch-415", StatusCode::kUnsupported, nullptr},
      {"30-node-404", StatusCode::kNotFound, "HTTP 404 NotFound: nodes \"none\" not found"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.transcript);
    ApiError error = ErrorOf(Transcript(c.transcript));
    EXPECT_EQ(error.status.code(), c.code) << error.status.message();
    if (c.message != nullptr) {
      EXPECT_EQ(error.status.message(), c.message);
    }
    FakeResponse by_byte = Transcript(c.transcript);
    by_byte.chunk_bytes = 1;
    EXPECT_EQ(ErrorOf(std::move(by_byte)).status, error.status);
  }
}

TEST(ApiErrorTest, ReasonsWeighMoreThanNumbers) {
  struct Case {
    const char* reason;
    int code;
    int http_status;
    StatusCode expected;
  };
  const std::vector<Case> cases = {
      {"Expired", 410, 0, StatusCode::kGone},
      {"Gone", 410, 0, StatusCode::kGone},
      {"", 410, 0, StatusCode::kGone},
      {"", 0, 410, StatusCode::kGone},
      {"Expired", 0, 500, StatusCode::kGone},
      {"AlreadyExists", 409, 409, StatusCode::kAlreadyExists},
      {"Conflict", 409, 409, StatusCode::kConflict},
      {"TooManyRequests", 429, 429, StatusCode::kUnavailable},
      {"", 0, 429, StatusCode::kUnavailable},
      {"", 503, 0, StatusCode::kUnavailable},
      {"InternalError", 500, 0, StatusCode::kInternal},
      {"", 0, 0, StatusCode::kInternal},
      {"", 0, 302, StatusCode::kInternal},
      {"", 0, 204, StatusCode::kInternal},
  };
  for (const Case& c : cases) {
    ApiStatus api{.code = c.code, .reason = c.reason, .message = ""};
    EXPECT_EQ(CodeOf(api, c.http_status), c.expected)
        << c.reason << " " << c.code << " " << c.http_status;
    EXPECT_FALSE(MakeApiError(api, c.http_status).ok());
  }
}

TEST(ApiErrorTest, TooLargeIsKnownByItsMessageOnOldServers) {
  ApiStatus api{
      .code = 504, .reason = "Timeout", .message = "Too large resource version: 9, current: 2"};
  EXPECT_EQ(CodeOf(api, 504), StatusCode::kTooLarge);
}

TEST(ApiErrorTest, RetryAfterIsTheLongerOfHeaderAndDetails) {
  FakeResponse response = Transcript("08-list-rv-future");
  EXPECT_EQ(ErrorOf(response).retry_after, std::chrono::seconds(1));
  response.headers["retry-after"] = "7";
  EXPECT_EQ(ErrorOf(response).retry_after, std::chrono::seconds(7));
  for (const char* useless : {"", "-5", "soon", "7 ", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    response.headers["retry-after"] = useless;
    EXPECT_EQ(ErrorOf(response).retry_after, std::chrono::seconds(1)) << useless;
  }
  response.headers["retry-after"] = "9000000000000000000";
  EXPECT_EQ(ErrorOf(response).retry_after, std::chrono::hours(24));
}

TEST(ApiErrorTest, OtherBodiesAreQuotedOnOneLine) {
  FakeResponse response = FakeResponse::Body("<html>\r\n\x01<body>Bad\n Gateway</body></html>\n");
  response.status = 502;
  ApiError error = ErrorOf(response);
  EXPECT_EQ(error.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(error.status.message(), "HTTP 502: <html> <body>Bad Gateway</body></html>");
  EXPECT_EQ(error.http_status, 502);
}

TEST(ApiErrorTest, HostileBodiesAreBounded) {
  for (const std::string& body :
       {std::string(1 << 20, '['), std::string(1 << 20, 'x'), std::string("{\"kind\":\"Status\","),
        std::string("null"), std::string(),
        "{\"kind\":\"Status\",\"message\":\"" + std::string(50000, 'm') + "\",\"code\":1e99}",
        std::string("{\"kind\":\"Status\",\"message\":5,\"reason\":[],\"code\":\"x\",\"details\":"
                    "{\"causes\":[1,{\"reason\":2}],\"retryAfterSeconds\":-3}}")}) {
    FakeResponse response = FakeResponse::Body(body);
    response.status = 500;
    ApiError error = ErrorOf(response);
    EXPECT_EQ(error.status.code(), StatusCode::kInternal);
    EXPECT_LT(error.status.message().size(), 700u);
    EXPECT_EQ(error.retry_after, Duration(0));
  }
}

TEST(ApiErrorTest, BodyThatBreaksOffStillYieldsTheStatus) {
  FakeResponse response{.status = 503,
                        .body = {BodyStep::Error(Status(StatusCode::kUnavailable, "reset"))}};
  EXPECT_EQ(ErrorOf(response).status, Status(StatusCode::kUnavailable, "HTTP 503"));
}

}  // namespace
}  // namespace podroute
