// Real children: what they get, what of their output is kept, how they are stopped, that none is left.
#include "platform/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <thread>

#include "platform/file.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::platform {
namespace {

using namespace std::chrono_literals;
using testing::TempDirectory;
using End = ProcessOutcome::End;

ProcessRequest shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin"}};
}
ProcessOutcome run(const ProcessRequest& request, const CancelToken* cancel = nullptr) {
  auto outcome = run_process(request, cancel);
  EXPECT_OK(outcome);
  return outcome ? *outcome : ProcessOutcome{};
}
void expect_no_child() {
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Process, TellsStatusAndOutput) {
  const auto good = run(shell("echo out; echo err >&2"));
  EXPECT_TRUE(good.good());
  EXPECT_EQ(good.output, "out\nerr\n");
  EXPECT_FALSE(good.output_cut);
  const auto bad = run(shell("exit 7"));
  EXPECT_FALSE(bad.good());
  EXPECT_EQ(bad.describe(), "ended with status 7");
  const auto signalled = run(shell("kill -SEGV $$"));
  EXPECT_EQ(signalled.end, End::kSignalled);
  EXPECT_EQ(signalled.status, SIGSEGV);
  expect_no_child();
}

TEST(Process, ArgumentsAreNotWordsOfAShell) {
  const auto outcome = run({.argv = {"printf", "%s|", "a b", "$HOME", "*", ""}, .environment = {"PATH=/usr/bin:/bin"}});
  EXPECT_EQ(outcome.output, "a b|$HOME|*||");
}

TEST(Process, GetsNothingThatWasNotGiven) {
  setenv("COPPICE_PASSPHRASE_FILE", "/secret", 1);
  signal(SIGPIPE, SIG_IGN);
  const Fd inheritable(dup(STDERR_FILENO));  // not close-on-exec
  const auto outcome = run({.argv = {"/bin/sh", "-c", "env; echo; pwd; ls /proc/$$/fd; readlink /proc/$$/fd/0; trap - PIPE; kill -PIPE $$; echo ignored"},
                            .environment = {"A=1", "PATH=/usr/bin:/bin"}});
  signal(SIGPIPE, SIG_DFL);
  unsetenv("COPPICE_PASSPHRASE_FILE");
  EXPECT_EQ(outcome.output.find("COPPICE"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("A=1\n"), std::string::npos);
  EXPECT_NE(outcome.output.find("\n\n/\n0\n1\n2\n/dev/null\n"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.end, End::kSignalled) << outcome.output;
  EXPECT_EQ(outcome.status, SIGPIPE);
}

TEST(Process, KeepsTheLastOfMuchOutput) {
  auto request = shell("seq 1 200000; echo the end");
  request.output_bytes_max = 1000;
  const auto outcome = run(request);
  EXPECT_EQ(outcome.output.size(), 1000u);
  EXPECT_TRUE(outcome.output.ends_with("200000\nthe end\n"));
  EXPECT_TRUE(outcome.output_cut);
}

TEST(Process, WhatCannotBeStartedIsAnError) {
  const TempDirectory temp;
  std::ofstream(temp / "plain") << "x";
  EXPECT_FAILS(run_process({.argv = {temp / "none"}, .environment = {}}, nullptr), kNotFound);
  EXPECT_FAILS(run_process({.argv = {temp / "plain"}, .environment = {}}, nullptr), kDenied);
  EXPECT_FAILS(run_process({.argv = {"no-such-program-anywhere"}, .environment = {}}, nullptr), kNotFound);
  EXPECT_FAILS(run_process({.argv = {}, .environment = {}}, nullptr), kInvalid);
  expect_no_child();
}

TEST(Process, IsAskedToEndWhenItsTimeIsOver) {
  auto request = shell("trap 'echo asked; exit 3' TERM; echo started; while :; do sleep 0.02; done");
  request.timeout = 200ms;
  const auto outcome = run(request);
  EXPECT_EQ(outcome.end, End::kTimedOut);
  EXPECT_EQ(outcome.status, 3);
  EXPECT_TRUE(outcome.output.starts_with("started\n") && outcome.output.ends_with("asked\n")) << outcome.output;
  EXPECT_EQ(outcome.describe(), "did not end within 0.2 s and was stopped");
  expect_no_child();
}

TEST(Process, IsKilledWithAllItStartedWhenItDoesNotEnd) {
  const TempDirectory temp;
  auto request = shell("trap '' TERM; (trap '' TERM; echo $(exec sh -c 'echo $PPID') > " + temp / "pid" + "; exec sleep 60) & sleep 60");
  request.timeout = 200ms;
  request.grace = 200ms;
  const auto began = std::chrono::steady_clock::now();
  const auto outcome = run(request);
  EXPECT_EQ(outcome.end, End::kTimedOut);
  EXPECT_EQ(outcome.status, SIGKILL);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  pid_t background = 0;
  std::ifstream(temp / "pid") >> background;
  ASSERT_GT(background, 0);
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i, std::this_thread::sleep_for(20ms)) {
    std::ifstream stat("/proc/" + std::to_string(background) + "/stat");
    std::string number, name, state;
    gone = !(stat >> number >> name >> state) || state == "Z";  // a zombie is init's to reap
  }
  EXPECT_TRUE(gone) << "the background process outlived its parent's time";
  expect_no_child();
}

TEST(Process, IsStoppedByACancel) {
  CancelToken cancel;
  std::thread canceller([&] {
    std::this_thread::sleep_for(100ms);
    cancel.cancel();
  });
  const auto outcome = run(shell("sleep 60"), &cancel);
  canceller.join();
  EXPECT_EQ(outcome.end, End::kCancelled);
  EXPECT_LT(outcome.took, 5s);
  expect_no_child();
}

TEST(Process, ADaemonThatItLeavesBehindIsNotWaitedFor) {
  const auto began = std::chrono::steady_clock::now();
  const auto outcome = run(shell("sleep 2 & echo started"));
  EXPECT_TRUE(outcome.good());
  EXPECT_EQ(outcome.output, "started\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 1500ms);
}

}  // namespace
}  // namespace coppice::platform
