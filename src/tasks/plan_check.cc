#include "tasks/plan_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "capture/selection.h"
#include "format/snapshot.h"
#include "foundation/encoding.h"
#include "keys/roster.h"
#include "plan_mounts.h"
#include "platform/file.h"
#include "tasks/backup_task.h"
#include "tasks/plan_state.h"
#include "tasks/quantities.h"

namespace coppice::tasks {

namespace {
Result<std::string> told(const Result<>& status) {
  if (!status) return std::unexpected(status.error());
  return std::string();
}

PlanCheck of(std::string what, const Result<std::string>& found) {
  PlanCheck check{.what = std::move(what), .bad = std::nullopt, .good = ""};
  if (found)
    check.good = *found;
  else
    check.bad = found.error().message();
  return check;
}

Result<std::string> look_at_source(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno(errno, "it cannot be looked at");
  if (S_ISDIR(status.st_mode) || path.ends_with('/')) {
    const auto directory = platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (!directory) return fail(directory.error().kind(), "it cannot be read: " + directory.error().message());
    return std::string("directory");
  }
  if (!S_ISREG(status.st_mode)) return std::string(S_ISLNK(status.st_mode) ? "symlink, taken as such" : "special file");
  const auto file = platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!file) return fail(file.error().kind(), "it cannot be read: " + file.error().message());
  return "file, " + render_size(static_cast<std::uint64_t>(status.st_size));
}

// Whether a file can be made in the directory, found out by doing it: what access(2) says holds for /proc too. Without a name where that
// is to be had.
Result<> try_to_make_file(const std::string& directory) {
  const auto told = [&] { return fail_errno(errno, "nothing can be made in " + directory); };
  const int nameless = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (nameless >= 0) return ::close(nameless), Result<>{};
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return told();
  std::string name = directory + "/.coppice-test-XXXXXX";
  const int named = ::mkstemp(name.data());
  if (named < 0) return told();
  ::close(named);
  ::unlink(name.c_str());
  return {};
}

// Whether `path` can be made, by its next directory above that there is.
Result<> look_at_makeable(const std::string& path) {
  struct stat status {};
  std::string above = path;
  do above.erase(std::max<std::size_t>(above.rfind('/'), 1));
  while (::lstat(above.c_str(), &status) != 0 && errno == ENOENT && above != "/");
  if (::stat(above.c_str(), &status) != 0) return fail_errno(errno, above);
  if (!S_ISDIR(status.st_mode)) return fail(ErrorKind::kInvalid, fmt::format("{} is no directory", render_printable(above)));
  return try_to_make_file(above);
}

Result<std::string> look_at_writable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kInvalid, "it is no file");
    if (::access(path.c_str(), W_OK) != 0) return fail_errno(errno, "it cannot be written");
    return std::string();
  }
  if (::lstat(path.c_str(), &status) == 0) return fail(ErrorKind::kNotFound, "it is a symlink to what is not there");
  TRY(look_at_makeable(path));
  return std::string("will be made");
}

Result<std::string> look_at_program(const std::string& name, const std::string& search_path) {
  const auto is_program = [](const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.front() == '/') {
    if (is_program(name)) return std::string();
    return fail(ErrorKind::kNotFound, "there is no such program");
  }
  for (std::size_t at = 0; at <= search_path.size();) {
    const std::size_t end = std::min(search_path.find(':', at), search_path.size());
    std::string path = fmt::format("{}/{}", search_path.substr(at, end - at), name);
    if (is_program(path)) return path;
    at = end + 1;
  }
  return fail(ErrorKind::kNotFound, "there is no such program in " + search_path);
}

// Exclude files and patterns as a run reads them; and no source may lie in the vault or the state.
Result<std::string> look_at_selection(const policy::Plan& plan, const Result<OpenedVault>& opened, const Places& places) {
  capture::SelectionOptions options;
  options.excludes = plan.excludes;
  options.exclude_files = plan.exclude_files;
  options.includes = plan.includes;
  options.never.push_back(places.state_directory);
  if (opened) options.never.push_back(opened->location);
  TRY(capture::Selection::create(options, plan.sources));
  const std::size_t patterns = plan.excludes.size() + plan.includes.size(), files = plan.exclude_files.size();
  if (patterns == 0 && files == 0) return std::string("everything in the sources");
  return fmt::format("by {} and {}", render_count(patterns, "pattern"), render_count(files, "exclude file"));
}

Result<std::string> look_at_keep(const Result<OpenedVault>& opened) {
  if (!opened) return std::string("not tested: the vault does not open");
  const auto& bundle = opened->vault->keys();
  if (!keys::role_may_sign(bundle.role, format::kForgetMagic)) {
    return fmt::format("not applied by this host, whose key is a {}'s and may not forget snapshots: apply them from a host that may (coppice "
                       "plan keep)",
                       keys::role_name(bundle.role));
  }
  return std::string();
}
}  // namespace

std::vector<PlanCheck> check_vault(const Result<OpenedVault>& opened) {
  if (!opened) return {of("vault", std::unexpected(opened.error()))};
  std::vector<PlanCheck> checks;
  const auto& vault = *opened->vault;
  const auto free_bytes = opened->store->free_bytes();
  checks.push_back(of(fmt::format("vault {}", opened->location),
                      fmt::format("it opens with a {}'s key{}", keys::role_name(vault.keys().role),
                                  free_bytes ? fmt::format(", {} free", render_size(*free_bytes)) : "")));
  const auto takes_snapshots = [&]() -> Result<> {
    TRY(vault.may_write());
    TRY(check_room(*opened));
    for (const char* object : {"/packs/x", "/snapshots/x"}) TRY(look_at_makeable(opened->location + object));
    return Result<>{};
  };
  checks.push_back(of("writing to the vault", told(takes_snapshots())));
  checks.push_back(of(fmt::format("state in {}", opened->places.state_directory), told(vault.state_status())));
  return checks;
}

std::vector<PlanCheck> check_plan(const policy::Plan& plan, const std::string& log, const Result<OpenedVault>& opened,
                                  const Places& places, const std::string& search_path, Timestamp now) {
  std::vector<PlanCheck> checks;
  for (const std::string& source : plan.sources)
    checks.push_back(of("source " + render_printable(source), look_at_source(source)));
  const auto state = read_plan_state(places.state_directory, plan.name).value_or(PlanState{});
  for (const std::string& point : unmounted_of(state.last_good ? state.last_good->mounts : std::vector<std::string>{}, plan.sources)) {
    checks.push_back(of("file system at " + render_printable(point),
                        fail(ErrorKind::kUnavailable, "it was mounted at the last good run, and is not now")));
  }
  checks.push_back(of("what to take", look_at_selection(plan, opened, places)));
  for (const auto* hooks : {&plan.before, &plan.after}) {
    for (const policy::Hook& hook : *hooks)
      checks.push_back(of("hook " + render_printable(policy::render_hook(hook)), look_at_program(hook.argv.front(), search_path)));
  }
  if (plan.schedule) {
    const auto next = plan.schedule->next(now, plan.timezone);
    checks.push_back(of("schedule " + plan.schedule->systemd_form(),
                        next ? Result<std::string>("next " + plan.timezone.render(*next))
                             : fail(ErrorKind::kInvalid, "it will never be due again")));
  }
  if (!plan.keep.empty()) checks.push_back(of("keep rules", look_at_keep(opened)));
  checks.push_back(of("record of its runs", told(look_at_makeable(plan_directory(places.state_directory, plan.name) + "/state.json"))));
  checks.push_back(of("log " + render_printable(log), look_at_writable(log)));
  return checks;
}

}  // namespace coppice::tasks
