#include "policy/units.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/paths.h"

namespace coppice::policy {

namespace {
constexpr std::string_view kCronPlans = "# plans: ", kCronEnd = " >/dev/null\n";

bool touch(std::string_view a, std::string_view b) { return lies_in(a, b) || lies_in(b, a); }

bool is_plain(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80 ||
         std::string_view("-_./=:,+@").find(static_cast<char>(c)) != std::string_view::npos;
}
// A word of a unit file. What is special in any kind of line is written as its code; % and, in a command, $ are doubled.
std::string unit_word(std::string_view text, bool command = false) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string word = "\"";
  for (const char c : text) {
    if (c == '%' || (command && c == '$')) word += c;
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\' || byte < 0x20 || byte == 0x7f)
      word += fmt::format("\\x{:02x}", byte);
    else
      word += c;
  }
  return word + "\"";
}
// As in a unit's name: systemd-escape(1). Of what it would escape, `kept` stays.
std::string escaped(std::string_view text, std::string_view kept) {
  std::string name;
  for (const char c : text) {
    const bool stays = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ':' || c == '_' ||
                       c == '.' || kept.find(c) != std::string_view::npos;
    if (stays)
      name += c;
    else
      name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return name;
}
// The unit of what is mounted at an absolute path other than "/".
std::string mount_unit(std::string_view path) {
  std::string name;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) name += (name.empty() ? "" : "-") + escaped(path.substr(at, end - at), "");
    at = end + 1;
  }
  if (name.starts_with('.')) name.replace(0, 1, "\\x2e");
  return name + ".mount";
}
// A word for the shell that cron starts; cron itself reads % as a line's end.
std::string shell_word(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'')
      word += "'\\''";
    else if (c == '%')
      word += "\\%";
    else
      word += c;
  }
  return word + "'";
}

std::string run_line(const Plan& plan, const UnitFacts& facts) {
  return fmt::format("{} plan run --quiet --config {} {}", unit_word(facts.program, true), unit_word(facts.config_file, true),
                     plan.name);
}

class Service {
 public:
  Service(const Plan& plan, const UnitFacts& facts) : plan_(plan), facts_(facts) {
    sources_ = plan.sources;
    sources_.insert(sources_.end(), facts.real_sources.begin(), facts.real_sources.end());
    used_ = {facts.program, facts.config_file, facts.vault, facts.state_directory, facts.log_directory};
    used_.insert(used_.end(), plan.exclude_files.begin(), plan.exclude_files.end());
    hooks_ = !plan.before.empty() || !plan.after.empty();
  }

  std::string render() {
    head();
    if (hooks_)
      around_hooks();
    else
      sandbox();
    return std::move(text_);
  }

 private:
  void line(std::string_view text) { text_.append(text).append("\n"); }
  void yes(std::string_view setting) { line(fmt::format("{}=yes", setting)); }
  bool sources_touch(std::string_view path) const {
    return std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) { return touch(source, path); });
  }
  bool used_in(std::string_view path) const {
    return std::any_of(used_.begin(), used_.end(), [&](const auto& used) { return lies_in(used, path); });
  }

  void head() {
    line(kWrittenByInstall);
    line(fmt::format("# 'coppice plan uninstall {}' removes it. Change the plan in {}, then install it anew.", plan_.name,
                     facts_.config_file));
    line("[Unit]");
    line(fmt::format("Description=Coppice backup, plan {}", plan_.name));
    line("Documentation=man:coppice(1)");
    mounts();
    line("");
    line("[Service]");
    line("Type=oneshot");
    line("ExecStart=" + run_line(plan_, facts_));
    line("# Done, with warnings: the log and 'coppice status' tell them.");
    line("SuccessExitStatus=3");
    line("# A run that is stopped stores what it has in memory; the next one goes on from there.");
    line("TimeoutStopSec=5min");
    for (const auto& [name, value] : facts_.environment) line("Environment=" + unit_word(fmt::format("{}={}", name, value)));
    line("Nice=10");
    line("IOSchedulingPriority=7");
    line("UMask=0077");
    line("");
  }

  // The file systems of vault and sources are mounted first where systemd knows them. Not required: a run without one of
  // them says so in its log and record, where a run that systemd never began would be missing without a word.
  void mounts() {
    if (hooks_) {
      line("After=local-fs.target remote-fs.target");  // a hook may mount them itself
      return;
    }
    std::vector<std::string> units;
    std::vector<std::string> places = sources_;
    places.push_back(facts_.vault);
    for (const std::string& place : places) {
      for (std::size_t end = 1; end != std::string::npos && end < place.size();) {
        end = place.find('/', end + 1);
        std::string unit = mount_unit(std::string_view(place).substr(0, end));
        if (std::find(units.begin(), units.end(), unit) == units.end()) units.push_back(std::move(unit));
      }
    }
    if (units.empty()) return;
    line(fmt::format("Wants={}", fmt::join(units, " ")));
    line(fmt::format("After={}", fmt::join(units, " ")));
  }

  // Neither mounts nor devices are changed here: hooks may mount, take snapshots of volumes, talk to data bases.
  void around_hooks() {
    line("# Hooks need what they need: only what no hook should do is taken away.");
    line("CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF");
    for (const char* setting : {"NoNewPrivileges", "LockPersonality", "ProtectHostname", "RestrictRealtime"}) yes(setting);
    line("SystemCallArchitectures=native");
  }

  void sandbox() {
    std::string capabilities = "CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SYS_ADMIN";
    line("# To read every file; to leave access times alone; to read trusted extended attributes.");
    if (facts_.foreign_owner) {
      text_.insert(text_.size() - 1, " And to write where another user owns the place.");
      capabilities += " CAP_DAC_OVERRIDE";
    }
    line("CapabilityBoundingSet=" + capabilities);
    line("NoNewPrivileges=yes");
    line("");
    write_places();
    // What follows is left out where it would hide a part of a source, or mount something over it.
    if (!touches("/tmp") && !touches("/var/tmp")) yes("PrivateTmp");
    if (!touches("/home") && !touches("/root") && !touches("/run/user")) line("ProtectHome=yes");
    if (!sources_touch("/usr/lib/modules") && !sources_touch("/lib/modules")) yes("ProtectKernelModules");
    if (std::none_of(sources_.begin(), sources_.end(), [](const auto& source) { return lies_in(source, "/dev"); })) {
      yes("PrivateDevices");
      yes("ProtectClock");
    }
    if (!sources_touch("/run")) line("InaccessiblePaths=-/run/dbus -/run/systemd/private");  // nobody starts other services
    for (const char* setting : {"PrivateNetwork", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs",
                                "ProtectControlGroups", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
                                "LockPersonality", "MemoryDenyWriteExecute"})
      yes(setting);
    line("ProtectProc=invisible");
    line("RestrictAddressFamilies=AF_UNIX");
    line("IPAddressDeny=any");
    line("KeyringMode=private");
    line("SystemCallArchitectures=native");
    line("SystemCallFilter=@system-service");
    line("SystemCallFilter=~@privileged @resources");
    line("SystemCallErrorNumber=EPERM");
  }

  bool touches(std::string_view path) const { return sources_touch(path) || used_in(path); }

  void write_places() {
    // Each place that may be written to becomes a mount of its own, which one-file-system takes for another file system.
    // The vault and the state are never backed up; the log's directory may be.
    const bool log_would_go = plan_.one_file_system && std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) {
                                return lies_in(facts_.log_directory, source);
                              });
    if (log_would_go) {
      line("# No ProtectSystem: it would make the log's directory a mount of its own, which one-file-system leaves out.");
      return;
    }
    line("ProtectSystem=strict");
    line("ReadOnlyPaths=-/run");  // which systemd 252 leaves writable
    if (!facts_.vault.empty()) line("ReadWritePaths=" + unit_word("-" + facts_.vault));
    writable(facts_.state_directory, "/var/lib/", "StateDirectory", "0700");
    writable(facts_.log_directory, "/var/log/", "LogsDirectory", "0750");
  }

  // Our own directory is made by systemd when it is missing. It would change the mode of anybody else's.
  void writable(const std::string& path, std::string_view usual, const char* setting, const char* mode) {
    if (path.starts_with(usual) && lies_in(path, std::string(usual) + "coppice")) {
      line(fmt::format("{}={}", setting, unit_word(path.substr(usual.size()))));
      line(fmt::format("{}Mode={}", setting, mode));
    } else if (!path.empty()) {
      line("ReadWritePaths=" + unit_word("-" + path));
    }
  }

  const Plan& plan_;
  const UnitFacts& facts_;
  std::vector<std::string> sources_, used_;
  bool hooks_ = false;
  std::string text_;
};
}  // namespace

std::string unit_name(std::string_view plan) { return "coppice-plan-" + escaped(plan, "-"); }

bool is_written_by_install(std::string_view text) { return text.starts_with(kWrittenByInstall); }

std::string render_service(const Plan& plan, const UnitFacts& facts) { return Service(plan, facts).render(); }

std::string render_timer(const Plan& plan) {
  std::string calendar = plan.schedule->systemd_form();
  if (!plan.timezone_name.empty()) calendar += " " + plan.timezone_name;
  return fmt::format(
      "{}\n"
      "[Unit]\n"
      "Description=When the Coppice plan {} runs\n"
      "Documentation=man:coppice(1)\n"
      "\n"
      "[Timer]\n"
      "OnCalendar={}\n"
      "# What was missed while the host was off is made up for.\n"
      "Persistent=true\n"
      "AccuracySec=1s\n"
      "\n"
      "[Install]\n"
      "WantedBy=timers.target\n",
      kWrittenByInstall, plan.name, calendar);
}

std::string render_cron(const std::vector<std::string>& plans, const UnitFacts& facts) {
  std::string text = fmt::format(
      "{}\n"
      "# 'coppice plan uninstall' removes it. When plans run stands in the configuration; this only asks what is due.\n"
      "{}{}\n"
      "SHELL=/bin/sh\n"
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
      kWrittenByInstall, kCronPlans, fmt::join(plans, " "));
  for (const auto& [name, value] : facts.environment) text += fmt::format("{}='{}'\n", name, value);
  // Standard output tells what went well; what did not is on standard error, and cron mails it.
  return text + fmt::format("*/5 * * * * root {} plan due --quiet --config {} {}{}", shell_word(facts.program),
                            shell_word(facts.config_file), fmt::join(plans, " "), kCronEnd);
}

std::optional<std::string> cron_with_plans(std::string_view text, const std::vector<std::string>& plans) {
  const std::string before = fmt::format("{}", fmt::join(plans_of_cron(text), " ")), after = fmt::format("{}", fmt::join(plans, " "));
  const std::string named = fmt::format("\n{}{}\n", kCronPlans, before), called = fmt::format(" {}{}", before, kCronEnd);
  std::string changed(text);
  const std::size_t name = changed.find(named);
  if (name == std::string::npos || !changed.ends_with(called)) return std::nullopt;
  changed.replace(changed.size() - called.size() + 1, before.size(), after);
  changed.replace(name + 1 + kCronPlans.size(), before.size(), after);
  return changed;
}

bool cron_is_of(std::string_view text, std::string_view config_file) {
  return text.find(fmt::format(" --config {} ", shell_word(config_file))) != std::string_view::npos;
}

bool service_is_of(std::string_view text, std::string_view config_file) {
  return text.find(fmt::format(" --config {} ", unit_word(config_file, true))) != std::string_view::npos;
}

std::vector<std::string> plans_of_cron(std::string_view text) {
  std::vector<std::string> plans;
  const std::size_t begin = text.find(kCronPlans);
  if (!is_written_by_install(text) || begin == std::string_view::npos) return plans;
  std::string_view names = text.substr(begin + kCronPlans.size());
  names = names.substr(0, names.find('\n'));
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t end = std::min(names.find(' ', at), names.size());
    if (end > at) plans.emplace_back(names.substr(at, end - at));
    at = end + 1;
  }
  return plans;
}

}  // namespace coppice::policy
