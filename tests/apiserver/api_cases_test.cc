// The cases of api_cases.h against this server.
#include "tests/apiserver/api_cases.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

class ApiCasesTest : public ::testing::TestWithParam<ApiCase> {};

TEST_P(ApiCasesTest, Holds) {
  auto server = ServerProcess::Start();
  ASSERT_TRUE(server.ok()) << server.status().message();
  GetParam().run(
      [&](const std::string& method, const std::string& target, const std::string& body,
          const std::string& type) { return (*server)->Call(method, target, body, type); });
}

INSTANTIATE_TEST_SUITE_P(OurServer, ApiCasesTest, ::testing::ValuesIn(AllApiCases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace podroute
