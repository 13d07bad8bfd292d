// A mutex that clang's thread-safety analysis understands (-Wthread-safety); with other compilers the marks are empty.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define COPPICE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define COPPICE_THREAD_ATTRIBUTE(x)
#endif
#define CAPABILITY(x) COPPICE_THREAD_ATTRIBUTE(capability(x))
#define SCOPED_CAPABILITY COPPICE_THREAD_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(x) COPPICE_THREAD_ATTRIBUTE(guarded_by(x))
#define REQUIRES(...) COPPICE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) COPPICE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) COPPICE_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) COPPICE_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))

namespace coppice {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// wait() is called with the mutex held and returns with it held; it may wake without cause: loop on the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace coppice
