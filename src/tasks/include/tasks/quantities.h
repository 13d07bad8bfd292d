// Numbers as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "foundation/result.h"
#include "foundation/size.h"

namespace coppice::tasks {

using coppice::parse_size, coppice::render_size;
std::string render_count(std::uint64_t n);     // "78,611"
std::string render_count(std::uint64_t n, std::string_view what);   // of "file": "78,611 files", "1 file"
std::string render_seconds(double seconds);    // "2.3 s", "4 min 12 s", "3 h 20 min"
std::string render_remaining(double seconds);  // "0:12", "1:04:00": for a clock that counts down

// How one ceiling for the whole process is shared out. What the structures below do not take is for code, stacks,
// buffers in flight and the allocator.
struct MemoryShares {
  std::uint64_t writer = 0;         // vault::WriterOptions::memory_bytes
  std::uint64_t reader_cache = 0;   // opened blocks kept by commands that read trees only, or write a stream
  std::uint64_t stream = 0;         // beside it: restore::write_tar, write_content
  std::uint64_t restore_cache = 0;  // the same beside a restore plan
  std::uint64_t restore_plan = 0;   // restore::RestoreOptions::memory_bytes
};
inline constexpr std::uint64_t kMemoryBytesDefault = 256ull << 20, kMemoryBytesMin = 128ull << 20;
MemoryShares share_memory(std::uint64_t ceiling_bytes);

}  // namespace coppice::tasks
