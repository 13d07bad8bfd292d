#include "tasks/plan_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include "tasks/json.h"

namespace coppice::tasks {

namespace {
constexpr std::size_t kStateBytesMax = 1u << 20;
constexpr int kStateVersion = 1;
constexpr std::array<std::string_view, 6> kResultNames = {"running", "good",        "warnings",
                                                          "failed",  "interrupted", "did_not_end"};

std::string lock_path(const std::string& directory) { return directory + "/lock"; }
std::string state_path(const std::string& directory) { return directory + "/state.json"; }

// Locks of an open file description (fcntl(2)): unlike flock's, whether one is held can be asked without taking it, so a look
// at the state never keeps a run from starting.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool is_locked(const std::string& directory) {
  const auto file = platform::open_at(AT_FDCWD, lock_path(directory).c_str(), O_RDONLY);
  struct flock lock = whole_file();
  return file && fcntl(file->get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// The lock file names its holder, who has no record yet when it has just begun. A name that cannot be written is missed by messages only.
void write_holder(int lock) {
  const std::string text = fmt::format("{}\n", getpid());
  if (ftruncate(lock, 0) != 0 || pwrite(lock, text.data(), text.size(), 0) < 0) return;
}

// Of a holder that has not written its name yet, an older one may be read, of a process that is gone.
std::optional<pid_t> read_holder(int lock) {
  char text[32];
  const ssize_t size = pread(lock, text, sizeof text, 0);
  pid_t pid = 0;
  if (size <= 0 || std::from_chars(text, text + size, pid).ec != std::errc{} || pid <= 0) return std::nullopt;
  return kill(pid, 0) == 0 || errno == EPERM ? std::optional(pid) : std::nullopt;
}

Json json_of(const RunRecord& run) {
  Json json{{"started", render_utc(run.started)}, {"result", run_result_name(run.result)}, {"pid", run.pid}};
  if (run.ended) json["ended"] = render_utc(*run.ended);
  if (!run.snapshot.empty()) json["snapshot"] = run.snapshot;
  json.update({{"files", run.files},
               {"bytes", run.bytes},
               {"added_stored", run.added_stored},
               {"warnings", run.warnings},
               {"message", run.message}});
  if (run.partial) json["partial"] = true;
  if (run.keep_left) json["keep_left"] = true;
  if (!run.mounts.empty()) json["mounts"] = run.mounts;
  return json;
}

// Throws what the JSON library throws for a value of another type.
RunRecord run_of(const Json& json) {
  const auto time = [&](const char* key) {
    const auto span = parse_time(json.at(key).get<std::string>());
    if (!span) throw std::invalid_argument(key);
    return span->begin;
  };
  RunRecord run;
  run.started = time("started");
  if (json.contains("ended")) run.ended = time("ended");
  const auto name = std::find(kResultNames.begin(), kResultNames.end(), json.at("result").get<std::string>());
  if (name == kResultNames.end()) throw std::invalid_argument("result");
  run.result = static_cast<RunResult>(name - kResultNames.begin());
  run.pid = json.at("pid").get<pid_t>();
  run.snapshot = json.value("snapshot", "");
  run.files = json.at("files").get<std::uint64_t>();
  run.bytes = json.at("bytes").get<std::uint64_t>();
  run.added_stored = json.at("added_stored").get<std::uint64_t>();
  run.warnings = json.at("warnings").get<std::uint64_t>();
  run.message = json.at("message").get<std::string>();
  run.partial = json.value("partial", false);
  run.keep_left = json.value("keep_left", false);
  run.mounts = json.value("mounts", std::vector<std::string>{});
  return run;
}

// As it was written.
Result<PlanState> read_record(const std::string& directory) {
  const std::string path = state_path(directory);
  const auto bytes = platform::read_file(path, kStateBytesMax);
  if (!bytes) {
    if (bytes.error().kind() == ErrorKind::kNotFound) return PlanState{};
    return std::unexpected(bytes.error());
  }
  auto state = parse_plan_state(as_text(*bytes));
  if (!state) return std::unexpected(std::move(state).error().within(path));
  return state;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()), closedir);
  if (!open) return names;
  while (const dirent* entry = readdir(open.get()))
    if (std::string_view(entry->d_name).ends_with(".json")) names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}
}  // namespace

std::string_view run_result_name(RunResult result) { return kResultNames[static_cast<std::size_t>(result)]; }

std::string render_plan_state(const PlanState& state) {
  Json json{{"version", kStateVersion}};
  if (state.last) json["last"] = json_of(*state.last);
  if (state.last_good) json["last_good"] = json_of(*state.last_good);
  return render_json(json) + "\n";
}

Result<PlanState> parse_plan_state(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("version").get<int>() != kStateVersion) return fail(ErrorKind::kUnsupported, "written by another version of coppice");
    PlanState state;
    if (json.contains("last")) state.last = run_of(json.at("last"));
    if (json.contains("last_good")) state.last_good = run_of(json.at("last_good"));
    return state;
  } catch (const std::exception&) {
    return fail(ErrorKind::kCorrupt, "it is damaged: what it knew of the last runs is lost");
  }
}

std::string plan_directory(const std::string& state_directory, const std::string& plan) {
  return state_directory + "/plans/" + plan;
}

std::string describe_unended(const RunRecord& run, const policy::TimeZone& zone) {
  return fmt::format("the run that began {} did not end: it was killed, or the host went down", zone.render(run.started));
}

Result<PlanLock> PlanLock::take(const std::string& state_directory, const std::string& plan, const policy::TimeZone& zone) {
  const std::string directory = plan_directory(state_directory, plan);
  TRY(platform::make_directories(directory, 0700));
  auto file = TRY(platform::open_at(AT_FDCWD, lock_path(directory).c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  struct flock lock = whole_file();
  if (fcntl(file.get(), F_OFD_SETLK, &lock) == 0) {
    write_holder(file.get());
    return PlanLock(std::move(file));
  }
  if (errno != EAGAIN && errno != EACCES) return fail_errno(errno, lock_path(directory));
  const std::optional<pid_t> holder = read_holder(file.get());
  const auto state = read_record(directory);
  const bool recorded = state && state->last && state->last->result == RunResult::kRunning && (!holder || state->last->pid == holder);
  return fail(ErrorKind::kConflict, fmt::format("plan {} is running already: {}{}", plan, holder ? fmt::format("process {}, ", *holder) : "",
                                                recorded ? "since " + zone.render(state->last->started) : "it has just begun"));
}

Result<PlanState> read_plan_state(const std::string& state_directory, const std::string& plan) {
  const std::string directory = plan_directory(state_directory, plan);
  for (;;) {
    PlanState state = TRY(read_record(directory));
    if (!state.last || state.last->result != RunResult::kRunning || is_locked(directory)) return state;
    // It may have ended in between: then it has written that down before it let go of the lock.
    const PlanState again = TRY(read_record(directory));
    if (again.last != state.last) continue;
    state.last->result = RunResult::kDidNotEnd;
    return state;
  }
}

Result<> write_plan_state(const std::string& state_directory, const std::string& plan, const PlanState& state) {
  const std::string text = render_plan_state(state);
  return platform::write_file_durably(state_path(plan_directory(state_directory, plan)), as_bytes(text));
}

Result<std::string> keep_report(const std::string& state_directory, const std::string& plan, Timestamp started,
                                std::string_view json) {
  const std::string directory = plan_directory(state_directory, plan) + "/reports";
  TRY(platform::make_directories(directory, 0700));
  std::string name = render_utc(started);  // 2026-11-22T08:00:00Z
  name.insert(name.size() - 1, fmt::format(".{:03}", started.nanoseconds / 1'000'000));
  std::string path = directory + "/" + name + ".json";
  TRY(platform::write_file_durably(path, as_bytes(json)));
  // Those of a clock that was ahead go before those that are old.
  auto names = names_in(directory);
  std::ranges::rotate(names, std::ranges::upper_bound(names, name + ".json"));
  for (std::size_t i = 0; i + kReportsKept < names.size(); ++i) unlink((directory + "/" + names[i]).c_str());
  return path;
}

}  // namespace coppice::tasks
