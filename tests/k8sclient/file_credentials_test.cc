#include "k8sclient/file_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class FileCredentialsTest : public testing::Test {
 protected:
  void Create() {
    auto source = FileCredentialSource::Create(options_, clock_);
    ASSERT_TRUE(source.ok()) << source.status().message();
    source_ = *source;
  }
  std::string Token() {
    Result<Credentials> credentials = source_->Get();
    return credentials.ok() ? credentials->bearer_token
                            : "error: " + credentials.status().message();
  }
  std::string CreateError() {
    return FileCredentialSource::Create(options_, clock_).status().message();
  }

  TempDir dir_;
  FakeClock clock_;
  FileCredentialOptions options_;
  std::shared_ptr<CredentialSource> source_;
};

TEST_F(FileCredentialsTest, FixedOnesStay) {
  options_.fixed.username = "me";
  options_.fixed.password = "pw";
  Create();
  clock_.Advance(std::chrono::hours(1));
  source_->Invalidate();
  Result<Credentials> credentials = source_->Get();
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(*credentials, options_.fixed);
}

TEST_F(FileCredentialsTest, ATokenFileIsReadAgainAfterAMinute) {
  options_.token_file = dir_.Write("token", "one\n");
  Create();
  dir_.Write("token", "two\n");
  clock_.Advance(seconds(59));
  EXPECT_EQ(Token(), "one");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Token(), "two");
}

TEST_F(FileCredentialsTest, InvalidateReadsItAgainAtOnce) {
  options_.token_file = dir_.Write("token", "one");
  Create();
  dir_.Write("token", "two");
  EXPECT_EQ(Token(), "one");
  source_->Invalidate();
  EXPECT_EQ(Token(), "two");
}

TEST_F(FileCredentialsTest, AFileThatVanishesOrIsEmptyLeavesTheOldTokenInUse) {
  options_.token_file = dir_.Write("token", "one");
  Create();
  for (int i = 0; i < 2; ++i) {
    if (i == 0) {
      dir_.Write("token", " \n");
    } else {
      std::filesystem::remove(options_.token_file);
    }
    clock_.Advance(seconds(61));
    EXPECT_EQ(Token(), "one");
  }
  source_->Invalidate();
  EXPECT_EQ(Token(), "error: token: open " + options_.token_file + ": No such file or directory");
  dir_.Write("token", "two");
  EXPECT_EQ(Token(), "two");
}

TEST_F(FileCredentialsTest, CertificateAndKeyRotateToo) {
  options_.client_certificate_file = dir_.Write("crt", "crt1\n");
  options_.client_key_file = dir_.Write("key", "key1\n");
  Create();
  dir_.Write("crt", "crt2");
  dir_.Write("key", "key2");
  clock_.Advance(seconds(60));
  Result<Credentials> credentials = source_->Get();
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(credentials->client_certificate_pem, "crt2");
  EXPECT_EQ(credentials->client_key_pem, "key2");
}

TEST_F(FileCredentialsTest, WhatCannotBeReadAtFirstIsAnErrorThatNamesIt) {
  options_.token_file = dir_.File("absent");
  EXPECT_EQ(CreateError(), "token: open " + dir_.File("absent") + ": No such file or directory");
  options_.token_file = dir_.path();
  EXPECT_EQ(CreateError(), "token: read " + dir_.path() + ": Is a directory");
  options_.token_file = dir_.Write("empty", "\n");
  EXPECT_EQ(CreateError(), "token: " + dir_.File("empty") + " is empty");
  options_.token_file = dir_.Write("lines", "one\r\nX-Evil: two");
  EXPECT_THAT(CreateError(), HasSubstr("holds more than one line"));
  options_.token_file = dir_.Write("big", std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(CreateError(), HasSubstr("is larger than"));
  options_.token_file.clear();
  options_.client_key_file = dir_.File("absent");
  EXPECT_THAT(CreateError(), HasSubstr("client key: open "));
}

}  // namespace
}  // namespace podroute
