#include "controller/options.h"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

namespace podroute {
namespace {

class OptionsTest : public testing::Test {
 protected:
  Result<CommandLine> Parse(const std::vector<std::string>& arguments) {
    return ParseCommandLine(arguments, Lookup());
  }
  EnvironmentLookup Lookup() {
    return [this](const std::string& name) {
      auto it = environment_.find(name);
      return it == environment_.end() ? "" : it->second;
    };
  }
  // The one line that the arguments are answered with; "" when they are fine.
  std::string Complaint(const std::vector<std::string>& arguments) {
    Result<CommandLine> line = Parse(arguments);
    if (!line.ok()) return line.status().message();
    Result<Options> options = ReadOptions(Lookup());
    return options.ok() ? "" : options.status().message();
  }
  std::string WriteFile(const std::string& content) {
    std::string path = testing::TempDir() + "/flags";
    std::ofstream(path) << content;
    return path;
  }

  std::map<std::string, std::string> environment_;
  gflags::FlagSaver saver_;
};

TEST_F(OptionsTest, NoArgumentsAreHelp) { EXPECT_EQ(Parse({})->verb, "help"); }

TEST_F(OptionsTest, FlagsStandBeforeOrAfterTheVerbWithHyphensOrUnderscores) {
  ASSERT_TRUE(Parse({"--node-name=a", "plan", "-output", "json", "--detailed_exitcode"}).ok());
  Options options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.node_name, "a");
  EXPECT_EQ(options.output, PlanFormat::kJson);
  EXPECT_TRUE(options.detailed_exitcode);
}

TEST_F(OptionsTest, BooleansHaveANegation) {
  ASSERT_TRUE(Parse({"plan", "--detailed_exitcode", "--nodetailed-exitcode"}).ok());
  EXPECT_FALSE(ReadOptions(Lookup())->detailed_exitcode);
}

TEST_F(OptionsTest, AnOwnerHasAMetricAndALeaseOfItsOwnUnlessTheyAreGiven) {
  ASSERT_TRUE(Parse({"run", "--mode=router"}).ok());
  Options options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.route_metric, 110u);
  EXPECT_EQ(options.router.lease_name, "podroute");
  ASSERT_TRUE(Parse({"run", "--mode=router", "--owner=My_Cluster-"}).ok());
  options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.route_metric >> 24, 0x6eu);
  EXPECT_EQ(options.router.owner, "My_Cluster-");
  EXPECT_EQ(options.router.lease_name, "podroute-my-cluster0");
  ASSERT_TRUE(
      Parse({"run", "--mode=router", "--owner=a", "--lease_name=b", "--route_metric=110"}).ok());
  options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.route_metric, 110u);
  EXPECT_EQ(options.router.lease_name, "b");
}

TEST_F(OptionsTest, EveryProcessHasAnIdentityOfItsOwn) {
  ASSERT_TRUE(Parse({"run", "--mode=router"}).ok());
  std::string first = ReadOptions(Lookup())->router.identity;
  EXPECT_NE(first, ReadOptions(Lookup())->router.identity);
  EXPECT_NE(first.find('_'), std::string::npos);
}

TEST_F(OptionsTest, ArgumentsWinOverTheEnvironment) {
  environment_ = {{"PODROUTE_ROUTE_METRIC", "7"}, {"PODROUTE_ROUTE_TABLE", "100"}};
  ASSERT_TRUE(Parse({"run", "--route_metric=8"}).ok());
  Options options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.route_metric, 8u);
  EXPECT_EQ(options.route_table, 100u);
}

TEST_F(OptionsTest, TheEnvironmentNeedNotFitTheVerb) {
  environment_ = {{"PODROUTE_CLEANUP_ON_EXIT", "true"}};
  EXPECT_EQ(Complaint({"plan"}), "");
}

TEST_F(OptionsTest, NodeNameComesFromFlagThenNodeNameThenHostname) {
  EXPECT_FALSE(ReadOptions(Lookup())->node_name.empty());
  EXPECT_FALSE(ReadOptions(Lookup())->node_name_given);
  environment_ = {{"NODE_NAME", "downward"}};
  EXPECT_EQ(ReadOptions(Lookup())->node_name, "downward");
  EXPECT_TRUE(ReadOptions(Lookup())->node_name_given);
  ASSERT_TRUE(Parse({"run", "--node_name=flag"}).ok());
  EXPECT_EQ(ReadOptions(Lookup())->node_name, "flag");
  EXPECT_TRUE(ReadOptions(Lookup())->node_name_given);
}

TEST_F(OptionsTest, AFlagfileHoldsFlagsAndComments) {
  std::string path = WriteFile("# ours\n\n  --route-metric=9  \n--cluster_cidr=10.244.0.0/16\n");
  ASSERT_TRUE(Parse({"run", "--flagfile=" + path}).ok());
  Options options = ReadOptions(Lookup()).value();
  EXPECT_EQ(options.route_metric, 9u);
  EXPECT_EQ(options.cluster_cidrs.size(), 1u);
}

TEST_F(OptionsTest, TheEnvironmentMayNameAFlagfileThatOtherVariablesWinOver) {
  environment_ = {{"PODROUTE_FLAGFILE", WriteFile("--route-metric=9\n--route-table=9\n")},
                  {"PODROUTE_ROUTE_TABLE", "10"}};
  ASSERT_TRUE(Parse({"plan"}).ok());
  EXPECT_EQ(ReadOptions(Lookup())->route_metric, 9u);
  EXPECT_EQ(ReadOptions(Lookup())->route_table, 10u);
}

TEST_F(OptionsTest, HelpAndVersionAreFlagsToo) {
  EXPECT_EQ(Parse({"--help"})->verb, "help");
  EXPECT_EQ(Parse({"--version"})->verb, "version");
  Result<CommandLine> line = Parse({"plan", "--help"});
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->verb, "help");
  EXPECT_EQ(line->arguments, std::vector<std::string>{"plan"});
}

// One line, which names the flag, what is wrong and what would be right.
TEST_F(OptionsTest, Rule8BadInputGetsOneClearLine) {
  std::string circle = testing::TempDir() + "/circle";
  std::ofstream(circle) << "--flagfile=" << circle << "\n";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"rnu"}, "unknown verb \"rnu\"; did you mean run? ('podroute help' lists them)"},
      {{"frobnicate"}, "unknown verb \"frobnicate\" ('podroute help' lists them)"},
      {{"help", "frobnicate"}, "unknown verb \"frobnicate\" ('podroute help' lists them)"},
      {{"run", "--nod_name=x"},
       "unknown flag --nod_name; did you mean --node_name? ('podroute help' lists them)"},
      {{"run", "--tab_completion_word=x"},
       "unknown flag --tab_completion_word ('podroute help' lists them)"},
      {{"run", "extra"}, "unexpected \"extra\" after run: flags are --name=value"},
      {{"run", "--node_name"}, "--node_name needs a value"},
      {{"run", "--from_file=x"}, "--from_file is for plan, not for run"},
      {{"plan", "--mode=bridge"}, "--mode=bridge: not one of host, local, router"},
      {{"plan", "--output=xml"}, "--output=xml: not one of ip, table, json, bird, frr"},
      {{"run", "--backend=bird"},
       "--backend is kernel with --mode=host; others are for --mode=router"},
      {{"run", "--mode=router", "--format=ip"},
       "--format is for --backend=exec, which is not given"},
      {{"run", "--mode=router", "--backend=frr", "--bird_file=/etc/bird/podroute.conf"},
       "--bird_file is for --backend=bird, which is not given"},
      {{"run", "--push_command=cat"}, "--push_command is for --backend=exec, which is not given"},
      {{"run", "--mode=router", "--backend=bird", "--set_sysctls"},
       "--set_sysctls is for --backend=kernel, which is not given"},
      {{"run", "--mode=router", "--owner=a b"},
       "--owner=a b: only letters, digits, - and _ make a name"},
      {{"run", "--mode=router", "--backend=bird", "--bird_socket=bird.ctl"},
       "--bird_socket=bird.ctl: not an absolute path"},
      {{"run", "--mode=router", "--backend=frr", "--frr_vty_socket=frr"},
       "--frr_vty_socket=frr: not an absolute path"},
      {{"run", "--mode=router", "--backend=frr", "--vtysh="}, "--vtysh=: not a program"},
      {{"run", "--node_name=Worker_1"},
       "--node_name=Worker_1: not a name that the API takes (lower case letters, digits, - and .)"},
      {{"run", "--lease_name=A"},
       "--lease_name=A: not a name that the API takes (lower case letters, digits, - and .)"},
      {{"run", "--lease_namespace=-x"},
       "--lease_namespace=-x: not a name that the API takes (lower case letters, digits, - and .)"},
      {{"run", "--identity=a b"},
       "--identity=a b: not printable ASCII without spaces, at most 253 characters"},
      {{"run", "--lease_duration=10s"}, "--lease_duration=10s: not above --renew_deadline=10s"},
      {{"run", "--lease_duration=x"},
       "--lease_duration: \"x\" is not a duration such as 60s, 1m30s or 500ms"},
      {{"run", "--retry_period=9s"}, "--renew_deadline=10s: not above --retry_period=9s times 1.2"},
      {{"run", "--mode=router", "--backend=exec", "--push_timeout=0s"},
       "--push_timeout=0s: too short for any command"},
      {{"run", "--backend=ovs"}, "--backend=ovs: not one of kernel, bird, frr, exec"},
      {{"plan", "--detailed_exitcode=maybe"}, "--detailed_exitcode=maybe: not true or false"},
      {{"run", "--max_delete_fraction=much"}, "--max_delete_fraction=much: not a number"},
      {{"run", "--max_delete_fraction=1.5"}, "--max_delete_fraction: not a number from 0 to 1"},
      {{"run", "--max_delete_fraction=nan"}, "--max_delete_fraction: not a number from 0 to 1"},
      {{"run", "--route_table=0"}, "--route_table=0: not a whole number from 1 to 4294967295"},
      {{"run", "--route_table=255"},
       "--route_table=255: that is the kernel's table of local addresses; 254 is main"},
      {{"run", "--route_protocol=2"}, "--route_protocol=2: not a whole number from 5 to 255"},
      {{"run", "--route_protocol=256"}, "--route_protocol=256: not a whole number from 5 to 255"},
      {{"run", "--route_metric=-1"}, "--route_metric=-1: not a whole number from 1 to 4294967295"},
      {{"run", "--route_metric=1x"}, "--route_metric=1x: not a whole number from 1 to 4294967295"},
      {{"run", "--resync_period=soon"},
       "--resync_period: \"soon\" is not a duration such as 60s, 1m30s or 500ms"},
      {{"run", "--resync_period=60"},
       "--resync_period: \"60\" is not a duration such as 60s, 1m30s or 500ms"},
      {{"run", "--resync_period=10ms"}, "--resync_period=10ms: at least 1s"},
      {{"run", "--cluster_cidr=10.244.0.1/16"},
       "--cluster_cidr: \"10.244.0.1/16\" has host bits set; 10.244.0.0/16 would be right"},
      {{"run", "--non_masquerade_cidrs=10.0.0.1/8"},
       "--non_masquerade_cidrs: \"10.0.0.1/8\" has host bits set; 10.0.0.0/8 would be right"},
      {{"run", "--mode=router", "--non_masquerade_cidrs=10.0.0.0/8"},
       "--non_masquerade_cidrs is for --mode=host and --mode=local; a router does not masquerade"},
      {{"run", "--cluster_cidr=a,b"}, "--cluster_cidr: \"a\" is not a prefix: it has no /length"},
      {{"run", "--cni_bin_dir=opt/cni"}, "--cni_bin_dir=opt/cni: not an absolute path"},
      {{"cleanup", "--cni_conf_dir=."}, "--cni_conf_dir=.: not an absolute path"},
      {{"run", "--cni_network_name=a/b"},
       "--cni_network_name: \"a/b\" must begin with a letter or digit and hold letters, digits, _ "
       ". "
       "- only"},
      {{"run", "--cni_data_dir=var/lib"},
       "--cni_data_dir: \"var/lib\" is not an absolute path of letters, digits, _ . - and /"},
      {{"plan", "--cni_data_dir=/run"}, "--cni_data_dir is for run, check, cleanup, not for plan"},
      {{"run", "--sysctl_dir=proc/sys"}, "--sysctl_dir=proc/sys: not an absolute path"},
      {{"cleanup", "--cni_mtu=1500"}, "--cni_mtu is for run, check, not for cleanup"},
      {{"run", "--cni_mtu=575"}, "--cni_mtu=575: not a whole number from 576 to 65535"},
      {{"run", "--flagfile=/nonexistent"}, "open /nonexistent: No such file or directory"},
      {{"run", "--flagfile=" + circle},
       "--flagfile=" + circle + ": files name each other in a circle"},
  };
  for (const auto& [arguments, expected] : cases) {
    gflags::FlagSaver saver;
    EXPECT_EQ(Complaint(arguments), expected);
  }
}

TEST_F(OptionsTest, AWrongLineOfAFlagfileIsNamedByItsNumber) {
  std::string path = WriteFile("# fine\nroute_metric=9\n");
  EXPECT_EQ(Complaint({"run", "--flagfile=" + path}),
            path + ":2: \"route_metric=9\" is not a flag (--name=value)");
}

TEST_F(OptionsTest, VariablesThatAreNoFlagsAreComplainedOf) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(ComplainOfVariables({"PATH", "NODE_NAME", "PODROUTE_CLUSTER_CIDR", "PODROUTE_FLAGFILE",
                                 "PODROUTE_BIRD_FILE"}),
            Lines());
  EXPECT_EQ(ComplainOfVariables({"PODROUTE_CLUSTER_CIDRS"}),
            Lines({"environment PODROUTE_CLUSTER_CIDRS: no flag has this name, it is ignored; did "
                   "you mean PODROUTE_CLUSTER_CIDR?"}));
  EXPECT_EQ(ComplainOfVariables({"PODROUTE_cluster_cidr", "PODROUTE_SERVICE_HOST"}).size(), 2u);
  // gflags' own, which print and exit.
  EXPECT_EQ(ComplainOfVariables({"PODROUTE_HELPSHORT"}).size(), 1u);
}

TEST_F(OptionsTest, AWrongEnvironmentVariableIsNamed) {
  environment_ = {{"PODROUTE_CLEANUP_ON_EXIT", "perhaps"}};
  EXPECT_EQ(Complaint({"run"}),
            "environment PODROUTE_CLEANUP_ON_EXIT: --cleanup_on_exit=perhaps: not true or false");
}

TEST_F(OptionsTest, EveryFlagIsDescribedAndBelongsToAVerb) {
  for (const FlagInfo& flag : ListFlags()) {
    EXPECT_FALSE(flag.description.empty()) << flag.name;
    EXPECT_FALSE(flag.verbs.empty()) << flag.name;
  }
}

TEST(ParseDurationTest, AddsItsParts) {
  EXPECT_EQ(ParseDuration("1h1m1s1ms1us").value(), Duration(3661001001000));
  EXPECT_EQ(ParseDuration("0s").value(), Duration(0));
  for (const char* bad :
       {"", "s", "-1s", "1", "1.5s", "1d", "99999999999s", "4294967295h", "8760h8760h", "1s "}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace podroute
