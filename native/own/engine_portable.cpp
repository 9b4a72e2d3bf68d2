#define IMAGETREE_BUILD portable
#include "engine.hpp"

namespace imagetree::own::portable {

bool run(State& state, std::uint8_t* rgb, std::ptrdiff_t row_stride) {
  if (!read_scan(state)) return false;
  write_rows(state, rgb, row_stride);
  return true;
}

}  // namespace imagetree::own::portable
