// A small vault in memory with an owner, a reader, a writer and a keeper, and snapshots made of path -> content.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "format/tree.h"
#include "keys/roster.h"
#include "keys/slot.h"
#include "packs/lists.h"
#include "storage/memory_store.h"
#include "support/result.h"
#include "vault/create.h"
#include "vault/reader.h"
#include "vault/writer.h"

namespace coppice::testing {

using Files = std::map<std::string, std::string>;  // "a/b" -> content

struct TestVault {
  explicit TestVault(std::uint64_t seed = 1) : entropy(seed) {
    random(vault.id);
    random(vault.root.writable());
    using format::Role;
    std::vector<format::KeySlot> slots;
    for (const auto& [role, name] : {std::pair(Role::kOwner, "owner"), std::pair(Role::kReader, "reader"),
                                     std::pair(Role::kWriter, "writer"), std::pair(Role::kKeeper, "keeper")}) {
      format::MemberId id;
      random(id);
      crypto::Key signing;
      random(signing.writable());
      ids[role] = id;
      seeds[role] = signing.duplicate();
      const keys::KeyBundle bundle =
          keys::make_bundle(vault.root, vault.id, role, id, std::move(signing), keys::kFirstEpoch);
      slots.push_back(keys::make_key_file_slot(bundle, owner_seed(), filler()).slot);
      members.push_back(keys::describe_member(bundle, slots.back(), name, clock.now()));
    }
    EXPECT_OK(vault::create_vault(store, vault, members, slots, clock));
  }

  crypto::Key owner_seed() const { return keys::derive_owner_seed(vault.root, vault.id); }
  keys::Random filler() {
    return [this](MutableByteSpan into) { entropy.fill(into); };
  }
  void random(MutableByteSpan into) { entropy.fill(into); }

  keys::KeyBundle bundle(format::Role role) const {
    return keys::make_bundle(vault.root, vault.id, role, ids.at(role), seeds.at(role).duplicate(), keys::kFirstEpoch);
  }
  Result<std::unique_ptr<vault::Vault>> open(format::Role role = format::Role::kReader, std::string state = "") {
    return vault::Vault::open(store, bundle(role), std::move(state), clock, entropy);
  }

  // Backs `files` up as `role`.
  vault::Snapshot back_up(const Files& files, format::Role role = format::Role::kReader,
                          std::string_view lineage = "host /", std::size_t leaf_entries_max = 1000000) {
    auto opened = open(role);
    EXPECT_OK(opened);
    auto writer = vault::Writer::begin(**opened, lineage, {.workers = 1, .memory_bytes = 64u << 20});
    EXPECT_OK(writer);
    format::SnapshotBody body{.host = "host", .sources = {"/"}, .started = clock.now()};
    body.root = put_directory(**writer, files, leaf_entries_max);
    auto snapshot = (*writer)->commit(body);
    EXPECT_OK(snapshot);
    clock.advance_seconds(3600);
    return std::move(*snapshot);
  }

  format::ChunkRef put_directory(vault::Writer& writer, const Files& files, std::size_t leaf_entries_max) {
    std::map<std::string, Files> below;
    std::map<std::string, std::string> here;
    for (const auto& [path, content] : files) {
      const std::size_t slash = path.find('/');
      if (slash == std::string::npos)
        here[path] = content;
      else
        below[path.substr(0, slash)][path.substr(slash + 1)] = content;
    }
    std::map<std::string, format::Entry> entries;
    std::map<std::string, format::ChunkRef> content_refs;
    for (const auto& [name, sub] : below) {
      format::Entry entry{.name = name, .type = format::EntryType::kDirectory, .mode = 0755};
      entry.child = put_directory(writer, sub, leaf_entries_max);
      entries[name] = entry;
    }
    for (const auto& [name, content] : here) {
      format::Entry entry{.name = name, .mode = 0644, .size = content.size(), .mtime = {1000, 0}};
      entry.ctime.seconds =
          crypto::xxh3_64(as_bytes(content)) % 1'000'000;  // as a file system would: another content, another ctime
      if (!content.empty()) {
        auto ticket = std::make_shared<vault::ChunkTicket>();
        EXPECT_OK(writer.put_data(vault::share(to_bytes(as_bytes(content))), ticket));
        EXPECT_OK(writer.drain());
        content_refs[name] = ticket->ref();
        writer.refer(ticket->ref());
      }
      entries[name] = entry;
    }
    // Leaves of at most leaf_entries_max entries, an index page above when there are several.
    std::vector<format::IndexPageEntry> pages;
    format::LeafBuilder leaf;
    std::string first;
    const auto finish = [&] {
      auto ref = writer.put_tree(leaf.finish());
      EXPECT_OK(ref);
      pages.push_back({first, *ref});
    };
    for (auto& [name, entry] : entries) {
      if (leaf.entries() == 0) first = name;
      if (const auto it = content_refs.find(name); it != content_refs.end())
        entry.slices.push_back({.chunk = leaf.add_chunk(it->second), .offset = 0, .length = entry.size});
      leaf.add_entry(entry);
      if (leaf.entries() >= leaf_entries_max) finish();
    }
    if (leaf.entries() > 0 || pages.empty()) finish();
    if (pages.size() == 1) return pages.front().page;
    auto ref = writer.put_tree(format::encode_index_page(pages));
    EXPECT_OK(ref);
    return *ref;
  }

  // What a reader gets back of it, all of it or an error.
  Result<Files> read_back(const vault::Snapshot& snapshot) {
    auto opened = TRY(open());
    auto reader = TRY(vault::ChunkReader::create(*opened, 8u << 20));
    const auto found = TRY(opened->snapshot(snapshot.session));
    Files files;
    if (found.body->root) TRY(read_directory(*reader, *found.body->root, "", files));
    return files;
  }
  Result<> read_directory(vault::ChunkReader& reader, const format::ChunkRef& node, const std::string& prefix, Files& files) {
    return vault::read_directory(reader, node, [&](const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) -> Result<> {
      if (entry.child) return read_directory(reader, *entry.child, prefix + entry.name + "/", files);
      std::string& content = files[prefix + entry.name];
      return vault::read_slices(reader, entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
        const auto chunk = TRY(reader.chunk(*ref));
        content += as_text(chunk.bytes.subspan(slice.offset, slice.length));
        return {};
      });
    });
  }
  // The packs that the commit of `snapshot` names.
  std::vector<format::PackRecord> packs_of(const vault::Snapshot& snapshot) {
    std::vector<format::PackRecord> all;
    EXPECT_OK(packs::read_pack_list(store, snapshot.commit.packs, [&](const std::vector<format::PackRecord>& records) -> Result<> {
      all.insert(all.end(), records.begin(), records.end());
      return {};
    }));
    return all;
  }

  std::vector<std::string> objects(std::string_view prefix = "") {
    std::vector<std::string> names;
    EXPECT_OK(store.list(prefix, [&](const storage::ObjectInfo& object) -> Result<> {
      names.push_back(object.name);
      return {};
    }));
    std::ranges::sort(names);
    return names;
  }
  Bytes bytes_of(const std::string& object) { return *store.get(object, 1u << 30); }
  // Replaces an object, as only someone with the disk in hand can.
  void replace(const std::string& object, Bytes bytes) {
    EXPECT_OK(store.remove(object));
    EXPECT_OK(store.put(object, bytes));
  }

  storage::MemoryStore store;
  platform::ManualClock clock{{.seconds = 1795334400}};
  platform::SeededEntropy entropy;
  vault::NewVault vault;
  std::vector<format::Member> members;
  std::map<format::Role, format::MemberId> ids;
  std::map<format::Role, crypto::Key> seeds;
};

// Bytes that do not compress, the same for the same seed.
inline std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::string text(bytes, '\0');
  platform::SeededEntropy entropy(seed);
  entropy.fill({reinterpret_cast<std::byte*>(text.data()), text.size()});
  return text;
}

}  // namespace coppice::testing
