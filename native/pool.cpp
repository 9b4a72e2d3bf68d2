#include "pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace imagetree {

namespace {

struct Job {
  void (*work)(void*, int);
  void* context;
  int n;
  std::atomic<int> next{0};
  int n_wanted;      // threads that may still join; guarded by the pool's mutex
  int n_working = 0; // threads that have joined and not left; guarded likewise
  std::condition_variable left;

  void do_all() {
    for (int i = next.fetch_add(1); i < n; i = next.fetch_add(1)) work(context, i);
  }
};

class Pool {
 public:
  void run(int n_threads, Job& job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job.n_wanted = std::min(n_threads, job.n) - 1;
      grow(job.n_wanted);
      jobs_.push_back(&job);
    }
    awake_.notify_all();
    job.do_all();
    std::unique_lock<std::mutex> lock(mutex_);
    const auto place = std::find(jobs_.begin(), jobs_.end(), &job);
    if (place != jobs_.end()) jobs_.erase(place);
    job.left.wait(lock, [&] { return job.n_working == 0; });
  }

  void end() {
    std::vector<std::thread> threads;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
      threads.swap(threads_);
    }
    awake_.notify_all();
    for (std::thread& thread : threads) thread.join();
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = false;
  }

  int size() {
    std::lock_guard<std::mutex> lock(mutex_);
    return int(threads_.size());
  }

 private:
  void grow(int n) {
    try {
      while (!ending_ && int(threads_.size()) < n) threads_.emplace_back([this] { live(); });
    } catch (const std::system_error&) {
      // Fewer threads then: the caller works too, so everything gets done.
    }
  }

  void live() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      awake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job* job = jobs_.front();
      if (--job->n_wanted <= 0) jobs_.pop_front();
      ++job->n_working;
      lock.unlock();
      job->do_all();
      lock.lock();
      if (--job->n_working == 0) job->left.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable awake_;
  std::deque<Job*> jobs_;
  std::vector<std::thread> threads_;
  bool ending_ = false;
};

// Never destroyed: threads of a process that exits without end_pool() may still be in it.
std::atomic<Pool*> the_pool{nullptr};
std::once_flag once;

void forget_pool() {
  // In a forked child the threads are gone and the mutex is in an unknown state.
  the_pool.store(new Pool);
}

Pool& pool() {
  std::call_once(once, [] {
    the_pool.store(new Pool);
    pthread_atfork(nullptr, nullptr, forget_pool);
  });
  return *the_pool.load();
}

} // namespace

void run_in_pool(int n_threads, int n, void (*work)(void*, int), void* context) {
  if (n_threads <= 1 || n <= 1) {
    for (int i = 0; i < n; ++i) work(context, i);
    return;
  }
  Job job;
  job.work = work;
  job.context = context;
  job.n = n;
  pool().run(n_threads, job);
}

void end_pool() { pool().end(); }

int pool_size() { return pool().size(); }

} // namespace imagetree
