// Threads that outlive a call: one pool a process, made when it is first needed.
#pragma once

namespace imagetree {

// Calls work(context, i) for every i < n, in the calling thread and up to n_threads - 1 others, in
// any order; comes back when all are done. `work` must not throw. Any number of threads may call
// at the same time. A forked child begins with a pool of its own.
void run_in_pool(int n_threads, int n, void (*work)(void* context, int i), void* context);

// Ends the threads; the next call makes new ones.
void end_pool();

// Threads alive now, without the callers.
int pool_size();

} // namespace imagetree
