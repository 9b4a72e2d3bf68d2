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

// Fills the thumbnail's JPEG and the grey (32, 32) box-resized picture.
Status prepare_turbo(const uint8_t* data, size_t n_bytes, const Wanted& wanted, Scratch& scratch,
                     std::vector<uint8_t>& rgb, std::vector<uint8_t>& jpeg, uint8_t* grey);

} // namespace imagetree
