#include "box_resize.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>

namespace imagetree {

namespace {

constexpr int kBits = 22; // Pillow's PRECISION_BITS for 8-bit pixels

struct Span { // source pixels [first, last) of one output pixel, all with the same weight
  int first, last;
  int weight;
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
    const int n = std::max(0, last - first);
    spans[size_t(i)] = {first, first + n, n > 0 ? int(0.5 + 1.0 / n * (1 << kBits)) : 0};
  }
  return spans;
}

inline uint8_t rounded(int64_t sum) {
  return uint8_t(std::min<int64_t>(255, (sum + (1 << (kBits - 1))) >> kBits));
}

int sum_of(const uint8_t* from, const uint8_t* to) {
  int sum = 0;
#if defined(__SSE2__)
  __m128i sums = _mm_setzero_si128();
  for (; to - from >= 8; from += 8)
    sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)),
                                            _mm_setzero_si128()));
  sum = _mm_cvtsi128_si32(sums);
#endif
  for (; from < to; ++from) sum += *from;
  return sum;
}

} // namespace

void resize_by_box(const uint8_t* grey, int width, int height, int side, uint8_t* out) {
  const std::vector<Span> across = spans_of(width, side), down = spans_of(height, side);
  std::vector<int64_t> sums(static_cast<size_t>(side));
  for (int i = 0; i < side; ++i) {
    const Span& rows = down[size_t(i)];
    std::fill(sums.begin(), sums.end(), 0);
    for (int y = rows.first; y < rows.last; ++y) {
      const uint8_t* row = grey + size_t(y) * size_t(width);
      // Between the two steps Pillow rounds to a byte.
      for (int j = 0; j < side; ++j) {
        const Span& part = across[size_t(j)];
        sums[size_t(j)] +=
          rounded(int64_t(sum_of(row + part.first, row + part.last)) * part.weight);
      }
    }
    for (int j = 0; j < side; ++j)
      out[i * side + j] = rounded(sums[size_t(j)] * rows.weight);
  }
}

} // namespace imagetree
