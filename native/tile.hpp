// What the kernel is asked for, and what it answers: one tile of one JPEG.
//
// Both engines stand behind the same function: `decode_tile_turbo` on libjpeg-turbo, and
// `decode_tile_own` on a Huffman decoder of our own for the plain files that make up most of a
// photo collection. Neither throws, neither crashes on hostile bytes, and what they do not handle
// they leave to the caller with a status.
#pragma once

#include <cstddef>
#include <cstdint>

namespace imagetree {

struct Tile {             // what is wanted of one image
  float x0, y0, x1, y1;   // box in pixels of the upright (EXIF applied) full-size picture; output
                          // pixel i has its centre at x0 + (i + .5) * (x1 - x0) / out_w
  int bx0, by0, bx1, by1; // filter taps are clamped to these whole upright pixels: the crop itself
                          // (crop, then resize) or the whole picture (resize, then crop)
  int out_w, out_h;
  bool flip;              // mirror left-right after the resize
  int orientation;        // EXIF 1..8, of the stored picture
};

enum class Status : int {
  ok = 0,
  unsupported = 1,  // let Pillow do it
  damaged = 2,      // let Pillow say what is wrong
  bad_argument = 3, // no such tile in this picture
  no_memory = 4,
};

class Scratch;    // one a thread, reused; holds growing buffers
class OwnScratch; // the same for the own engine

// Fills rgb (out_h, out_w, 3) uint8, rows row_stride bytes apart. The filter is Pillow's BILINEAR:
// a triangle of half-width max(1, scale), so every pixel under an output pixel counts.
Status decode_tile_turbo(const uint8_t* data, size_t n_bytes, const Tile& tile, Scratch& scratch,
                         uint8_t* rgb, ptrdiff_t row_stride);
Status decode_tile_own(const uint8_t* data, size_t n_bytes, const Tile& tile, OwnScratch& scratch,
                       uint8_t* rgb, ptrdiff_t row_stride);

// The largest output side; keeps products of sides far from overflow.
constexpr int kMaxOutputSide = 16384;

} // namespace imagetree
