// Which source pixels an output pixel is made of, and with which weights.
#pragma once

#include <cstdint>
#include <vector>

namespace imagetree {

// Taps of all output pixels of one axis. Weights are whole numbers with an exact sum, so that a
// plain surface stays plain and every machine gives the same bytes.
struct Taps {
  int n = 0;                  // output pixels
  int width = 0;              // weights kept a pixel (most taps of any pixel)
  int first = 0, last = 0;    // half-open range of source pixels that any output pixel needs
  std::vector<int> start;     // (n,) first source pixel
  std::vector<int> count;     // (n,) number of taps, 1 to width
  std::vector<int16_t> weight; // (n, width), zero behind count
  std::vector<float> exact;   // room for one pixel's weights

  // Output pixel i has its centre at x0 + (i + .5) * (x1 - x0) / n_out, in source pixels; taps stay
  // in [lowest, highest). The weights of a pixel sum up to `total`. May throw std::bad_alloc.
  void make(double x0, double x1, int n_out, int lowest, int highest, int total);
};

} // namespace imagetree
