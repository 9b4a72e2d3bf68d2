// Many tiles into one batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tile.hpp"

namespace imagetree {

enum class Engine : int { automatic = 0, turbo = 1, own = 2 };

enum class Layout : int {
  uint8 = 0,    // (n, height, width, channels)
  float32 = 1,  // (n, channels, height, width), (value / 255 - mean) / std
  bfloat16 = 2, // the same, rounded to the nearest, ties to even
};

struct Source { // the bytes of one file
  const uint8_t* data;
  size_t n_bytes;
};

constexpr int kAsTheFileSays = 0; // an orientation that is read from the file's EXIF

struct TileRow { // a row of the caller's array of tiles
  float x0, y0, x1, y1;
  int32_t bx0, by0, bx1, by1;
  int32_t flip, orientation;
};

struct Batch {
  const Source* sources;
  const TileRow* tiles;
  int n;
  int width, height, channels; // channels 1 or 3
  Layout layout;
  double mean[3], std[3]; // of red, green, blue where 1 is white
  Engine engine;
  int64_t max_pixels; // larger pictures, and
  int64_t max_bytes;  // larger files, are left to the caller
  void* out;
  int32_t* status; // (n,) Status of every image
};

// Fills batch.out and batch.status. Images with another status than ok are not written, or written
// in part. Throws std::bad_alloc at most before it began.
void fill(const Batch& batch, int n_threads);

} // namespace imagetree
