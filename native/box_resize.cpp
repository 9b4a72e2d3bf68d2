#include "box_resize.hpp"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace imagetree {

namespace {

constexpr int kBits = 22; // Pillow's PRECISION_BITS for 8-bit pixels

struct Span { // the n source pixels [first, last) of one output pixel, all with the same weight
  int first, last, n;
  uint32_t weight;
};

// Pillow's precompute_coeffs for the box filter, with its order of operations.
std::vector<Span> spans_of(int n_in, int n_out) {
  std::vector<Span> spans(static_cast<size_t>(n_out));
  const double scale = double(n_in) / n_out, filter_scale = std::max(scale, 1.0);
  const double support = 0.5 * filter_scale, inverse = 1.0 / filter_scale;
  for (int i = 0; i < n_out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int from = std::max(0, int(centre - support + 0.5));
    const int to = std::min(n_in, int(centre + support + 0.5));
    int first = to, last = from;
    for (int x = from; x < to; ++x) {
      const double at = (x - from + from - centre + 0.5) * inverse;
      if (at > -0.5 && at <= 0.5) first = std::min(first, x), last = std::max(last, x + 1);
    }
    // Rounding cannot leave a pixel without any: scale and centre are those of whole numbers.
    if (first >= last) first = std::min(from, n_in - 1), last = first + 1;
    const int n = last - first;
    spans[size_t(i)] = {first, last, n, uint32_t(0.5 + 1.0 / n * (1 << kBits))};
  }
  return spans;
}

// Weights of n pixels are 2^22 / n, so a sum of bytes times a weight fits.
inline uint32_t rounded(uint32_t sum) {
  return std::min(255u, (sum + (1u << (kBits - 1))) >> kBits);
}

// Sum of n bytes, n > 0; reads up to seven bytes behind them.
inline uint32_t sum_of(const uint8_t* from, int n) {
#if defined(__x86_64__)
  __m128i sums = _mm_setzero_si128();
  for (; n > 8; n -= 8, from += 8)
    sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)),
                                            _mm_setzero_si128()));
  uint64_t last;
  std::memcpy(&last, from, sizeof last);
  last <<= 8 * (8 - n);
  sums = _mm_add_epi64(
    sums, _mm_sad_epu8(_mm_cvtsi64_si128(static_cast<long long>(last)), _mm_setzero_si128()));
  return uint32_t(_mm_cvtsi128_si32(sums));
#else
  uint32_t sum = 0;
  for (int i = 0; i < n; ++i) sum += from[i];
  return sum;
#endif
}

} // namespace

void resize_by_box(const uint8_t* grey, int width, int height, int side, uint8_t* out) {
  const std::vector<Span> across = spans_of(width, side), down = spans_of(height, side);
  std::vector<uint32_t> sums(static_cast<size_t>(side));
  for (int i = 0; i < side; ++i) {
    const Span& rows = down[size_t(i)];
    std::fill(sums.begin(), sums.end(), 0);
    for (int y = rows.first; y < rows.last; ++y) {
      const uint8_t* row = grey + size_t(y) * size_t(width);
      // Between the two steps Pillow rounds to a byte.
      for (int j = 0; j < side; ++j) {
        const Span& part = across[size_t(j)];
        sums[size_t(j)] += rounded(sum_of(row + part.first, part.n) * part.weight);
      }
    }
    for (int j = 0; j < side; ++j) out[i * side + j] = uint8_t(rounded(sums[size_t(j)] * rows.weight));
  }
}

} // namespace imagetree
