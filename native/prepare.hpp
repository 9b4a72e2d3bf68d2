// What collecting needs of an image, in one pass over its pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "scratch.hpp"
#include "tile.hpp"

namespace imagetree {

constexpr int kGreySide = 32; // the perceptual hash's grey square

struct Wanted {
  int orientation; // EXIF 1..8
  int eighths;     // DCT scale, 8, 4, 2 or 1 eighths
  int width, height; // of the thumbnail, upright
  int quality;       // of its JPEG
};

struct Prepared {
  const uint8_t* jpeg; // the thumbnail; lies in scratch until its next use
  size_t n_bytes;
  uint8_t grey[kGreySide * kGreySide]; // the upright picture, resized by Pillow's BOX
};

Status prepare_turbo(const uint8_t* data, size_t n_bytes, const Wanted& wanted, Scratch& scratch,
                     Prepared& out);

} // namespace imagetree
