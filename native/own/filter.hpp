// The two passes of the filter and the change to RGB. Included by each build of the engine.
//
// Samples between the passes are 16-bit with seven bits behind the point (0 to 255 * 128).
#pragma once

#include <cstdint>
#include <cstring>

#include "axis.hpp"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace imagetree::own {
namespace IMAGETREE_BUILD {

constexpr int kPointBits = 7;

#ifdef __AVX2__

// Eight rows of one output column from a strip: int16 (8), in 1 / 128.
inline __m128i filtered_column(const std::uint8_t* at, const std::int16_t* weights, int n_taps) {
  // (column t, column t + 1) interleaved byte by byte, so that one multiply-add takes both.
  const __m128i mix = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  __m256i sum = _mm256_set1_epi32(1 << (kWeightBits - kPointBits - 1));
  for (int t = 0; t < n_taps; t += 2) {
    const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 8 * t));
    std::int32_t pair;
    std::memcpy(&pair, weights + t, 4);
    const __m256i pixels = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(two, mix));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, _mm256_set1_epi32(pair)));
  }
  sum = _mm256_srai_epi32(sum, kWeightBits - kPointBits);
  return _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

inline void transpose_eight(__m128i s[8]) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm_unpacklo_epi16(s[2 * i], s[2 * i + 1]);
    a[2 * i + 1] = _mm_unpackhi_epi16(s[2 * i], s[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    s[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
    s[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
  }
}

// Filters a strip whose first column is sample `origin`; row r goes to rows + r * stride for r
// from r_first to r_last - 1. `stride` is a multiple of 16 and at least axis outputs.
inline void filter_strip(const std::uint8_t* strip, int origin, const Axis& axis, int r_first,
                         int r_last, std::int16_t* rows, std::ptrdiff_t stride) {
  const int n_out = static_cast<int>(axis.starts.size());
  for (int x = 0; x < n_out; x += 8) {
    __m128i s[8];
    for (int i = 0; i < 8; ++i) {
      const int out = x + i < n_out ? x + i : n_out - 1;
      s[i] = filtered_column(strip + 8 * (axis.starts[out] - origin),
                             axis.weights.data() + static_cast<std::ptrdiff_t>(out) * axis.n_taps,
                             axis.n_taps);
    }
    transpose_eight(s);
    for (int r = r_first; r < r_last; ++r) {
      _mm_store_si128(reinterpret_cast<__m128i*>(rows + r * stride + x), s[r]);
    }
  }
}

// Sixteen pixels of one output row of one plane.
inline __m256i filtered_row(const std::int16_t* at, std::ptrdiff_t stride,
                            const std::int16_t* weights, int n_taps) {
  __m256i sum = _mm256_setzero_si256();
  for (int t = 0; t < n_taps; ++t) {
    const __m256i row = _mm256_load_si256(reinterpret_cast<const __m256i*>(at + t * stride));
    sum = _mm256_adds_epi16(sum, _mm256_mulhrs_epi16(row, _mm256_set1_epi16(weights[t])));
  }
  return sum;
}

inline __m128i to_bytes(__m256i values) {
  const __m256i rounded = _mm256_srai_epi16(
      _mm256_adds_epi16(values, _mm256_set1_epi16(1 << (kPointBits - 1))), kPointBits);
  return _mm_packus_epi16(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

// Forty-eight bytes r g b r g b ... of sixteen pixels.
inline void store_interleaved(__m128i r, __m128i g, __m128i b, std::uint8_t* out) {
  const char z = -1;
  const __m128i r0 = _mm_setr_epi8(0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z, 5);
  const __m128i g0 = _mm_setr_epi8(z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z);
  const __m128i b0 = _mm_setr_epi8(z, z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z);
  const __m128i r1 = _mm_setr_epi8(z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10, z);
  const __m128i g1 = _mm_setr_epi8(5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10);
  const __m128i b1 = _mm_setr_epi8(z, 5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z);
  const __m128i r2 = _mm_setr_epi8(z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z, z);
  const __m128i g2 = _mm_setr_epi8(z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z);
  const __m128i b2 = _mm_setr_epi8(10, z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15);
  const auto put = [&](__m128i mr, __m128i mg, __m128i mb, std::uint8_t* at) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at),
                     _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, mr), _mm_shuffle_epi8(g, mg)),
                                  _mm_shuffle_epi8(b, mb)));
  };
  put(r0, g0, b0, out);
  put(r1, g1, b1, out + 16);
  put(r2, g2, b2, out + 32);
}

// ITU-R BT.601 as JFIF uses it: R = Y + 1.402 Cr, G = Y - 0.344136 Cb - 0.714136 Cr,
// B = Y + 1.772 Cb.
inline void store_rgb(__m256i y, __m256i cb, __m256i cr, std::uint8_t* out) {
  const __m256i middle = _mm256_set1_epi16(128 << kPointBits);
  cb = _mm256_sub_epi16(cb, middle);
  cr = _mm256_sub_epi16(cr, middle);
  const auto times = [](__m256i v, double factor) {
    return _mm256_mulhrs_epi16(v, _mm256_set1_epi16(static_cast<short>(factor * 32768 + (factor < 0 ? -0.5 : 0.5))));
  };
  const __m256i r = _mm256_adds_epi16(y, _mm256_adds_epi16(cr, times(cr, 0.402)));
  const __m256i g = _mm256_subs_epi16(y, _mm256_adds_epi16(times(cb, 0.344136), times(cr, 0.714136)));
  const __m256i b = _mm256_adds_epi16(y, _mm256_adds_epi16(cb, times(cb, 0.772)));
  store_interleaved(to_bytes(r), to_bytes(g), to_bytes(b), out);
}

inline void store_grey(__m256i y, std::uint8_t* out) {
  const __m128i bytes = to_bytes(y);
  store_interleaved(bytes, bytes, bytes, out);
}

#else

inline void filter_strip(const std::uint8_t* strip, int origin, const Axis& axis, int r_first,
                         int r_last, std::int16_t* rows, std::ptrdiff_t stride) {
  const int n_out = static_cast<int>(axis.starts.size());
  for (int x = 0; x < n_out; ++x) {
    const std::uint8_t* at = strip + 8 * (axis.starts[x] - origin);
    const std::int16_t* weights = axis.weights.data() + static_cast<std::ptrdiff_t>(x) * axis.n_taps;
    std::int32_t sums[8];
    for (int r = 0; r < 8; ++r) sums[r] = 1 << (kWeightBits - kPointBits - 1);
    for (int t = 0; t < axis.n_taps; ++t) {
      for (int r = 0; r < 8; ++r) sums[r] += at[8 * t + r] * weights[t];
    }
    for (int r = r_first; r < r_last; ++r) {
      rows[r * stride + x] = static_cast<std::int16_t>(sums[r] >> (kWeightBits - kPointBits));
    }
  }
}

// (a * b + half) >> 15, the rounding of the vector build.
inline std::int32_t scaled(std::int32_t a, std::int32_t b) { return (a * b + (1 << 14)) >> 15; }

inline void filtered_row(const std::int16_t* at, std::ptrdiff_t stride,
                         const std::int16_t* weights, int n_taps, int n, std::int32_t* out) {
  for (int i = 0; i < n; ++i) out[i] = 0;
  for (int t = 0; t < n_taps; ++t) {
    const std::int32_t weight = weights[t];
    const std::int16_t* row = at + t * stride;
    for (int i = 0; i < n; ++i) out[i] += scaled(row[i], weight);
  }
  for (int i = 0; i < n; ++i) out[i] = out[i] > 32767 ? 32767 : out[i];
}

inline std::uint8_t to_byte(std::int32_t value) {
  value = (value + (1 << (kPointBits - 1))) >> kPointBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

inline void store_rgb(std::int32_t y, std::int32_t cb, std::int32_t cr, std::uint8_t* out) {
  cb -= 128 << kPointBits;
  cr -= 128 << kPointBits;
  out[0] = to_byte(y + cr + scaled(cr, 13173));
  out[1] = to_byte(y - scaled(cb, 11277) - scaled(cr, 23401));
  out[2] = to_byte(y + cb + scaled(cb, 25297));
}

#endif

}  // namespace IMAGETREE_BUILD
}  // namespace imagetree::own
