// The steps of resize.hpp with AVX2. This file alone is compiled with -mavx2 and is entered only
// where the processor has it, so nothing here may be shared with other files: no templates or
// inline functions of the standard library that the linker could pick for the others.
#include <immintrin.h>

#include "resize.hpp"

namespace imagetree {

namespace {

// Two taps a time: bytes of two rows are interleaved, and one instruction multiplies and adds.
template <int kPairs>
void blend_pairs(const uint8_t* const* rows, const __m256i* weights, int pairs, int n,
                 int16_t* out) {
  const __m256i middle = _mm256_set1_epi8(char(-128));
  const int count = kPairs > 0 ? kPairs : pairs;
  for (int i = 0; i < n; i += 32) {
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (int p = 0; p < count; ++p) {
      __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[2 * p] + i));
      __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[2 * p + 1] + i));
      a = _mm256_xor_si256(a, middle);
      b = _mm256_xor_si256(b, middle);
      const __m256i l = _mm256_maddubs_epi16(weights[p], _mm256_unpacklo_epi8(a, b));
      const __m256i h = _mm256_maddubs_epi16(weights[p], _mm256_unpackhi_epi8(a, b));
      low = p == 0 ? l : _mm256_add_epi16(low, l);
      high = p == 0 ? h : _mm256_add_epi16(high, h);
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i + 16),
                        _mm256_permute2x128_si256(low, high, 0x31));
  }
}

void blend_rows(const uint8_t* const* rows, const int16_t* weights, int k, int n, int16_t* out) {
  const uint8_t* row[kMostTaps + 1];
  __m256i weight[kMostTaps / 2 + 1];
  int pairs = 0;
  for (int t = 0; t < k; t += 2, ++pairs) {
    int first = weights[t], second = t + 1 < k ? weights[t + 1] : 0;
    row[2 * pairs] = rows[t];
    row[2 * pairs + 1] = rows[t + 1 < k ? t + 1 : t];
    // A weight is a byte: the row that stands alone with 256 is taken twice with 128.
    if (first == kDownTotal || second == kDownTotal) {
      if (second == kDownTotal) row[2 * pairs] = row[2 * pairs + 1];
      row[2 * pairs + 1] = row[2 * pairs];
      first = second = kDownTotal / 2;
    }
    weight[pairs] = _mm256_set1_epi16(int16_t(first | second << 8));
  }
  switch (pairs) {
    case 1: return blend_pairs<1>(row, weight, pairs, n, out);
    case 2: return blend_pairs<2>(row, weight, pairs, n, out);
    case 3: return blend_pairs<3>(row, weight, pairs, n, out);
    default: return blend_pairs<0>(row, weight, pairs, n, out);
  }
}

inline __m256i two_pixels(const int16_t* a, const int16_t* b) {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

template <int kPairs>
void resample_pairs(const int16_t* row, const int* offset, const int16_t* weights, int any_pairs,
                    int n, uint8_t* rgb) {
  const __m256i start = _mm256_set1_epi32((128 << 22) + (1 << 21));
  // (r0 g0 b0 r1 g1 b1 . .) -> (r0 r1 g0 g1 b0 b1 . .)
  const __m256i by_colour = _mm256_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1,
                                             0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1);
  const __m256i without_fourth =
    _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9,
                     10, 12, 13, 14, -1, -1, -1, -1);
  const int pairs = kPairs > 0 ? kPairs : any_pairs;
  const __m256i* weight = reinterpret_cast<const __m256i*>(weights);
  for (int i = 0; i < n; i += 8, offset += 8) {
    __m256i sum[4];
    for (int j = 0; j < 4; ++j) {
      const int16_t* a = row + offset[j];
      const int16_t* b = row + offset[j + 4];
      __m256i s = start;
      for (int p = 0; p < pairs; ++p) {
        const __m256i pixels = _mm256_shuffle_epi8(two_pixels(a + 6 * p, b + 6 * p), by_colour);
        s = _mm256_add_epi32(s, _mm256_madd_epi16(pixels, _mm256_loadu_si256(weight++)));
      }
      sum[j] = _mm256_srai_epi32(s, 22);
    }
    const __m256i packed = _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]),
                                               _mm256_packs_epi32(sum[2], sum[3]));
    const __m256i bytes = _mm256_shuffle_epi8(packed, without_fourth);
    const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    uint8_t* out = rgb + 3 * i;
    if (i + 16 <= n) {
      // Four bytes more than the pixels' 24 are written, and overwritten by the next group.
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), low);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 12), high);
    } else {
      alignas(16) uint8_t last[32];
      _mm_storeu_si128(reinterpret_cast<__m128i*>(last), low);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(last + 12), high);
      const int left = n - i < 8 ? n - i : 8;
      __builtin_memcpy(out, last, size_t(3 * left));
    }
  }
}

void resample_row(const int16_t* row, const int* offset, const int16_t* weight, int pairs, int n,
                  uint8_t* rgb) {
  switch (pairs) {
    case 1: return resample_pairs<1>(row, offset, weight, pairs, n, rgb);
    case 2: return resample_pairs<2>(row, offset, weight, pairs, n, rgb);
    case 3: return resample_pairs<3>(row, offset, weight, pairs, n, rgb);
    default: return resample_pairs<0>(row, offset, weight, pairs, n, rgb);
  }
}

void to_grey(const uint8_t* rgb, int n, uint8_t* grey) {
  // Weights are 16 bits with a sign: green's 38470 is split in two.
  const __m256i red_green = _mm256_set1_epi32(19595 | 5703 << 16);
  const __m256i blue_green = _mm256_set1_epi32(7471 | 32767 << 16);
  const __m256i half = _mm256_set1_epi32(0x8000);
  const __m256i pick_red_green =
    _mm256_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1, 0, -1, 1, -1, 3, -1,
                     4, -1, 6, -1, 7, -1, 9, -1, 10, -1);
  const __m256i pick_blue_green =
    _mm256_setr_epi8(2, -1, 1, -1, 5, -1, 4, -1, 8, -1, 7, -1, 11, -1, 10, -1, 2, -1, 1, -1, 5, -1,
                     4, -1, 8, -1, 7, -1, 11, -1, 10, -1);
  for (int i = 0; i < n; i += 8, rgb += 24) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb + 12));
    const __m256i pixels = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    __m256i sum = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, pick_red_green), red_green);
    sum = _mm256_add_epi32(
      sum, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, pick_blue_green), blue_green));
    sum = _mm256_srli_epi32(_mm256_add_epi32(sum, half), 16);
    const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(grey + i), _mm_packus_epi16(words, words));
  }
}

const Instructions kAvx2 = {"AVX2", true, blend_rows, resample_row, to_grey};

} // namespace

const Instructions* avx2() { return __builtin_cpu_supports("avx2") ? &kAvx2 : nullptr; }

} // namespace imagetree
