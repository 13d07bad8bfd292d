// Where a vault's objects live. Four operations, because that is what every store can do: put-if-absent, ranged get, list,
// delete. No overwrite, rename, append, lock or time.
//
// The contract, which every store and wrapper keeps (tests/storage/contract.h is its one test suite):
// - put returns a value only when the bytes are durable under that name. An object is whole or absent: never partly there.
// - put of a name that is taken is kConflict, whatever the bytes; of two racing puts exactly one wins.
// - A put that failed otherwise (kUnavailable, kExhausted) may or may not have stored the object: get it and compare.
// - list is a hint, never evidence: it may be stale, and leave out or name objects wrongly.
// - A name is "segment/segment/...": segments of [A-Za-z0-9._-], none of them "." or "..", not starting with a dot, 255 bytes in all.
// All calls are safe from any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::storage {

struct ObjectInfo {
  std::string name;
  std::uint64_t size = 0;
};

// Called before so many more bytes are handed to the disk or network; takes its time.
using Pace = std::function<void(std::size_t bytes)>;
inline constexpr std::size_t kPaceBytes = 1u << 20;

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual Result<> put(std::string_view name, ByteSpan bytes) = 0;
  // The same in slices of at most kPaceBytes, each after a call of `pace`. A store that cannot, waits for all of them first.
  virtual Result<> put_paced(std::string_view name, ByteSpan bytes, const Pace& pace);
  // The whole object; kInvalid when it is larger than bytes_max (nothing is allocated beyond that).
  virtual Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) = 0;
  // Exactly into.size() bytes from offset; kCorrupt when the object ends before that.
  virtual Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) = 0;
  // A hint: this range will be asked for soon. Returns at once, whatever the store makes of it.
  virtual void announce(std::string_view /*name*/, std::uint64_t /*offset*/, std::uint64_t /*bytes*/) {}
  virtual Result<std::uint64_t> size(std::string_view name) = 0;
  // Every object whose name starts with `prefix` ("" or ending in '/'), in no order, one call each; stops when `each` returns an error.
  virtual Result<> list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) = 0;
  virtual Result<> remove(std::string_view name) = 0;   // of an absent object: success
  // Bytes that may still be stored, if the store knows.
  virtual Result<std::uint64_t> free_bytes() = 0;       // kUnsupported when it does not
  virtual std::string describe() const = 0;             // for messages: "/srv/vault"
};

// kInvalid unless `name` keeps the rule above.
Result<> check_object_name(std::string_view name);
// kInvalid unless `prefix` is "" or a name followed by '/'. For stores.
Result<> check_list_prefix(std::string_view prefix);

// Whether anything has `name`, be it no file or not ours to read. An error: the store does not say.
Result<bool> is_taken(ObjectStore& store, const std::string& name);

// put (put_paced, if there is a pace), then on kConflict (or kUnavailable) get and compare: when the bytes are mine, it is mine. kConflict when they are
// another's; the put's own error when the get finds nothing.
Result<> put_or_confirm(ObjectStore& store, std::string_view name, ByteSpan bytes, const Pace& pace = {});

}  // namespace coppice::storage
