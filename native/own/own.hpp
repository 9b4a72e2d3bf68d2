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
  OwnScratch();
  ~OwnScratch();
  OwnScratch(const OwnScratch&) = delete;
  OwnScratch& operator=(const OwnScratch&) = delete;
  own::State& state() { return *state_; }

 private:
  std::unique_ptr<own::State> state_;
};

// Whether the AVX2 build runs here; `force_portable` makes the other one run, for tests.
bool own_uses_avx2();
void force_portable(bool yes);

}  // namespace imagetree
