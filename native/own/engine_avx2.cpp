// Compiled for AVX2 and BMI2; called only where the processor has them.
#define IMAGETREE_BUILD avx2
#include "engine.hpp"

namespace imagetree::own::avx2 {

bool run(State& state, std::uint8_t* rgb, std::ptrdiff_t row_stride) {
  if (!read_scan(state)) return false;
  write_rows(state, rgb, row_stride);
  return true;
}

}  // namespace imagetree::own::avx2
