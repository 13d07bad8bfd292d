// Choosing snapshots, and telling of them and their entries.
#include "cli.h"
#include "foundation/encoding.h"
#include "foundation/time.h"
#include "keys/key_file.h"

namespace coppice::cli {

void warn_of_bad(const Common& common, const vault::SnapshotList& list) {
  std::vector<Warning> warnings;
  for (const auto& bad : list.bad) warnings.push_back({bad.object, bad.error.message()});
  print_warnings(common, warnings, warnings.size());
}

Result<> check_can_read(const vault::Vault& vault) {
  if (vault.keys().can_read()) return {};
  return fail(ErrorKind::kDenied, vault.keys().can_write() ? "the key at hand is a writer's: it makes backups and cannot read any, its own included"
                                                           : "the key at hand is a keeper's: it looks after the store and cannot read any backup");
}

Result<Chosen> choose_readable(const vault::Vault& vault, const std::string& text,
                               const tasks::SnapshotFilter& filter) {
  TRY(check_can_read(vault));
  Chosen chosen;
  chosen.ref = TRY(tasks::parse_snapshot_ref(text));
  const auto list = TRY(vault.snapshots());
  const vault::Snapshot* newer = nullptr;
  chosen.snapshot = *TRY(tasks::find_snapshot(list, chosen.ref, filter, &newer));
  if (newer) {
    const auto describe = [](const vault::Snapshot& one) {
      return fmt::format("{} of {}", one.short_id(), render_local(tasks::snapshot_time(one)));
    };
    chosen.remarks.push_back(
        {chosen.ref.path, fmt::format("the newest whole snapshot is taken, {}: {} is partial. To take that one, name it: {}:{}",
                                      describe(chosen.snapshot), describe(*newer), newer->short_id(), render_printable(chosen.ref.path))});
  }
  if (!chosen.snapshot.body) {
    return fail(ErrorKind::kDenied,
                fmt::format("snapshot {} cannot be read with the key at hand", chosen.snapshot.short_id()));
  }
  return chosen;
}

std::vector<Warning> what_is_lacking(const Chosen& chosen) {
  std::vector<Warning> lacking = chosen.remarks;
  const format::SnapshotBody& body = *chosen.snapshot.body;
  if (chosen.ref.has_path)
    for (const std::string& source : tasks::sources_below(body, chosen.ref.path))
      lacking.push_back({chosen.ref.path, fmt::format("of it, this snapshot has {}", shown(source))});
  if (!body.complete)
    lacking.push_back({"", fmt::format("snapshot {} is partial: when it was made, a source was missing or could not be read",
                                       chosen.snapshot.short_id())});
  return lacking;
}

std::string choosing_hint(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kNotFound:
      return "'coppice list' shows what is there";
    case ErrorKind::kConflict:
      return error.message().find("--signer") == std::string::npos ? "give more digits of the id" : "'coppice list' shows who signed what";
    case ErrorKind::kDenied:
      return "a reader's key reads it: --key-file, --passphrase-file or --recovery-sheet";
    default:
      return "";
  }
}

std::string_view type_name(format::EntryType type) {
  switch (type) {
    case format::EntryType::kFile:
      return "file";
    case format::EntryType::kDirectory:
      return "directory";
    case format::EntryType::kSymlink:
      return "symlink";
    case format::EntryType::kCharDevice:
      return "char_device";
    case format::EntryType::kBlockDevice:
      return "block_device";
    case format::EntryType::kFifo:
      return "fifo";
    case format::EntryType::kSocket:
      return "socket";
  }
  return "unknown";
}

Json describe_snapshot(const vault::Snapshot& snapshot) {
  Json json{{"type", "snapshot"},
            {"id", snapshot.id()},
            {"short_id", snapshot.short_id()},
            {"session", fmt::format("{}.{}", snapshot.session.generation, snapshot.session.slot)},
            {"time", render_time_json(tasks::snapshot_time(snapshot))},
            {"finished", render_time_json(snapshot.commit.claimed_time)},
            {"signer", snapshot.signer_name},
            {"signer_role", keys::role_name(snapshot.signer_role)},
            {"forgotten", snapshot.forgotten},
            {"readable", snapshot.body.has_value()}};
  if (!snapshot.body) return json;
  const auto& body = *snapshot.body;
  put_path(json, "host", body.host);
  tasks::put_paths(json, "sources", body.sources);
  json["tags"] = body.tags;
  json["user"] = body.user;
  json["program"] = body.program;
  json["started"] = render_time_json(body.started);
  json["files"] = body.files;
  json["directories"] = body.directories;
  json["others"] = body.others;
  json["bytes"] = body.bytes;
  json["files_new"] = body.files_new;
  json["files_changed"] = body.files_changed;
  json["added_plain"] = body.added_plain;
  json["added_stored"] = body.added_stored;
  json["warnings"] = body.warnings;
  json["duration_ms"] = body.duration_ms;
  json["complete"] = body.complete;
  return json;
}

std::string render_long(const format::Entry& entry) {
  constexpr std::string_view kTypes = "?-dlcbps";
  const auto bit = [&](std::uint32_t mask, char letter) { return (entry.mode & mask) != 0 ? letter : '-'; };
  std::string mode(1, kTypes[static_cast<std::size_t>(entry.type)]);
  for (int shift = 6; shift >= 0; shift -= 3) {
    mode.push_back(bit(4u << shift, 'r'));
    mode.push_back(bit(2u << shift, 'w'));
    const std::uint32_t special = shift == 6 ? 04000u : shift == 3 ? 02000u : 01000u;
    const char letter = shift == 0 ? 't' : 's';
    const bool execute = (entry.mode & (1u << shift)) != 0;
    if ((entry.mode & special) != 0)
      mode.push_back(execute ? letter : static_cast<char>(letter - 'a' + 'A'));
    else
      mode.push_back(execute ? 'x' : '-');
  }
  const auto owner = [](const std::string& name, std::uint32_t id) {
    return name.empty() ? fmt::format("{}", id) : shown(name);
  };
  std::string size = "-";
  if (entry.type == format::EntryType::kFile) size = tasks::render_size(entry.size);
  return fmt::format("{}  {:<8} {:<8} {:>8}  {}  ", mode, owner(entry.owner.user, entry.owner.uid),
                     owner(entry.owner.group, entry.owner.gid), size, render_local(entry.mtime));
}

Json describe_entry(std::string_view path, const format::Entry& entry) {
  Json json{{"type", "entry"}};
  put_path(json, "path", path);
  json["kind"] = type_name(entry.type);
  json["mode"] = fmt::format("{:04o}", entry.mode);
  json["uid"] = entry.owner.uid;
  json["gid"] = entry.owner.gid;
  if (!entry.owner.user.empty()) json["user"] = entry.owner.user;
  if (!entry.owner.group.empty()) json["group"] = entry.owner.group;
  if (entry.type == format::EntryType::kFile) json["size"] = entry.size;
  json["mtime"] = render_time_json(entry.mtime);
  json["links"] = entry.links;
  if (entry.type == format::EntryType::kSymlink) put_path(json, "target", entry.target);
  if (entry.marks & format::kMarkUnreadable) json["unreadable"] = true;
  if (entry.marks & format::kMarkChangedWhileRead) json["changed_while_read"] = true;
  if (entry.marks & format::kMarkIncomplete) json["incomplete"] = true;
  if (entry.marks & format::kMarkMountPoint) json["mount_point"] = true;
  return json;
}

}  // namespace coppice::cli
