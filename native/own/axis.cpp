#include "axis.hpp"

#include <algorithm>
#include <cmath>

namespace imagetree::own {

namespace {

// Adds the weights of one full-resolution pixel to those of the samples that it is made of.
void add_pixel(const AxisRequest& r, int pixel, float weight, float* sums, int origin) {
  if (r.n_upsampled == 1) {
    sums[pixel - origin] += weight;
    return;
  }
  const int sample = std::min(pixel / r.n_upsampled, r.n_samples - 1);
  if (!r.smooth || r.n_upsampled != 2) {
    sums[sample - origin] += weight;
    return;
  }
  const int beside = std::clamp(sample + (pixel % 2 ? 1 : -1), 0, r.n_samples - 1);
  sums[sample - origin] += 0.75f * weight;
  sums[beside - origin] += 0.25f * weight;
}

// Rounds weights so that they sum to one exactly: the largest takes what rounding left over.
void quantise(const float* sums, int n, float total, std::int16_t* out) {
  const float scale = static_cast<float>(1 << kWeightBits) / total;
  int left = 1 << kWeightBits, largest = 0;
  for (int i = 0; i < n; ++i) {
    const int value = static_cast<int>(sums[i] * scale + 0.5f);
    out[i] = static_cast<std::int16_t>(std::min(value, 32767));
    left -= value;
    if (sums[i] > sums[largest]) largest = i;
  }
  out[largest] = static_cast<std::int16_t>(std::min(out[largest] + left, 32767));
}

}  // namespace

void build(const AxisRequest& r, Axis& axis) {
  const double scale = (r.end - r.begin) / r.n_out;
  const double support = std::max(1.0, scale);
  // One sample more on each side for the triangle rule, one for rounding.
  const int n_pixels = static_cast<int>(std::ceil(2 * support)) + 2;
  const int n_most = n_pixels / r.n_upsampled + 4;
  axis.n_taps = n_most + (n_most & 1);
  axis.starts.assign(static_cast<std::size_t>(r.n_out), 0);
  axis.weights.assign(static_cast<std::size_t>(r.n_out) * axis.n_taps, 0);
  static thread_local std::vector<float> sums;
  sums.resize(static_cast<std::size_t>(axis.n_taps) + 1);
  axis.first = r.n_samples;
  axis.last = 0;
  int n_used = 2;
  const float slope = static_cast<float>(1.0 / support);
  for (int i = 0; i < r.n_out; ++i) {
    const double centre = r.begin + (i + 0.5) * scale;
    int from = std::max(static_cast<int>(centre - support + 0.5), r.clamp_begin);
    int to = std::min(static_cast<int>(centre + support + 0.5), r.clamp_end);
    from = std::min(from, r.clamp_end - 1);
    to = std::max(to, from + 1);
    const int origin = std::max(0, from / r.n_upsampled - (r.n_upsampled > 1 ? 1 : 0));
    std::fill(sums.begin(), sums.end(), 0.0f);
    float total = 0;
    const auto start = static_cast<float>(from - centre + 0.5);
    for (int pixel = from; pixel < to; ++pixel) {
      const float weight = 1.0f - std::fabs(start + static_cast<float>(pixel - from)) * slope;
      if (weight <= 0) continue;
      add_pixel(r, pixel, weight, sums.data(), origin);
      total += weight;
    }
    if (total <= 0) {  // a box outside of the clamps: the nearest pixel
      add_pixel(r, from, 1.0f, sums.data(), origin);
      total = 1;
    }
    int low = 0, high = axis.n_taps;
    while (low < high - 1 && sums[low] == 0) ++low;
    while (high > low + 1 && sums[high - 1] == 0) --high;
    const int place = r.mirrored ? r.n_out - 1 - i : i;
    axis.starts[place] = origin + low;
    quantise(sums.data() + low, high - low, total,
             axis.weights.data() + static_cast<std::size_t>(place) * axis.n_taps);
    n_used = std::max(n_used, high - low);
    axis.first = std::min(axis.first, origin + low);
    axis.last = std::max(axis.last, origin + high);
  }
  // Most requests need fewer taps than the bound: close the rows up.
  n_used += n_used & 1;
  if (n_used < axis.n_taps) {
    for (int i = 1; i < r.n_out; ++i) {
      const auto* source = axis.weights.data() + static_cast<std::size_t>(i) * axis.n_taps;
      std::copy(source, source + n_used,
                axis.weights.data() + static_cast<std::size_t>(i) * n_used);
    }
    axis.n_taps = n_used;
  }
}

}  // namespace imagetree::own
