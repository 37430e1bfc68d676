#include "tests/apiserver/store.h"

#include <gtest/gtest.h>

#include "tests/apiserver/watcher.h"

namespace podroute {
namespace {

const ResourceType& Nodes() { return *FindResource("", "v1", "nodes"); }

JsonDocument Node(const std::string& name, const std::string& label = "x") {
  return std::move(ParseJson(R"({"kind":"Node","apiVersion":"v1","metadata":{"name":")" + name +
                             R"(","labels":{"l":")" + label + "\"}}}"))
      .value();
}

std::string Keys(const std::vector<ObjectPtr>& objects) {
  std::string keys;
  for (const ObjectPtr& object : objects) keys += object->key + " ";
  return keys;
}

// The types and names of all events that are there now.
std::string Drain(Watcher& watcher) {
  std::string seen;
  while (Frame frame = watcher.Next()) {
    size_t begin = frame->find('{');
    Result<JsonDocument> event = ParseJson(frame->substr(begin, frame->size() - 2 - begin));
    EXPECT_TRUE(event.ok()) << *frame;
    seen += std::string(StringAt(*event, {"type"})) + ":" +
            std::string(StringAt(*event, {"object", "metadata", "name"})) + " ";
  }
  return seen;
}

Watcher Watch(const Store& store, uint64_t from, const std::string& labels = "",
              bool initial = false) {
  WatchSpec spec;
  std::optional<ApiError> error;
  spec.type = &Nodes();
  spec.from = from;
  spec.initial = initial;
  spec.bookmarks = true;
  spec.selector = Selector::Parse(Nodes(), "", labels, &error);
  EXPECT_FALSE(error);
  return {&store, std::move(spec), [] { return int64_t{0}; }};
}

TEST(StoreTest, CountsVersionsUp) {
  Store store(10, 100);
  EXPECT_EQ(store.Put(Nodes(), "a", Node("a"))->version, 101u);
  EXPECT_EQ(store.Put(Nodes(), "b", Node("b"))->version, 102u);
  EXPECT_EQ(store.Delete(Nodes(), "a")->version, 103u);
  EXPECT_EQ(store.Delete(Nodes(), "a"), nullptr);
  EXPECT_EQ(store.version(), 103u);
  EXPECT_EQ(Keys(store.List(Nodes())), "b ");
}

TEST(StoreTest, ListsWhatWas) {
  Store store(10, 100);
  store.Put(Nodes(), "a", Node("a"));
  store.Put(Nodes(), "b", Node("b"));
  store.Put(Nodes(), "b", Node("b", "changed"));
  store.Delete(Nodes(), "a");
  EXPECT_EQ(Keys(*store.ListAt(Nodes(), "", 101)), "a ");
  EXPECT_EQ(Keys(*store.ListAt(Nodes(), "", 102)), "a b ");
  EXPECT_EQ(store.ListAt(Nodes(), "", 102)->back()->json.find("changed"), std::string::npos);
  EXPECT_EQ(Keys(*store.ListAt(Nodes(), "", 104)), "b ");
  EXPECT_FALSE(store.ListAt(Nodes(), "", 99));
}

TEST(StoreTest, ForgetsTheOldestHistory) {
  Store store(2, 100);
  for (const char* name : {"a", "b", "c"}) store.Put(Nodes(), name, Node(name));
  EXPECT_EQ(store.compacted(), 101u);
  EXPECT_TRUE(store.ListAt(Nodes(), "", 101));
  EXPECT_FALSE(store.ListAt(Nodes(), "", 100));
  store.LoseVersions();
  EXPECT_LT(store.version(), 100u);
  EXPECT_EQ(Keys(store.List(Nodes())), "a b c ");
}

TEST(WatcherTest, SeesChangesAfterItsVersionOnly) {
  Store store(10, 100);
  store.Put(Nodes(), "a", Node("a"));
  Watcher watcher = Watch(store, 101);
  Watcher future = Watch(store, 103);
  EXPECT_EQ(Drain(watcher), "");
  EXPECT_EQ(watcher.Bookmark(), nullptr);  // Nothing new to say.
  store.Put(Nodes(), "a", Node("a", "y"));
  store.Put(Nodes(), "b", Node("b"));
  store.Delete(Nodes(), "a");
  EXPECT_EQ(Drain(watcher), "MODIFIED:a ADDED:b DELETED:a ");
  EXPECT_EQ(Drain(future), "DELETED:a ");
  EXPECT_NE(watcher.Bookmark()->find(R"("resourceVersion":"104")"), std::string::npos);
}

TEST(WatcherTest, SharesOneFrameAmongAllWatchers) {
  Store store(10, 100);
  Watcher one = Watch(store, 100), two = Watch(store, 100);
  store.Put(Nodes(), "a", Node("a"));
  EXPECT_EQ(one.Next().get(), two.Next().get());
}

TEST(WatcherTest, TellsOfObjectsThatComeToMatchAndCease) {
  Store store(10, 100);
  store.Put(Nodes(), "a", Node("a", "x"));
  Watcher watcher = Watch(store, 101, "l=y");
  store.Put(Nodes(), "a", Node("a", "y"));
  store.Put(Nodes(), "a", Node("a", "x"));
  store.Put(Nodes(), "a", Node("a", "z"));
  EXPECT_EQ(Drain(watcher), "ADDED:a DELETED:a ");
}

TEST(WatcherTest, BeginsWithWhatThereIs) {
  Store store(10, 100);
  store.Put(Nodes(), "b", Node("b"));
  store.Put(Nodes(), "a", Node("a"));
  Watcher watcher = Watch(store, 0, "", true);
  store.Delete(Nodes(), "b");
  EXPECT_EQ(Drain(watcher), "ADDED:a ADDED:b DELETED:b ");
}

TEST(WatcherTest, EndsWhenItsVersionIsForgotten) {
  Store store(1, 100);
  Watcher watcher = Watch(store, 100);
  for (const char* name : {"a", "b"}) store.Put(Nodes(), name, Node(name));
  EXPECT_EQ(Drain(watcher), "ERROR: ");
  EXPECT_TRUE(watcher.done());
}

}  // namespace
}  // namespace podroute
