// What the command files share: options that every command has, output, errors, exit statuses.
#pragma once

// Before anything of ours: CLI11 has a member named check, and ours is a macro.
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format/tree.h"
#include "foundation/cancel.h"
#include "foundation/result.h"
#include "tasks/json.h"
#include "tasks/keep.h"
#include "tasks/progress.h"
#include "tasks/quantities.h"
#include "tasks/snapshot_ref.h"
#include "tasks/snapshot_table.h"
#include "tasks/vault_access.h"

namespace coppice::cli {

using tasks::Json, tasks::put_path, tasks::render_time_json;

enum ExitStatus : int { kDone = 0, kFailed = 1, kUsage = 2, kWarnings = 3 };

// Options that stand in every command's help. One command runs in a process, so one of these is enough.
struct Common {
  tasks::AccessOptions access;
  std::string memory_text;
  std::uint64_t memory_bytes = tasks::kMemoryBytesDefault;
  bool json = false, quiet = false;
  tasks::MemoryShares memory() const { return tasks::share_memory(memory_bytes); }
};

// A command registers itself and, when it is the one asked for, leaves what is to be done in `action`.
struct Cli {
  CLI::App app;
  Common common;
  std::function<int()> action;
};

// A subcommand with its one-line description and its examples: lines without indentation, a command and, behind two blanks or more, what it does.
struct MoreHelp {
  std::string remark = "";                    // sentences
  std::vector<std::string> exit_status = {};  // "0  done", where the command gives them a meaning of its own
};
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description, const std::vector<std::string>& examples,
                      const MoreHelp& more = {});
std::shared_ptr<CLI::FormatterBase> help_formatter();
// Lines of help in at most `width` columns: a sentence goes on below itself, a command with a backslash, what it does under its own column.
std::string wrap_lines(std::string_view text, std::size_t width);
// The same in what a command says: at most as wide as the terminal, and as it is where there is none.
std::string fitted(std::string_view text);
// "coppice ls [OPTIONS] SNAP"
std::string synopsis(const CLI::App& command);
std::vector<const CLI::App*> visible_commands(const CLI::App& command);  // below it
std::string bash_completion(const CLI::App& app);
// Adds the options of Common. kNone: a command that opens no vault.
enum class Access { kNone, kStore, kVault };
void add_common_options(Cli& cli, CLI::App* command, Access access);
void add_config_option(Cli& cli, CLI::App* command);  // part of the above, but for kNone
void add_filter_options(CLI::App* command, tasks::SnapshotFilter& filter);
inline constexpr const char* kSnapshotHelp = "SNAP[:/PATH]: an id's first digits (four or more), 'latest' or @TIME";
// What a value must be: a breach is a usage error, told before anything is opened.
CLI::Validator is_snapshot();        // SNAP[:/PATH]
CLI::Validator is_whole_snapshot();  // SNAP
CLI::Validator is_pattern();         // gitignore syntax
CLI::Validator is_count();           // digits, at least 1
CLI::Validator is_label();           // a tag or a host's name: not empty, UTF-8, at most kLabelBytesMax
CLI::Validator is_file_name();       // one component of a path
inline constexpr std::size_t kLabelBytesMax = 255;
// A repeatable option that takes one value each time.
CLI::Option* add_repeatable(CLI::App* command, const std::string& names, std::vector<std::string>& values,
                            const std::string& description);

void add_init(Cli& cli);
void add_backup(Cli& cli);
void add_list(Cli& cli);
void add_ls(Cli& cli);
void add_find(Cli& cli);
void add_diff(Cli& cli);
void add_cat(Cli& cli);
void add_restore(Cli& cli);
void add_check(Cli& cli);
void add_stats(Cli& cli);
void add_forget(Cli& cli);
void add_key(Cli& cli);
void add_plan(Cli& cli);
void add_plan_list(Cli& cli, CLI::App& parent);
void add_plan_test(Cli& cli, CLI::App& parent);
void add_plan_run(Cli& cli, CLI::App& parent);
void add_plan_due(Cli& cli, CLI::App& parent);
void add_plan_install(Cli& cli, CLI::App& parent);
void add_plan_uninstall(Cli& cli, CLI::App& parent);
void add_plan_keep(Cli& cli, CLI::App& parent);
void add_status(Cli& cli);
void add_tar(Cli& cli);
void add_version(Cli& cli);
void add_manual(Cli& cli);  // hidden: the man page and the completion, from the same definitions

// ---- output ----

void print(std::string_view text);  // to standard output
void note(std::string_view text);   // to standard error, unless --quiet is the caller's business
void emit(const Json& object);      // one line
bool stdout_is_terminal();
bool stderr_is_terminal();
std::size_t terminal_columns();  // of standard output; 0: it is no terminal
// For people: printable on a terminal, the raw bytes in a pipe.
std::string shown(std::string_view name);
// "coppice: warning: ..." lines: the first 20, then a count.
struct Warning {
  std::string path, what;
};
void print_warnings(const Common& common, const std::vector<Warning>& warnings, std::uint64_t total);

// "yes" on the terminal; false without one.
bool confirm(const std::string& question);

// ---- errors ----

// "coppice: what happened" and below it what to do next. Returns the exit status.
int report(const Common& common, const Error& error, std::string_view next_step = "");
// The same for what was asked wrongly: kUsage. `json`: else as the command's own --json says.
int usage(const CLI::App* command, std::string_view what, bool json = false);
// From here on standard output is data (a file, an archive): JSON objects go to standard error, and only they do.
void send_objects_to_stderr();
std::string hex(ByteSpan bytes);

// ---- the vault ----

bool is_root();
Result<tasks::OpenedVault> open_vault(const Common& common);
// What to do about an error that came from opening.
std::string opening_hint(const Common& common, const Error& error);
int report_opening(const Common& common, const Error& error);

// A snapshot chosen by what a person typed, from an opened vault.
struct Chosen {
  tasks::SnapshotRef ref;
  vault::Snapshot snapshot;
  std::vector<Warning> remarks;  // when a newer one was passed over: to be told, and the exit status is kWarnings
};
// kDenied in words when the key at hand reads no snapshot.
Result<> check_can_read(const vault::Vault& vault);
// For commands that read the snapshot's tree.
Result<Chosen> choose_readable(const vault::Vault& vault, const std::string& text, const tasks::SnapshotFilter& filter);
std::string choosing_hint(const Error& error);
// What the snapshot lacks of what was asked for, the remarks included: for commands that give it back.
std::vector<Warning> what_is_lacking(const Chosen& chosen);
// Warnings about objects that should be snapshots and are not.
void warn_of_bad(const Common& common, const vault::SnapshotList& list);

// ---- plans ----

struct ConfiguredPlans {
  tasks::Places places;
  std::string file;  // the configuration's
  policy::Configuration configuration;
  Result<const policy::Plan*> find(const std::string& name) const;  // kNotFound names those that there are
  // Those that were named; all when none was.
  Result<std::vector<const policy::Plan*>> choose(const std::vector<std::string>& names) const;
  // Plans work with the vault that stands beside them, whatever the environment says; --vault only comes before it.
  Common with_vault(const Common& common) const;
  Result<std::string> vault(const Common& common) const;  // where that is
};
Result<ConfiguredPlans> read_plans(const Common& common);
struct PlanRun {
  int status = kFailed;
  bool stopped = false;   // somebody asked this process to stop
};
PlanRun run_plan_named(const Common& common, const std::string& name, bool accept_unmounted = false);   // 'plan run'

// ---- forgetting ----

struct ForgetMode {
  bool yes = false, dry_run = false;
};
// Shows what goes, asks unless told not to, forgets it. `total`: snapshots that there are. Returns the exit status.
int forget_named(const Common& common, const vault::Vault& vault, const std::vector<const vault::Snapshot*>& chosen,
                 std::size_t total, const ForgetMode& mode);
// The same for what keep rules decided, with the reason for each snapshot.
int forget_by_rules(const Common& common, const vault::Vault& vault, const std::vector<tasks::KeepGroup>& groups,
                    const policy::TimeZone& zone, const ForgetMode& mode);
std::string forgetting_remark();

// "drwxr-xr-x  root root      4.1 kB  2026-11-22 08:00:00  "
std::string render_long(const format::Entry& entry);
Json describe_snapshot(const vault::Snapshot& snapshot);
Json describe_entry(std::string_view path, const format::Entry& entry);
std::string_view type_name(format::EntryType type);

}  // namespace coppice::cli
