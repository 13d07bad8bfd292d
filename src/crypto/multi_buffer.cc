#include "multi_buffer.h"

#ifdef COPPICE_HAS_IPSEC_MB
namespace coppice::crypto {
namespace {

struct Manager {
  Manager() : manager(alloc_mb_mgr(0)) {
    if (!manager) return;
    init_mb_mgr_auto(manager, nullptr);
    if (imb_get_errno(manager) == 0) return;
    free_mb_mgr(manager);
    manager = nullptr;
  }
  ~Manager() {
    if (manager) free_mb_mgr(manager);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  IMB_MGR* manager;
};

}  // namespace

IMB_MGR* multi_buffer_manager() {
  thread_local const Manager one;
  return one.manager;
}

}  // namespace coppice::crypto
#endif
