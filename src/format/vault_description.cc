// vault.json. Text, so that whoever finds the directory in twenty years can see what it is.

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "codec_internal.h"
#include "format/keyring.h"
#include "foundation/encoding.h"

namespace coppice::format {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormatName = "coppice vault";
constexpr int kDepthMax = 4;   // ours is 3; the parser must not be led deeper
constexpr std::string_view kKeys[] = {"format", "version", "id", "owner", "features", "created"};

std::unexpected<Error> corrupt(std::string_view rule) { return fail(ErrorKind::kCorrupt, fmt::format("vault.json: {}", rule)); }

bool is_feature_name(std::string_view name) {
  return !name.empty() && name.size() <= kVaultFeatureBytesMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthMax) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// The value under `key`, or null.
const Json* find(const Json& object, std::string_view key) {
  for (auto it = object.begin(); it != object.end(); ++it)
    if (it.key() == key) return &it.value();
  return nullptr;
}

const std::string* find_text(const Json& object, std::string_view key) {
  const Json* value = find(object, key);
  return value ? value->get_ptr<const std::string*>() : nullptr;
}

template <std::size_t N>
bool parse_bytes(const Json& object, std::string_view key, std::array<std::byte, N>& out) {
  const std::string* text = find_text(object, key);
  if (!text || text->size() != 2 * N) return false;
  const Result<Bytes> bytes = parse_hex(*text);
  if (!bytes || bytes->size() != N || render_hex(*bytes) != *text) return false;
  std::ranges::copy(*bytes, out.begin());
  return true;
}

bool parse_features(const Json& features, std::string_view key, std::vector<std::string>& out) {
  const Json* list = find(features, key);
  if (!list || !list->is_array() || list->size() > kVaultFeaturesMax) return false;
  for (const Json& item : *list) {
    const std::string* name = item.get_ptr<const std::string*>();
    if (!name || !is_feature_name(*name)) return false;
    out.push_back(*name);
  }
  return true;
}

bool has_unknown_key(const Json& object, std::span<const std::string_view> known) {
  for (auto it = object.begin(); it != object.end(); ++it)
    if (std::ranges::find(known, it.key()) == known.end()) return true;
  return false;
}

// Parses, refusing an object that has one key twice: two readers might take different ones.
std::optional<Json> parse_strictly(std::string_view text) {
  bool repeated = false;
  std::vector<std::vector<std::string>> open;   // the keys seen so far, by depth
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      if (!open.empty()) open.pop_back();
    } else if (event == Json::parse_event_t::key && !open.empty()) {
      const std::string* key = parsed.get_ptr<const std::string*>();
      if (!key || std::ranges::find(open.back(), *key) != open.back().end() || open.back().size() > kVaultFeaturesMax)
        repeated = true;
      else
        open.back().push_back(*key);
    }
    return !repeated;
  };
  Json json = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (json.is_discarded() || repeated) return std::nullopt;
  return json;
}

Result<VaultDescription> decode(ByteSpan bytes) {
  if (bytes.size() > kVaultDescriptionBytesMax) return corrupt("it is longer than it may be");
  const std::string_view text = as_text(bytes);
  if (too_deep(text)) return corrupt("it is nested too deeply");
  const std::optional<Json> parsed = parse_strictly(text);
  if (!parsed) return corrupt("it is not JSON");
  const Json& json = *parsed;
  if (!json.is_object()) return corrupt("it is no JSON object");
  const std::string* format = find_text(json, "format");
  if (!format || *format != kFormatName) return corrupt("its format is not \"coppice vault\"");
  const Json* version = find(json, "version");
  if (!version || !version->is_number_unsigned()) return corrupt("its version is no number");
  // The rest is judged by the rules of its own version, so the version comes first.
  const std::uint64_t number = version->get<std::uint64_t>();
  if (number != kFormatVersion)
    return fail(ErrorKind::kUnsupported,
                fmt::format("this vault is format {}; this coppice reads format {}", number, kFormatVersion));
  VaultDescription description;
  const Json* features = find(json, "features");
  if (!features || !features->is_object() || !parse_features(*features, "read", description.read_features) ||
      !parse_features(*features, "write", description.write_features) ||
      !parse_features(*features, "ignorable", description.ignorable_features))
    return corrupt("its features are not three lists of names");
  if (!description.read_features.empty())
    return fail(ErrorKind::kUnsupported, fmt::format("reading this vault takes the feature \"{}\", which this coppice (format {}) does not have",
                                                     description.read_features.front(), kFormatVersion));
  constexpr std::string_view kFeatureKeys[] = {"read", "write", "ignorable"};
  if (description.write_features.empty() && description.ignorable_features.empty() &&
      (has_unknown_key(json, kKeys) || has_unknown_key(*features, kFeatureKeys)))
    return corrupt("it has a key that format 1 does not have");
  if (!parse_bytes(json, "id", description.id)) return corrupt("its id is not 32 lower-case hex digits");
  if (!parse_bytes(json, "owner", description.owner)) return corrupt("its owner key is not 64 lower-case hex digits");
  const std::string* created = find_text(json, "created");
  const Result<TimeSpan> time = created && created->size() <= 64 ? parse_time(*created) : fail(ErrorKind::kInvalid, "");
  if (!time || render_utc(time->begin) != *created) return corrupt("its time of creation is not like 2026-01-31T08:00:00Z");
  description.created = time->begin;
  return description;
}

}  // namespace

Bytes encode_vault_description(const VaultDescription& description) {
  CHECK(description.version == kFormatVersion);
  Json features = Json::object();
  const auto put = [&](const char* key, const std::vector<std::string>& names) {
    CHECK(names.size() <= kVaultFeaturesMax && std::ranges::all_of(names, is_feature_name));
    features[key] = names;
  };
  put("read", description.read_features);
  put("write", description.write_features);
  put("ignorable", description.ignorable_features);
  Json json = Json::object();
  json["format"] = kFormatName;
  json["version"] = description.version;
  json["id"] = render_hex(description.id);
  json["owner"] = render_hex(description.owner);
  json["features"] = std::move(features);
  json["created"] = render_utc(description.created);
  const std::string text = json.dump(2) + "\n";
  return to_bytes(as_bytes(text));
}

Result<VaultDescription> decode_vault_description(ByteSpan bytes) {
  try {
    return decode(bytes);
  } catch (const std::exception& e) {   // the JSON library's; nothing passes this layer
    return corrupt(e.what());
  }
}

}  // namespace coppice::format
