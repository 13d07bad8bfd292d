// The local record of packs that a session has had acknowledged but not yet committed, so that the next session of this writer can adopt
// them (docs/ARCHITECTURE.md, "Adoption"). One file a session, appended as packs are stored; locked while its session lives, from before
// it has its name. Not fsynced: a record lost with the machine costs storing that pack again. A torn or foreign record ends the reading.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/index.h"
#include "format/snapshot.h"
#include "platform/file.h"

namespace coppice::vault {

struct JournalRecord {
  format::PackRecord pack;
  std::vector<format::IndexEntry> chunks;
};

class Journal {
 public:
  // With an empty directory nothing is kept.
  static Result<Journal> create(const std::string& directory, const format::MemberId& writer, format::SessionId session);
  Result<> append(const JournalRecord& record);
  // The session was committed, or another adopted its records: the file goes.
  void remove();

  // Journals of dead sessions of this writer, oldest first; each is locked while the object lives, so that two writers never adopt one.
  static Result<std::vector<Journal>> orphans(const std::string& directory, const format::MemberId& writer);
  // The records one after the other, from the first. Nothing at the end.
  Result<std::optional<JournalRecord>> next();
  void rewind() { offset_ = 0; }

 private:
  Journal(std::string path, platform::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  platform::Fd fd_;
  std::uint64_t offset_ = 0;   // of the next record to read
};

}  // namespace coppice::vault
