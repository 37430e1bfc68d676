#include "tests/apiserver/patch.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

struct Case {
  const char* target;
  const char* patch;
  const char* result;  // Null: an error.
};

TEST(PatchTest, StrategicMerge) {
  for (const Case& c : {
           Case{R"({"a":1,"b":{"c":1}})", R"({"a":null,"b":{"d":2}})", R"({"b":{"c":1,"d":2}})"},
           // New elements stand first, known ones keep the server's order.
           Case{R"({"conditions":[{"type":"A","status":"1"},{"type":"B","status":"1"}]})",
                R"({"conditions":[{"type":"B","status":"2"},{"type":"N","status":"3"}]})",
                R"({"conditions":[{"type":"A","status":"1"},{"type":"B","status":"2"},)"
                R"({"type":"N","status":"3"}]})"},
           Case{R"({"conditions":[{"type":"Ready"}]})", R"({"conditions":[{"type":"New"}]})",
                R"({"conditions":[{"type":"New"},{"type":"Ready"}]})"},
           Case{R"({"conditions":[{"type":"A"},{"type":"B"}]})",
                R"({"conditions":[{"$patch":"delete","type":"A"}]})",
                R"({"conditions":[{"type":"B"}]})"},
           Case{R"({"addresses":[{"type":"A"},{"type":"B"}]})",
                R"({"addresses":[{"$patch":"replace"},{"type":"C"}]})",
                R"({"addresses":[{"type":"C"}]})"},
           Case{R"({"addresses":[{"type":"A"},{"type":"B"}]})",
                R"({"$setElementOrder/addresses":[{"type":"B"},{"type":"A"}],)"
                R"("addresses":[{"type":"A","address":"x"}]})",
                R"({"addresses":[{"type":"B"},{"type":"A","address":"x"}]})"},
           // Taints have no merge key in the API: replaced whole.
           Case{R"({"taints":[{"key":"a"}]})", R"({"taints":[{"key":"b"}]})",
                R"({"taints":[{"key":"b"}]})"},
           Case{R"({"finalizers":["a","b"]})", R"({"$deleteFromPrimitiveList/finalizers":["a"]})",
                R"({"finalizers":["b"]})"},
           Case{R"({"finalizers":["a"]})", R"({"finalizers":["b"]})",
                R"({"finalizers":["b","a"]})"},
           Case{R"({"s":{"a":1,"b":2}})", R"({"s":{"$retainKeys":["b"],"b":3}})",
                R"({"s":{"b":3}})"},
           Case{R"({"s":{"a":1}})", R"({"s":{"$patch":"replace","b":2}})", R"({"s":{"b":2}})"},
           Case{"{}", R"({"conditions":[{"status":"x"}]})", nullptr},
           Case{"{}", R"({"$patch":"nonsense"})", nullptr},
           Case{"{}", "[]", nullptr},
       }) {
    SCOPED_TRACE(c.patch);
    JsonDocument target = std::move(ParseJson(c.target)).value();
    JsonDocument patch = std::move(ParseJson(c.patch)).value();
    Status status = ApplyStrategicMergePatch(target, patch, target.GetAllocator());
    EXPECT_EQ(status.ok(), c.result != nullptr) << status.message();
    if (c.result != nullptr && status.ok()) {
      EXPECT_EQ(ToText(target), c.result);
    }
  }
}

// The table of RFC 7386, appendix A.
TEST(PatchTest, MergePatchAsTheRfcHasIt) {
  for (const Case& c : {
           Case{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
           Case{R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
           Case{R"({"a":"b"})", R"({"a":null})", "{}"},
           Case{R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
           Case{R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
           Case{R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
           Case{R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
           Case{R"({"a":"b"})", R"(["c"])", R"(["c"])"},
           Case{R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
           Case{R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
           Case{"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
       }) {
    SCOPED_TRACE(c.patch);
    JsonDocument target = std::move(ParseJson(c.target)).value();
    JsonDocument patch = std::move(ParseJson(c.patch)).value();
    ApplyMergePatch(target, patch, target.GetAllocator());
    EXPECT_EQ(ToText(target), c.result);
  }
}

TEST(PatchTest, JsonPatch) {
  for (const Case& c : {
           Case{R"({"a":1})", R"([{"op":"replace","path":"/a","value":2}])", R"({"a":2})"},
           Case{R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
           Case{R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
           Case{R"({"a":{}})", R"([{"op":"add","path":"/a/x~1y","value":2}])",
                R"({"a":{"x/y":2}})"},
           Case{R"({"a":1,"b":2})",
                R"([{"op":"test","path":"/a","value":1},)"
                R"({"op":"remove","path":"/a"}])",
                R"({"b":2})"},
           Case{R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])", nullptr},
           Case{R"({"a":1})", R"([{"op":"remove","path":"/b"}])", nullptr},
           Case{R"({"a":[1]})", R"([{"op":"add","path":"/a/5","value":2}])", nullptr},
           Case{R"({"a":[1]})", R"([{"op":"add","path":"/a/x","value":2}])", nullptr},
           Case{"{}", R"({"op":"add"})", nullptr},
       }) {
    SCOPED_TRACE(c.patch);
    JsonDocument target = std::move(ParseJson(c.target)).value();
    JsonDocument patch = std::move(ParseJson(c.patch)).value();
    Status status = ApplyJsonPatch(target, patch);
    EXPECT_EQ(status.ok(), c.result != nullptr) << status.message();
    if (c.result != nullptr && status.ok()) {
      EXPECT_EQ(ToText(target), c.result);
    }
  }
}

}  // namespace
}  // namespace podroute
