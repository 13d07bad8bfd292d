#include "tasks/vault_access.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "foundation/encoding.h"
#include "platform/file.h"
#include "storage/directory_store.h"
#include "tasks/passphrase.h"
#include "tasks/quantities.h"

namespace coppice::tasks {

namespace {
constexpr std::size_t kCredentialFileBytesMax = 64u << 10;
constexpr std::string_view kKeysPrefix = "keys/";
// A rotation may end between the look at the slots and the look at the roster, and so may the next one.
constexpr int kTriesWhileKeysChange = 4;

// The file's bytes in locked memory; the copy that was read is wiped. "-" is standard input.
Result<crypto::SecretBytes> read_secret_file(const std::string& path) {
  if (path == "-") {
    crypto::SecretBytes secret(kCredentialFileBytesMax);
    secret.truncate(TRY(platform::read_full(STDIN_FILENO, secret.writable())));
    return secret;
  }
  Bytes bytes = TRY(platform::read_file(path, kCredentialFileBytesMax));
  crypto::SecretBytes secret = crypto::SecretBytes::copy_of(bytes);
  crypto::wipe(bytes);
  return secret;
}

bool is_identity(ByteSpan text) { return as_text(text).find("coppice-identity ") != std::string_view::npos; }

bool file_exists(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0;
}

// The epoch that the newest roster names, unverified: it only says which slot to try first.
std::uint32_t hinted_epoch(storage::ObjectStore& store) {
  const std::uint32_t listed = vault::listed_roster(store);
  auto bytes = store.get(format::roster_object(listed), format::kControlObjectBytesMax);
  if (!bytes) return 0;
  vault::StoredRoster newest{listed, *std::move(bytes)};
  (void)vault::go_to_newest(store, newest);
  const auto envelope = format::decode_envelope(format::kRosterMagic, newest.envelope);
  if (!envelope) return 0;
  const auto roster = format::decode_roster(envelope->body);
  return roster && !roster->epochs.empty() ? roster->epochs.back().number : 0;
}

bool slot_goes_first(const SlotObject& a, const SlotObject& b) {
  return a.member != b.member ? a.member < b.member : a.epoch > b.epoch;
}

// Opens the first slot that the credential fits. `what` names the credential in errors.
Result<keys::KeyBundle> open_by_slot(storage::ObjectStore& store, const keys::Credential& credential,
                                     const AccessOptions& options, std::string_view what) {
  auto objects = TRY(list_slots(store));
  // A slot of an epoch that the roster does not know yet was left by a rotation that was cut short: the one before it
  // is good.
  const std::uint32_t epoch = hinted_epoch(store);
  std::vector<format::MemberId> members;
  for (const auto& object : objects)
    if (members.empty() || members.back() != object.member) members.push_back(object.member);   // they are listed by member
  if (const auto* file = std::get_if<keys::KeyFile>(&credential)) members.push_back(file->member);
  // What cannot be asked for is no reason to leave the others untried.
  (void)add_unlisted_slots(store, members, {epoch, 0}, objects);
  std::stable_partition(objects.begin(), objects.end(),
                        [&](const SlotObject& object) { return object.epoch <= epoch; });
  std::vector<format::MemberId> tried;  // an older slot of the same member opens no better
  std::optional<Error> denied, broken;
  for (const auto& object : objects) {
    if (std::find(tried.begin(), tried.end(), object.member) != tried.end()) continue;
    auto slot = read_slot(store, object);
    if (!slot) {
      if (!broken) broken = std::move(slot).error();
      continue;
    }
    if (!keys::slot_suits(*slot, credential)) continue;
    if (std::holds_alternative<keys::Passphrase>(credential)) {
      const std::uint64_t cost = static_cast<std::uint64_t>(slot->argon2_memory_kib) << 10;
      if (cost > options.memory_bytes / 4 * 3) {
        if (!denied) {
          denied = Error(
              ErrorKind::kExhausted,
              fmt::format("a passphrase costs {} of memory here, too much for --memory-max {}; a key file costs none",
                          render_size(cost), render_size(options.memory_bytes)));
        }
        continue;
      }
    }
    tried.push_back(object.member);
    auto bundle = keys::open_slot(*slot, credential);
    if (bundle) return bundle;
    Error error = std::move(bundle).error();
    if (error.kind() == ErrorKind::kDenied) {
      if (!denied) denied = std::move(error);
    } else if (!broken) {
      broken = std::move(error).within(object.name);
    }
  }
  if (denied) return std::unexpected(std::move(*denied));
  if (broken) return std::unexpected(std::move(*broken));
  return fail(ErrorKind::kDenied,
              fmt::format("{} fits no key slot of this vault (was it removed, or is this another vault's?)", what));
}

Result<BundleSource> source_by_file(storage::ObjectStore& store, const std::string& path,
                                    const keys::TrustAnchor& claimed, const AccessOptions& options) {
  struct stat st {};
  if (stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
    return fail(ErrorKind::kDenied,
                fmt::format("{} can be read by others (mode {:o}): a key is for its owner alone; chmod 600 it", path,
                            st.st_mode & 0777));
  }
  const crypto::SecretBytes text = TRY(read_secret_file(path));
  if (is_identity(text.view())) {
    auto identity = TRY(within(keys::parse_identity(text.view()), path));
    if (options.fingerprint.empty()) {
      return fail(ErrorKind::kInvalid,
                  "an identity file does not say which vault to trust: give --fingerprint, from the recovery sheet or "
                  "'coppice key list'");
    }
    return source_by_slot(store, keys::Recipient{std::move(identity), claimed}, options, "this identity", path);
  }
  auto file = TRY(within(keys::parse_key_file(text.view()), path));
  if (file.anchor.vault != claimed.vault) {
    return fail(ErrorKind::kDenied, fmt::format("{} is a key to vault {}, and this is vault {}", path,
                                                render_hex(file.anchor.vault), render_hex(claimed.vault)));
  }
  if (file.anchor.owner != claimed.owner) {
    return fail(ErrorKind::kUnauthentic,
                fmt::format("vault.json names another owner than {}: the vault was tampered with or exchanged", path));
  }
  return source_by_slot(store, std::move(file), options, "this key file", path);
}

BundleSource source_by_passphrase(storage::ObjectStore& store, crypto::SecretBytes text, const AccessOptions& options) {
  return source_by_slot(store, keys::Passphrase{std::move(text)}, options, "the passphrase", "");
}

// Asks for the passphrase at the first call, and again when it opens nothing.
BundleSource source_by_terminal(storage::ObjectStore& store, const AccessOptions& options) {
  return [&store, options, good = BundleSource()]() mutable -> Result<keys::KeyBundle> {
    if (good) return good();
    for (int tries = 1;; ++tries) {
      auto asked = ask_passphrase(options.owner ? "owner's passphrase: " : "passphrase: ");
      if (!asked && asked.error().kind() == ErrorKind::kNotFound) {
        const std::string need = options.owner ? "this needs the owner's key" : "this host has no key file for this vault";
        return fail(ErrorKind::kDenied, fmt::format("{}, and there is no terminal to ask for a passphrase on", need));
      }
      if (!asked) return std::unexpected(std::move(asked).error());
      auto source = source_by_passphrase(store, std::move(*asked), options);
      auto bundle = source();
      if (bundle) good = std::move(source);
      if (bundle || bundle.error().kind() != ErrorKind::kDenied || tries == kTriesOnTerminal) return bundle;
      tell_terminal("This passphrase opens no key of the vault. Once more.");
    }
  };
}

Result<BundleSource> find_credential(storage::ObjectStore& store, const AccessOptions& options,
                                        const Environment& environment, const Places& places,
                                        const keys::TrustAnchor& claimed) {
  if (!options.key_file.empty()) return source_by_file(store, options.key_file, claimed, options);
  if (!options.ask) {
    const std::string own = places.key_file(render_hex(claimed.vault));
    if (!file_exists(own)) return fail(ErrorKind::kDenied, "this host has no key file for this vault");
    return source_by_file(store, own, claimed, options);
  }
  if (options.recovery_sheet) {
    const keys::RecoverySheet sheet =
        TRY(options.recovery_sheet->empty() ? ask_recovery_sheet(claimed)
                                            : read_recovery_sheet(*options.recovery_sheet, claimed));
    return BundleSource([root = std::make_shared<const crypto::Key>(sheet.root.duplicate()), vault = sheet.vault] {
      return keys::bundle_from_root(*root, vault, keys::kFirstEpoch);  // opening the vault derives the later ones
    });
  }
  if (!options.passphrase_file.empty()) {
    auto text = TRY(read_passphrase_file(options.passphrase_file));
    return source_by_passphrase(store, std::move(text), options);
  }
  if (!options.owner) {
    const std::string own = places.key_file(render_hex(claimed.vault));
    if (file_exists(own)) return source_by_file(store, own, claimed, options);
  }
  if (const auto named = environment("COPPICE_PASSPHRASE_FILE"); named && !named->empty()) {
    auto text = TRY(read_passphrase_file(*named));
    return source_by_passphrase(store, std::move(text), options);
  }
  return source_by_terminal(store, options);
}
}  // namespace

BundleSource source_by_slot(storage::ObjectStore& store, keys::Credential credential, const AccessOptions& options,
                            std::string what, std::string context) {
  return [&store, held = std::make_shared<const keys::Credential>(std::move(credential)), options, what = std::move(what),
          context = std::move(context)]() -> Result<keys::KeyBundle> {
    auto bundle = open_by_slot(store, *held, options, what);
    return context.empty() ? std::move(bundle) : within(std::move(bundle), context);
  };
}

Result<keys::TrustAnchor> read_claimed_anchor(storage::ObjectStore& store) {
  auto bytes = store.get(format::kVaultObject, format::kControlObjectBytesMax);
  if (!bytes) {
    if (bytes.error().kind() == ErrorKind::kNotFound)
      return std::unexpected(vault::missing_description(store));
    return std::unexpected(std::move(bytes).error());
  }
  const auto parsed = nlohmann::json::parse(as_text(*bytes), nullptr, false);
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::kCorrupt, fmt::format("{}: vault.json: {}", store.describe(), what));
  };
  if (!parsed.is_object()) return corrupt("not a JSON object");
  const auto version = parsed.find("version");
  if (version != parsed.end() && version->is_number_unsigned() &&
      version->get<std::uint64_t>() > format::kFormatVersion) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("{} is a vault of format {}; this program knows formats up to {}", store.describe(),
                            version->get<std::uint64_t>(), format::kFormatVersion));
  }
  keys::TrustAnchor anchor;
  const auto field = [&](const char* name, MutableByteSpan into) {
    const auto found = parsed.find(name);
    if (found == parsed.end() || !found->is_string()) return false;
    const auto value = parse_hex(found->get_ref<const std::string&>());
    if (!value || value->size() != into.size()) return false;
    std::copy(value->begin(), value->end(), into.begin());
    return true;
  };
  if (!field("id", anchor.vault)) return corrupt("its id is missing or malformed");
  if (!field("owner", anchor.owner)) return corrupt("its owner is missing or malformed");
  return anchor;
}

std::string_view unwritable_hint(const Error& error) {
  if (error.kind() != ErrorKind::kDenied) return "";
  if (error.message().ends_with(storage::kReadOnly)) return "mount it for writing: mount -o remount,rw DIRECTORY; when that fails, ask dmesg why";
  if (error.message().ends_with(storage::kNotOurs)) return "run it as the user to whom the vault's directory belongs";
  return "";
}

std::string slot_object_name(const format::MemberId& member, std::uint32_t epoch) {
  std::string name = format::key_object(member);
  if (epoch != 0) name += fmt::format(".{}", epoch);
  return name;
}

Result<std::vector<SlotObject>> list_slots(storage::ObjectStore& store) {
  std::vector<SlotObject> objects;
  TRY(store.list(kKeysPrefix, [&](const storage::ObjectInfo& info) -> Result<> {
    SlotObject object{.name = info.name};
    std::string_view text = std::string_view(info.name).substr(kKeysPrefix.size());
    const std::size_t dot = text.find('.');
    const auto member = parse_hex(text.substr(0, dot));
    if (!member || member->size() != object.member.size()) return {};
    std::copy(member->begin(), member->end(), object.member.begin());
    if (dot != std::string_view::npos) {
      const std::string_view digits = text.substr(dot + 1);
      if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return {};
      for (const char c : digits) object.epoch = object.epoch * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (slot_object_name(object.member, object.epoch) != object.name) return {};
    objects.push_back(std::move(object));
    return {};
  }));
  std::ranges::sort(objects, slot_goes_first);
  return objects;
}

Result<> add_unlisted_slots(storage::ObjectStore& store, std::span<const format::MemberId> members,
                            std::initializer_list<std::uint32_t> epochs, std::vector<SlotObject>& objects) {
  const auto add = [&](const format::MemberId& member, std::uint32_t epoch) -> Result<> {
    const auto same = [&](const SlotObject& o) { return o.member == member && o.epoch == epoch; };
    if (std::ranges::any_of(objects, same)) return {};
    SlotObject object{.name = slot_object_name(member, epoch), .member = member, .epoch = epoch};
    const auto size = store.size(object.name);
    if (!size) return size.error().kind() == ErrorKind::kNotFound ? Result<>{} : Result<>(std::unexpected(size.error().within(object.name)));
    objects.push_back(std::move(object));
    return {};
  };
  Result<> outcome;
  for (const auto& member : members)
    for (const std::uint32_t epoch : epochs)
      if (epoch != keys::kFirstEpoch)   // a slot of that epoch bears none in its name
        if (auto added = add(member, epoch); !added) outcome = std::move(added);
  std::ranges::sort(objects, slot_goes_first);
  return outcome;
}

Result<format::KeySlot> read_slot(storage::ObjectStore& store, const SlotObject& object) {
  const Bytes bytes = TRY(within(store.get(object.name, format::kControlObjectBytesMax), object.name));
  format::KeySlot slot = TRY(within(keys::read_slot_object(bytes), object.name)).slot;
  if (slot.member != object.member)
    return fail(ErrorKind::kCorrupt, fmt::format("{}: holds another member's slot", object.name));
  return slot;
}

Result<keys::RecoverySheet> parse_recovery_sheet(ByteSpan text, const keys::TrustAnchor& claimed) {
  auto sheet = TRY(keys::parse_recovery_words(text, claimed.vault));
  if (crypto::ed25519_public(keys::derive_owner_seed(sheet.root, sheet.vault)) != claimed.owner) {
    return fail(ErrorKind::kUnauthentic,
                "the words are whole, but this sheet's owner is not the one that vault.json names");
  }
  return sheet;
}

Result<keys::RecoverySheet> read_recovery_sheet(const std::string& path, const keys::TrustAnchor& claimed) {
  const crypto::SecretBytes text = TRY(read_secret_file(path));
  return within(parse_recovery_sheet(text.view(), claimed), path);
}

Result<keys::RecoverySheet> ask_recovery_sheet(const keys::TrustAnchor& claimed) {
  crypto::SecretBytes text(kCredentialFileBytesMax);
  std::size_t bytes = 0, words = 0;
  for (int tries = 1;;) {
    auto line = ask_passphrase(words == 0 ? "the words of the sheet (they are not shown): "
                                          : fmt::format("{} of {} words; the next: ", words, keys::kSheetWords));
    if (!line && line.error().kind() == ErrorKind::kNotFound) {
      return fail(ErrorKind::kDenied,
                  "there is no terminal to type the words of the recovery sheet on: name a file that holds them, or - "
                  "for standard input");
    }
    if (!line) return std::unexpected(std::move(line).error());
    const bool all = line->view().empty();   // what is missing is told
    if (bytes + line->view().size() + 1 > text.view().size()) return fail(ErrorKind::kInvalid, "this is too long to be the words of a recovery sheet");
    std::ranges::copy(line->view(), text.writable().begin() + static_cast<std::ptrdiff_t>(bytes));
    bytes += line->view().size();
    text.writable()[bytes++] = std::byte{'\n'};
    const keys::TypedWords typed = keys::look_at_typed_words(text.view().first(bytes));
    std::optional<Error> mistake = typed.mistake;
    words = typed.count;
    if (!mistake && !all && words < keys::kSheetWords) continue;
    if (!mistake) {
      auto sheet = parse_recovery_sheet(text.view().first(bytes), claimed);
      if (sheet || sheet.error().kind() != ErrorKind::kInvalid) return within(std::move(sheet), "the recovery sheet");
      mistake = std::move(sheet).error();
    }
    if (tries++ == kTriesOnTerminal) return std::unexpected(mistake->within("the recovery sheet"));
    // What is good before a misspelt word stays; where all are well spelt, any of them may be the wrong one.
    bytes = words < keys::kSheetWords ? typed.bytes : 0;
    if (bytes == 0) words = 0;
    if (bytes > 0) text.writable()[bytes++] = std::byte{'\n'};
    tell_terminal(fmt::format("{}{}", mistake->message(), words > 0 ? "; go on from there" : "; once more from the beginning"));
  }
}

Result<OpenedVault> open_store(const AccessOptions& options, const Environment& environment, bool is_root) {
  OpenedVault opened;
  opened.places = TRY(find_places(environment, is_root));
  opened.location = TRY(choose_vault(options.vault, options.config, environment, opened.places));
  auto store = storage::open_directory_store(opened.location);
  if (!store) {
    if (store.error().kind() == ErrorKind::kNotFound)
      return fail(ErrorKind::kNotFound, fmt::format("there is no vault at {}", opened.location));
    return std::unexpected(std::move(store).error());
  }
  opened.store = std::move(*store);
  return opened;
}

Result<std::unique_ptr<vault::Vault>> open_with(storage::ObjectStore& store, const BundleSource& source,
                                                const std::string& state_directory, const platform::Clock& clock,
                                                platform::Entropy& entropy) {
  for (int tries = kTriesWhileKeysChange;;) {
    keys::KeyBundle bundle = TRY(source());
    auto vault = vault::Vault::open(store, std::move(bundle), state_directory, clock, entropy);
    if (vault || vault.error().kind() != ErrorKind::kUnauthentic || --tries == 0) return vault;
  }
}

Result<OpenedVault> open_vault(const AccessOptions& options, const Environment& environment, bool is_root) {
  OpenedVault opened = TRY(open_store(options, environment, is_root));
  const keys::TrustAnchor claimed = TRY(read_claimed_anchor(*opened.store));
  if (!options.fingerprint.empty() && !keys::fingerprint_matches(claimed, options.fingerprint)) {
    return fail(ErrorKind::kUnauthentic,
                fmt::format("{} has the fingerprint {}, not the one given: this is not the vault you mean",
                            opened.location, keys::render_fingerprint(claimed)));
  }
  opened.source = [source = TRY(find_credential(*opened.store, options, environment, opened.places, claimed)), owner = options.owner]() -> Result<keys::KeyBundle> {
    keys::KeyBundle bundle = TRY(source());
    if (owner && bundle.role != format::Role::kOwner) {
      return fail(ErrorKind::kDenied,
                  fmt::format("this needs the owner's key, and the one given is a {}'s", keys::role_name(bundle.role)));
    }
    return bundle;
  };
  opened.vault = TRY(open_with(*opened.store, opened.source, opened.places.state_directory, platform::system_clock(),
                               platform::system_entropy()));
  return opened;
}

}  // namespace coppice::tasks
