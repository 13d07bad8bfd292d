// Key files.
#include "keys/key_file.h"

#include <fmt/format.h>

#include <array>

#include "key_text.h"

namespace coppice::keys {
namespace {

using format::Role;

constexpr std::array<std::pair<Role, std::string_view>, 4> kRoleNames{
    {{Role::kOwner, "owner"}, {Role::kReader, "reader"}, {Role::kWriter, "writer"}, {Role::kKeeper, "keeper"}}};

std::string_view what_it_can_do(Role role) {
  switch (role) {
    case Role::kOwner:
      return "read everything, write, and say who else may";
    case Role::kReader:
      return "read everything and write";
    case Role::kWriter:
      return "write and not read";
    case Role::kKeeper:
      return "look after the store, neither read nor write";
  }
  CHECK(false);
}

}  // namespace

std::string_view role_name(Role role) {
  for (const auto& [value, name] : kRoleNames)
    if (value == role) return name;
  CHECK(false);
}

Result<Role> parse_role(std::string_view name) {
  for (const auto& [value, known] : kRoleNames)
    if (known == name) return value;
  return fail(ErrorKind::kInvalid, "a role is owner, reader, writer or keeper");
}

crypto::SecretBytes render_key_file(const KeyFile& file) {
  SecretWriter w(kKeyTextBytesMax);
  w.text(fmt::format("# Coppice key file: whoever holds it can {}. Keep it 0600.\n", what_it_can_do(file.role)));
  w.text("coppice-key 1\n");
  w.text(fmt::format("vault {}\nowner {}\nmember {}\nrole {}\nkey ", render_hex(file.anchor.vault),
                     render_hex(file.anchor.owner), render_hex(file.member), role_name(file.role)));
  write_base64_key(w, file.key);
  w.text("\n");
  return std::move(w).finish();
}

Result<KeyFile> parse_key_file(ByteSpan text) {
  KeyTextReader reader = TRY(KeyTextReader::open(text, "key file", "coppice-key"));
  KeyFile file;
  file.anchor.vault = TRY(reader.hex_field<16>("vault"));
  file.anchor.owner = TRY(reader.hex_field<32>("owner"));
  file.member = TRY(reader.hex_field<16>("member"));
  const std::string_view role = TRY(reader.field("role"));
  const Result<Role> parsed_role = parse_role(role);
  if (!parsed_role) return reader.fail_line("role");
  file.role = *parsed_role;
  file.key = TRY(reader.key_field("key"));
  TRY(reader.end());
  return file;
}

}  // namespace coppice::keys
