#include "kept.hpp"

#include <memory>

namespace imagetree {

Kept& kept_by_this_thread() {
  thread_local std::unique_ptr<Kept> kept;
  if (!kept) kept = std::make_unique<Kept>();
  return *kept;
}

} // namespace imagetree
