// The antialiased resize of RGB rows while they are decoded: first down, then across.
//
//   rows (uint8) --blend_rows--> one row, as wide as the source (int16, 8 fractional bits)
//                --resample_row--> one output row (uint8)
//
// Down first, because a downscale leaves fewer rows for the dearer step across. Whole-number
// arithmetic throughout: every machine and every number of threads gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "taps.hpp"

namespace imagetree {

constexpr int kDownTotal = 256;     // sum of an output row's weights
constexpr int kAcrossTotal = 16384; // sum of an output column's weights
constexpr int kMostTaps = 256;      // finer weights than 1/256 there are not
constexpr int kRowSlack = 64;       // bytes that may be read behind a row's last pixel

// One implementation a set of instructions; all give the same bytes.
struct Instructions {
  const char* name;
  // Lays out the weights of the step across eight pixels at a time, as resample_row wants them.
  bool grouped;
  // out[i] = sum over k rows of weight * (row[i] - 128), for i < n; rows and out have slack.
  void (*blend_rows)(const uint8_t* const* rows, const int16_t* weights, int k, int n,
                     int16_t* out);
  // One output row (n, 3) from a blended row; offset and weight are those of Across.
  void (*resample_row)(const int16_t* row, const int* offset, const int16_t* weight, int pairs,
                       int n, uint8_t* rgb);
  // Grey values of n pixels with Pillow's weights; rgb and grey have slack.
  void (*to_grey)(const uint8_t* rgb, int n, uint8_t* grey);
};

// Pillow's mode L (ITU-R 601-2 luma), in its arithmetic.
inline uint8_t grey_of(const uint8_t* rgb) {
  return uint8_t((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

// What the step across needs of an output row, in the order in which it is wanted.
class Across {
 public:
  // May throw std::bad_alloc. With `mirrored` the row comes out from right to left.
  void make(const Taps& taps, bool mirrored, const Instructions& instructions);
  void resample(const Instructions& instructions, const int16_t* row, uint8_t* rgb) const {
    instructions.resample_row(row, offset_.data(), weight_.data(), pairs_, n_, rgb);
  }

 private:
  void arrange_grouped(const Taps& taps, bool mirrored);

  int n_ = 0;                   // output pixels
  int pairs_ = 0;               // pairs of taps a pixel
  std::vector<int> offset_;     // (n rounded up to 8,) first tap, as an index into the row
  std::vector<int16_t> weight_; // (n, pairs, 2), or by groups of eight
};

extern const Instructions kPortable;
const Instructions* avx2(); // null where it was not built in or the processor has none
const Instructions& instructions();

} // namespace imagetree
