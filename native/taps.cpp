#include "taps.hpp"

#include <algorithm>
#include <cmath>

namespace imagetree {

namespace {

// std::floor is a call where the compiler may not use SSE4.1.
inline int floor_of(double value) {
  const int whole = int(value);
  return whole - int(value < whole);
}

} // namespace

void Taps::make(double x0, double x1, int n_out, int lowest, int highest, int total) {
  n = n_out;
  const double scale = (x1 - x0) / n_out, support = std::max(1.0, scale);
  width = std::min(int(std::ceil(support)) * 2 + 1, highest - lowest);
  start.resize(size_t(n));
  count.resize(size_t(n));
  weight.assign(size_t(n) * size_t(width), 0);
  exact.resize(size_t(width));
  const float steepness = float(1.0 / support);
  first = highest, last = lowest;
  for (int i = 0; i < n; ++i) {
    const double centre = x0 + (i + 0.5) * scale;
    int from = std::max(lowest, floor_of(centre - support + 0.5));
    int to = std::min(highest, floor_of(centre + support + 0.5));
    // Where the whole triangle lies outside, the nearest pixel stands for it.
    from = std::min(from, highest - 1);
    to = std::min(std::max(to, from + 1), from + width);
    const float offset = float(from - centre + 0.5);
    float sum = 0;
    for (int t = 0; t < to - from; ++t) {
      exact[size_t(t)] = std::max(0.f, 1.f - std::fabs((float(t) + offset) * steepness));
      sum += exact[size_t(t)];
    }
    if (!(sum > 0)) exact[0] = sum = 1;
    int16_t* w = weight.data() + size_t(i) * size_t(width);
    // Rounded running sums: the total is exact and no weight is off by more than one.
    const float factor = float(total) / sum;
    float running = 0.5f;
    int before = 0;
    for (int t = 0; t < to - from; ++t) {
      running += exact[size_t(t)] * factor;
      const int now = t + 1 == to - from ? total : std::min(total, int(running));
      w[t] = int16_t(now - before);
      before = now;
    }
    // Taps without weight at the ends need no source pixels.
    int skip = 0, k = to - from;
    while (k > 1 && w[k - 1] == 0) --k;
    while (skip + 1 < k && w[skip] == 0) ++skip;
    if (skip) {
      std::copy(w + skip, w + k, w);
      std::fill(w + k - skip, w + k, int16_t(0));
    }
    start[size_t(i)] = from + skip;
    count[size_t(i)] = k - skip;
    first = std::min(first, from + skip);
    last = std::max(last, from + k);
  }
}

} // namespace imagetree
