// A source that somebody else changes on purpose while it is backed up: directories and files swapped for symlinks that lead out of it,
// for FIFOs and for each other, moved about, cut short and made longer. The run ends well, nothing from outside of the source gets in,
// what nobody touched is exact, and whatever is stored of the rest was there at some time.
#include <gmock/gmock.h>

#include <atomic>

#include "host.h"

namespace coppice {
namespace {

using namespace testing;

class Attacker {
 public:
  Attacker(std::string source, std::string outside) : source_(std::move(source)), outside_(std::move(outside)), thread_([this] { attack(); }) {}
  ~Attacker() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t rounds() const { return rounds_; }

 private:
  void swap_for(const std::string& path, const std::function<bool(const std::string&)>& make) {
    const std::string aside = path + ".aside";
    if (::rename(path.c_str(), aside.c_str()) != 0) return;
    make(path);
    ::unlink(path.c_str());
    ::rename(aside.c_str(), path.c_str());
  }
  void attack() {
    for (std::uint64_t n = 0; !stop_; ++n, ++rounds_) {
      const std::string d = source_ + "/d" + std::to_string(n % 10), file = d + "/f" + std::to_string(n % 7), large = source_ + "/large";
      const auto link_to = [&](const std::string& target) {
        return [target](const std::string& path) { return ::symlink(target.c_str(), path.c_str()) == 0; };
      };
      swap_for(d, link_to(outside_));
      swap_for(d + "/e", link_to(outside_ + "/e"));
      swap_for(file, link_to(outside_ + "/f0"));
      swap_for(file, [](const std::string& path) { return ::mkfifo(path.c_str(), 0600) == 0; });
      swap_for(file, [](const std::string& path) { return ::mkdir(path.c_str(), 0700) == 0 && ::rmdir(path.c_str()) == 0; });
      const std::string other = source_ + "/d" + std::to_string((n + 3) % 10) + "/moved";
      if (::rename((d + "/e").c_str(), other.c_str()) == 0) ::rename(other.c_str(), (d + "/e").c_str());
      if (::truncate(large.c_str(), static_cast<off_t>(n % 5 * 70'000)) != 0) continue;
      std::ofstream(large, std::ios::binary | std::ios::app) << std::string(n % 3 * 90'000, 'L');
    }
  }

  const std::string source_, outside_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::thread thread_;
};

TEST(HostileSource, NothingFromOutsideGetsInAndTheRunEndsWell) {
  Host host;
  const std::string outside = host.directory / "outside", secret = "SECRET of somebody else";
  for (int f = 0; f < 7; ++f) write(outside + "/f" + std::to_string(f), secret), write(outside + "/e/f" + std::to_string(f), secret);
  for (int d = 0; d < 10; ++d)
    for (int f = 0; f < 7; ++f) {
      write(host.source + "/d" + std::to_string(d) + "/f" + std::to_string(f), "inside");
      write(host.source + "/d" + std::to_string(d) + "/e/f" + std::to_string(f), "inside");
      write(host.source + "/quiet/q" + std::to_string(d) + "/f" + std::to_string(f), "quiet");
    }
  write(host.source + "/large", noise(1, 300'000));
  // With a state, the unchanged too are taken on the way.
  ASSERT_OK(host.back_up());
  {
    const Attacker attacker(host.source, outside);
    for (int round = 0; round < 12 || attacker.rounds() <= 100; ++round) {   // a busy disk holds the attacker up, not the runs
      const auto report = host.back_up();
      ASSERT_OK(report);
      EXPECT_TRUE(report->committed);
      int quiet = 0;
      for (const auto& [path, thing] : host.look(*report)) {
        EXPECT_EQ(thing.content.find("SECRET"), std::string::npos) << path;
        if (path.starts_with("quiet/") && thing.entry.type == format::EntryType::kFile) {
          ++quiet;
          EXPECT_EQ(thing.content, "quiet") << path;
        } else if (thing.entry.type == format::EntryType::kFile && path != "large") {
          EXPECT_TRUE(thing.content == "inside" || (thing.entry.marks & format::kMarkUnreadable)) << path << ": " << thing.content;
        }
      }
      EXPECT_EQ(quiet, 70);
    }
  }
  // Left in peace, everything is taken as it is; the states that the attacked runs left hide nothing.
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->warnings_total, 0u);
  const auto things = host.look(*report);
  for (int d = 0; d < 10; ++d)
    for (int f = 0; f < 7; ++f) EXPECT_EQ(things.at("d" + std::to_string(d) + "/f" + std::to_string(f)).content, "inside");
  std::ifstream large(host.source + "/large", std::ios::binary);
  EXPECT_TRUE(things.at("large").content == std::string(std::istreambuf_iterator<char>(large), {}));
}

}  // namespace
}  // namespace coppice
