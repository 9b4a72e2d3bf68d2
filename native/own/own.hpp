// The own engine: baseline JPEGs by a Huffman decoder of our own and a planar resize.
#pragma once

#include <memory>

#include "../tile.hpp"

namespace imagetree {

namespace own {
struct State;
}

// Buffers and tables of one thread, reused from image to image.
class OwnScratch {
 public:
  explicit OwnScratch(int64_t max_pixels);
  ~OwnScratch();
  OwnScratch(const OwnScratch&) = delete;
  OwnScratch& operator=(const OwnScratch&) = delete;
  own::State& state() { return *state_; }

  int64_t max_pixels; // larger pictures are left to the caller

 private:
  std::unique_ptr<own::State> state_;
};

// Whether the AVX2 build runs here; `use_portable` makes the other one run, for tests.
bool own_uses_avx2();
void use_portable(bool yes);

}  // namespace imagetree
