#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

namespace podroute {
namespace {

TEST(StatusTest, DefaultIsOk) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status(), Status::Ok());
  EXPECT_EQ(Status().message(), "");
}

TEST(StatusTest, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    EXPECT_TRUE(names.insert(StatusCodeName(static_cast<StatusCode>(code))).second);
  }
  EXPECT_EQ(StatusCodeName(StatusCode::kNotFound), "NotFound");
}

TEST(StatusTest, ErrnoBecomesACodeAndText) {
  struct {
    int error;
    StatusCode code;
  } cases[] = {
      {ENOENT, StatusCode::kNotFound},
      {ESRCH, StatusCode::kNotFound},
      {EEXIST, StatusCode::kAlreadyExists},
      {EPERM, StatusCode::kPermissionDenied},
      {EACCES, StatusCode::kPermissionDenied},
      {EINVAL, StatusCode::kInvalidArgument},
      {EISDIR, StatusCode::kInvalidArgument},
      {EOPNOTSUPP, StatusCode::kUnsupported},
      {ENOBUFS, StatusCode::kUnavailable},
      {ENOSPC, StatusCode::kDiskFull},
      {EDQUOT, StatusCode::kDiskFull},
      {ENETUNREACH, StatusCode::kUnavailable},
      {ETIMEDOUT, StatusCode::kDeadlineExceeded},
      {ECANCELED, StatusCode::kCancelled},
      {EIO, StatusCode::kInternal},
      {123456, StatusCode::kInternal},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.error);
    EXPECT_EQ(Status::FromErrno(c.error, "x").code(), c.code);
  }
  EXPECT_EQ(Status::FromErrno(ENOENT, "open /etc/x").message(),
            "open /etc/x: No such file or directory");
}

TEST(StatusTest, ContextIsPutBeforeErrorsOnly) {
  EXPECT_EQ(Status::Ok().WithContext("reading"), Status::Ok());
  EXPECT_EQ(Status(StatusCode::kGone, "old").WithContext("list"),
            Status(StatusCode::kGone, "list: old"));
}

TEST(ResultTest, IsAValueOrAnError) {
  Result<std::string> good(std::string("x"));
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, "x");
  EXPECT_EQ(good->size(), 1u);
  EXPECT_TRUE(good.status().ok());
  Result<std::string> bad(Status(StatusCode::kGone, "old"));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), StatusCode::kGone);
}

TEST(ResultTest, HoldsWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(ResultDeathTest, MisuseAborts) {
  Result<int> bad(Status(StatusCode::kGone, "old"));
  EXPECT_DEATH((void)bad.value(), "");
  EXPECT_DEATH(Result<int> neither{Status::Ok()}, "");
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Status(StatusCode::kInvalidArgument, "odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  PODROUTE_ASSIGN_OR_RETURN(int half, Half(n));
  PODROUTE_ASSIGN_OR_RETURN(half, Half(half));
  return half;
}

Status IsEven(int n) {
  PODROUTE_RETURN_IF_ERROR(Half(n).status());
  return Status::Ok();
}

TEST(StatusMacrosTest, PassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_TRUE(IsEven(2).ok());
  EXPECT_FALSE(IsEven(3).ok());
}

}  // namespace
}  // namespace podroute
