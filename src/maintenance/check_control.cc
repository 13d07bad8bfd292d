// The few objects without which nothing else has meaning.

#include <fmt/format.h>

#include "check_internal.h"
#include "crypto/hash.h"
#include "foundation/encoding.h"
#include "keys/slot.h"
#include "keys/roster.h"

namespace coppice::maintenance {
namespace {

Result<Bytes> get_control(CheckRun& run, const std::string& object) {
  return run.vault.store().get(object, format::kControlObjectBytesMax);
}

void check_description(CheckRun& run) {
  const std::string object(format::kVaultObject);
  const auto bytes = get_control(run, object);
  if (!bytes)
    run.damage(object, bytes.error());
  else if (crypto::sha256(*bytes) != run.vault.roster().vault_description)
    run.damage(object, ErrorKind::kCorrupt, "it is not the description that the roster names");
  else if (const auto description = format::decode_vault_description(*bytes); !description)
    run.damage(object, description.error());
}

// One after the other, because each names the one before it.
Result<> check_rosters(CheckRun& run) {
  std::optional<format::Roster> previous;
  keys::RosterMark previous_mark;
  for (std::uint32_t version = 0; version <= run.vault.roster().version; ++version) {
    TRY(run.go_on());
    const std::string object = format::roster_object(version);
    const auto verify = [&]() -> Result<> {
      const std::optional<format::Roster> before = std::exchange(previous, std::nullopt);
      const Bytes envelope = TRY(get_control(run, object));
      format::Roster roster =
          TRY(keys::verify_roster(envelope, run.vault.keys().anchor(), run.vault.roster().vault_description));
      if (roster.version != version)
        return fail(ErrorKind::kUnauthentic, fmt::format("it holds version {} of the roster", roster.version));
      const keys::RosterMark before_mark = std::exchange(previous_mark, keys::mark_of(roster, envelope));
      previous = std::move(roster);
      // The one before may be damaged, which was said; this one may still be whole.
      return before ? keys::check_successor(*before, before_mark, *previous) : Result<>{};
    };
    if (const Result<> verified = verify(); !verified) run.damage(object, verified.error());
  }
  return {};
}

void check_key_slot(CheckRun& run, const format::Member& member) {
  const std::string object = format::key_object(member.id);
  const auto verify = [&]() -> Result<> {
    const Bytes bytes = TRY(get_control(run, object));
    const auto [slot, intact] = TRY(keys::read_slot_object(bytes));
    if (!intact) return fail(ErrorKind::kCorrupt, "its checksum does not match");
    if (slot.member != member.id || slot.slot_key != member.slot_key || slot.kind != member.slot ||
        slot.role != member.role)
      return fail(ErrorKind::kUnauthentic, "it is not the slot that the roster names");
    return {};
  };
  if (const Result<> verified = verify(); !verified)
    run.damage(object,
               Error(verified.error()).within(fmt::format("the key \"{}\" cannot open the vault", member.name)));
}

void check_generation_object(CheckRun& run, const std::string& object, std::string_view magic) {
  const auto verify = [&]() -> Result<> {
    const Bytes bytes = TRY(get_control(run, object));
    const keys::Signed opened =
        TRY(keys::verify_envelope(magic, bytes, run.vault.keys().anchor(), run.vault.roster(), {}));
    if (!equal(opened.body, format::encode_empty_generation(0)))
      return fail(ErrorKind::kCorrupt, "it is not what a new vault has there");
    return {};
  };
  if (const Result<> verified = verify(); !verified) run.damage(object, verified.error());
}

}  // namespace

Result<> check_control(CheckRun& run) {
  run.progress.phase = CheckPhase::kControl;
  check_description(run);
  TRY(check_rosters(run));
  const auto& members = run.vault.roster().members;
  TRY(run.in_parallel(members.size(), kFetchThreads, [&](std::size_t i) {
    if (keys::is_living(members[i])) check_key_slot(run, members[i]);
  }));
  check_generation_object(run, format::plan_object(0), format::kPlanMagic);
  check_generation_object(run, format::seal_object(0), format::kSealMagic);
  return run.go_on();
}

}  // namespace coppice::maintenance
