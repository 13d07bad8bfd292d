// The flags of chattr(1).
#pragma once

#include <linux/fs.h>

#include <cstdint>

#ifndef FS_CASEFOLD_FL
#define FS_CASEFOLD_FL 0x40000000
#endif

namespace coppice::platform {

// Those that a user or administrator sets. The others describe how the file system keeps the object, and are its own
// business.
inline constexpr std::uint32_t kUserFileFlags =
    FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL |
    FS_NOCOMP_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL | FS_DAX_FL |
    FS_PROJINHERIT_FL | FS_CASEFOLD_FL;

}  // namespace coppice::platform
