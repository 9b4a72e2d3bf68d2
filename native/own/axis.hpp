// Weights along one axis: from samples of one component's plane straight to output pixels.
//
// Pillow's antialiased bilinear filter works on full-resolution pixels, and libjpeg's triangle
// upsampling makes those from chroma samples. Both are linear, so their product is one set of
// weights on the plane itself: the same result without ever making the pixels in between.
#pragma once

#include <cstdint>
#include <vector>

namespace imagetree::own {

constexpr int kWeightBits = 15;

struct AxisRequest {
  double begin = 0, end = 0;        // box in pixels of the scaled picture
  int clamp_begin = 0, clamp_end = 0;  // taps stay within these pixels of the scaled picture
  int n_out = 0;
  bool mirrored = false;
  int n_upsampled = 1;  // pixels a sample of this plane stands for: 1, 2, 4
  bool smooth = false;  // two pixels a sample by the triangle rule, else each sample repeated
  int n_samples = 0;    // of the whole plane

  bool operator==(const AxisRequest& o) const {
    return begin == o.begin && end == o.end && clamp_begin == o.clamp_begin &&
           clamp_end == o.clamp_end && n_out == o.n_out && mirrored == o.mirrored &&
           n_upsampled == o.n_upsampled && smooth == o.smooth && n_samples == o.n_samples;
  }
};

struct Axis {
  int n_taps = 0;                    // the same for all outputs, even, zeros behind the last
  int first = 0, last = 0;           // samples that any output needs: first to last - 1
  std::vector<std::int32_t> starts;  // (n_out)
  std::vector<std::int16_t> weights; // (n_out, n_taps), in 1 / 2^15, each row sums to 1
};

void build(const AxisRequest& request, Axis& axis);

}  // namespace imagetree::own
