#include "k8sclient/node_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

MonotonicTime At(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

Node Named(const std::string& name, const std::string& version = "1",
           const std::string& cidr = "") {
  Node node;
  node.name = name;
  node.resource_version = version;
  if (!cidr.empty()) node.pod_cidrs = {cidr};
  return node;
}

class NodeStoreTest : public ::testing::Test {
 protected:
  NodeStoreTest() {
    store_.SetOnChange([this] { ++changes_; });
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& node : store_.TakeSnapshot().nodes) names.push_back(node->name);
    return names;
  }
  NodeStore store_;
  int changes_ = 0;
};

TEST_F(NodeStoreTest, IsNotSyncedBeforeTheFirstCompleteList) {
  store_.Upsert(Named("a"), At(1));
  EXPECT_FALSE(store_.TakeSnapshot().synced);
  store_.Replace({}, false, At(2));
  EXPECT_TRUE(store_.TakeSnapshot().synced);
}

TEST_F(NodeStoreTest, ReplaceDeletesWhatItLacks) {
  store_.Replace({Named("b"), Named("a")}, false, At(1));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  store_.Replace({Named("c"), Named("b")}, false, At(2));
  EXPECT_THAT(Names(), ElementsAre("b", "c"));
  store_.Replace({}, false, At(3));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(NodeStoreTest, CountsListsAndConsistentOnes) {
  store_.Replace({}, false, At(1));
  store_.Replace({}, true, At(1));
  store_.Replace({}, false, At(1));
  EXPECT_EQ(store_.TakeSnapshot().lists, 3u);
  EXPECT_EQ(store_.TakeSnapshot().consistent_lists, 1u);
}

TEST_F(NodeStoreTest, TellsOfEveryListAndOfWhatMattersOtherwise) {
  store_.Replace({Named("a", "1")}, false, At(1));
  store_.Replace({Named("a", "1")}, true, At(1));
  EXPECT_EQ(changes_, 2);
  store_.Upsert(Named("a", "2"), At(1));  // A heartbeat.
  store_.Erase("never there", At(1));
  EXPECT_EQ(changes_, 2);
  store_.Upsert(Named("a", "3", "10.0.0.0/24"), At(1));
  store_.Upsert(Named("b"), At(1));
  store_.Erase("a", At(1));
  EXPECT_EQ(changes_, 5);
}

TEST_F(NodeStoreTest, HeartbeatsStillRenewTheVersion) {
  store_.Upsert(Named("a", "1"), At(1));
  store_.Upsert(Named("a", "2"), At(1));
  EXPECT_EQ(store_.TakeSnapshot().nodes.at(0)->resource_version, "2");
}

TEST_F(NodeStoreTest, SnapshotSaysWhenTheOldestUnseenChangeArrived) {
  EXPECT_FALSE(store_.TakeSnapshot().changed_at);
  store_.Upsert(Named("a"), At(5));
  store_.Upsert(Named("b"), At(4));
  store_.Upsert(Named("c"), At(6));
  EXPECT_EQ(store_.TakeSnapshot().changed_at, At(4));
  EXPECT_FALSE(store_.TakeSnapshot().changed_at);
  store_.Upsert(Named("c", "2"), At(7));  // Nothing anyone waits for.
  EXPECT_FALSE(store_.TakeSnapshot().changed_at);
  store_.Erase("c", At(8));
  EXPECT_EQ(store_.TakeSnapshot().changed_at, At(8));
}

// Written by podroute itself, mostly: what somebody breaks at that moment is drift all the same.
TEST_F(NodeStoreTest, WhatIsSaidOfANodesNetworkWakesButIsNoChangeOfTheNode) {
  store_.Upsert(Named("a", "1"), At(1));
  store_.TakeSnapshot();
  Node said = Named("a", "2");
  said.network_unavailable = {"False", "RouteCreated"};
  store_.Upsert(said, At(2));
  EXPECT_EQ(changes_, 2);
  NodeSnapshot snapshot = store_.TakeSnapshot();
  EXPECT_FALSE(snapshot.changed_at);
  EXPECT_EQ(snapshot.nodes.at(0)->network_unavailable, said.network_unavailable);
  said.startup_taint = 0;
  store_.Upsert(said, At(3));
  EXPECT_EQ(changes_, 3);
  EXPECT_FALSE(store_.TakeSnapshot().changed_at);
  said.pod_cidrs = {"10.0.0.0/24"};
  said.startup_taint.reset();
  store_.Upsert(said, At(4));
  EXPECT_EQ(store_.TakeSnapshot().changed_at, At(4));
}

TEST_F(NodeStoreTest, SnapshotsDoNotChange) {
  store_.Upsert(Named("a", "1", "10.0.0.0/24"), At(1));
  NodeSnapshot before = store_.TakeSnapshot();
  store_.Upsert(Named("a", "2", "10.0.1.0/24"), At(1));
  store_.Erase("a", At(1));
  EXPECT_THAT(before.nodes.at(0)->pod_cidrs, ElementsAre("10.0.0.0/24"));
}

TEST_F(NodeStoreTest, OneThreadMayWriteWhileAnotherReads) {
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) {
      store_.Upsert(Named("a", std::to_string(i), std::to_string(i)), At(i));
      if (i % 100 == 0) store_.Replace({Named("b")}, false, At(i));
    }
  });
  size_t seen = 0;
  for (int i = 0; i < 1000; ++i) {
    for (const auto& node : store_.TakeSnapshot().nodes) seen += node->name.size();
  }
  writer.join();
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_LE(seen, 2000u);
}

}  // namespace
}  // namespace podroute
