#include "k8sclient/rfc3339.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

TEST(Rfc3339Test, ReadsTimes) {
  struct Case {
    const char* text;
    int64_t seconds;
  };
  for (const Case& c :
       {Case{"1970-01-01T00:00:00Z", 0}, Case{"2026-11-22T21:24:33Z", 1795382673},
        Case{"2026-11-22T21:24:33.999999Z", 1795382673},
        Case{"2026-11-22T22:54:33+01:30", 1795382673},
        Case{"2026-11-22T13:24:33-08:00", 1795382673}, Case{"2026-11-22t21:24:33z", 1795382673},
        Case{"2024-02-29T00:00:00Z", 1709164800}, Case{"1969-12-31T23:59:59Z", -1},
        Case{"2016-12-31T23:59:60Z", 1483228800}, Case{"0001-01-01T00:00:00Z", -62135596800}}) {
    EXPECT_EQ(ParseRfc3339Seconds(c.text), c.seconds) << c.text;
  }
}

TEST(Rfc3339Test, RefusesOthers) {
  for (const char* text : {"",
                           "Z",
                           "2026",
                           "2026-11-22",
                           "2026-11-22T21:24:33",
                           "2026-11-22T21:24:33.Z",
                           "2026-11-22T21:24:33ZZ",
                           "2026-13-22T21:24:33Z",
                           "2026-00-22T21:24:33Z",
                           "2026-02-29T00:00:00Z",
                           "2026-11-22T24:00:00Z",
                           "2026-11-22T21:60:33Z",
                           "2026-11-22T21:24:61Z",
                           "2026-11-22T21:24:33+1:00",
                           "2026-11-22T21:24:33+24:00",
                           "2026-11-22T21:24:33*01:00",
                           " 2026-11-22T21:24:33Z",
                           "99999-11-22T21:24:33Z",
                           "-026-11-22T21:24:33Z",
                           "2026-11-22T21:24:3\xff\xff"}) {
    EXPECT_EQ(ParseRfc3339Seconds(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace podroute
