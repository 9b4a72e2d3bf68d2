// The own engine's face: a baseline Huffman decoder with a planar resize.
#pragma once

#include "../tile.hpp"

namespace imagetree {

class OwnScratch {
 public:
  explicit OwnScratch(int64_t max_pixels) : max_pixels(max_pixels) {}
  int64_t max_pixels;
};

} // namespace imagetree
