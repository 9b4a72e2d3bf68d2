// What a thread keeps between images, so that the usual image allocates nothing of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "resize.hpp"
#include "tile.hpp"
#include "turbo.hpp"

namespace imagetree {

class Scratch {
 public:
  explicit Scratch(int64_t max_pixels) : max_pixels(max_pixels) {}

  int64_t max_pixels; // larger pictures are left to the caller
  TurboReader reader;
  Taps across_taps, down_taps;
  Across across;
  std::vector<uint8_t> ring;          // decoded rows, the newest overwrite the oldest
  std::vector<uint8_t*> ring_rows;    // rows of the ring, in the order of the picture
  std::vector<const uint8_t*> blended_rows;
  std::vector<int16_t> blended;       // one row after the step down
  std::vector<uint8_t> turned;        // a tile before rows become columns
  std::vector<uint8_t> rgb;           // a tile before it gets its layout
  std::vector<uint8_t> jpeg;          // a thumbnail
  std::vector<uint8_t> grey;          // grey values of a whole picture, for its fingerprint
};

} // namespace imagetree
