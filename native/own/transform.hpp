// Inverse DCT of blocks into strips: eight samples of a column side by side, column after column.
//
// Strips lie on their side because the horizontal filter then works on eight rows at once, and
// because the transform's last step gives columns for free.
//
// The full transform computes what libjpeg's "islow" computes, bit for bit (Loeffler, Ligtenberg,
// Moschytz, Practical fast 1-D DCT algorithms with 11 multiplications, 1989; 13-bit constants).
// Reduced transforms take the low frequencies alone: an N-point transform of an 8-point spectrum.
// Included by each build of the engine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace imagetree::own {
namespace IMAGETREE_BUILD {

inline std::uint8_t clamp_byte(int value) {
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

#ifdef __AVX2__

struct Halves {
  __m256i low, high;
};

// a * c1 + b * c2 in 32 bits, the constants given as pairs (c1, c2).
inline Halves rotate(__m256i a, __m256i b, int c1, int c2) {
  const __m256i c = _mm256_set1_epi32(c2 * 65536 + (c1 & 0xFFFF));
  return {_mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), c),
          _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), c)};
}
inline Halves add(Halves a, Halves b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Halves subtract(Halves a, Halves b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
// a << 13 in 32 bits.
inline Halves widen(__m256i a) {
  const __m256i zero = _mm256_setzero_si256();
  return {_mm256_srai_epi32(_mm256_unpacklo_epi16(zero, a), 3),
          _mm256_srai_epi32(_mm256_unpackhi_epi16(zero, a), 3)};
}
template <int kShift>
inline __m256i descale(Halves a) {
  const __m256i half = _mm256_set1_epi32(1 << (kShift - 1));
  return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(a.low, half), kShift),
                            _mm256_srai_epi32(_mm256_add_epi32(a.high, half), kShift));
}

// One pass over eight vectors; the two blocks of a pair lie in the two 128-bit lanes.
template <int kShift>
inline void pass(__m256i s[8]) {
  const Halves t2 = rotate(s[2], s[6], 4433, -10704);
  const Halves t3 = rotate(s[2], s[6], 10703, 4433);
  const Halves t0 = widen(_mm256_add_epi16(s[0], s[4]));
  const Halves t1 = widen(_mm256_sub_epi16(s[0], s[4]));
  const Halves e0 = add(t0, t3), e3 = subtract(t0, t3);
  const Halves e1 = add(t1, t2), e2 = subtract(t1, t2);
  const __m256i z3 = _mm256_add_epi16(s[7], s[3]), z4 = _mm256_add_epi16(s[5], s[1]);
  const Halves w3 = rotate(z3, z4, -6436, 9633), w4 = rotate(z3, z4, 9633, 6437);
  const Halves o0 = add(rotate(s[7], s[1], -4927, -7373), w3);
  const Halves o3 = add(rotate(s[7], s[1], -7373, 4926), w4);
  const Halves o1 = add(rotate(s[5], s[3], -4176, -20995), w4);
  const Halves o2 = add(rotate(s[5], s[3], -20995, 4177), w3);
  s[0] = descale<kShift>(add(e0, o3));
  s[7] = descale<kShift>(subtract(e0, o3));
  s[1] = descale<kShift>(add(e1, o2));
  s[6] = descale<kShift>(subtract(e1, o2));
  s[2] = descale<kShift>(add(e2, o1));
  s[5] = descale<kShift>(subtract(e2, o1));
  s[3] = descale<kShift>(add(e3, o0));
  s[4] = descale<kShift>(subtract(e3, o0));
}

inline void transpose(__m256i s[8]) {
  __m256i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi16(s[2 * i], s[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi16(s[2 * i], s[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm256_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm256_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm256_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm256_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    s[2 * i] = _mm256_unpacklo_epi64(b[i], b[i + 4]);
    s[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 4]);
  }
}

// Samples of two blocks, each 64 bytes: eight of column 0, eight of column 1, ...
inline void inverse_full(const std::int16_t* one, const std::int16_t* two,
                         const std::int16_t* quant, std::uint8_t* out_one, std::uint8_t* out_two) {
  __m256i s[8];
  for (int i = 0; i < 8; ++i) {
    const __m128i a = _mm_load_si128(reinterpret_cast<const __m128i*>(one + 8 * i));
    const __m128i b = _mm_load_si128(reinterpret_cast<const __m128i*>(two + 8 * i));
    const __m256i q = _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(quant + 8 * i)));
    s[i] = _mm256_mullo_epi16(_mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1), q);
  }
  pass<11>(s);
  transpose(s);
  pass<18>(s);
  const __m256i middle = _mm256_set1_epi8(static_cast<char>(0x80));
  for (int i = 0; i < 4; ++i) {
    // Signed saturation around zero, then up by 128: the same as libjpeg's clamping table.
    const __m256i both = _mm256_add_epi8(_mm256_packs_epi16(s[2 * i], s[2 * i + 1]), middle);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out_one + 16 * i), _mm256_castsi256_si128(both));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out_two + 16 * i),
                     _mm256_extracti128_si256(both, 1));
  }
}

#else

// One pass over eight numbers `stride` apart. Sums of 16 bits wrap as they do in vectors.
inline void pass(std::int32_t* s, int stride, int shift) {
  const auto wrap = [](std::int32_t v) {
    return static_cast<std::int32_t>(static_cast<std::int16_t>(static_cast<std::uint32_t>(v)));
  };
  const std::int64_t s0 = s[0], s1 = s[stride], s2 = s[2 * stride], s3 = s[3 * stride],
                     s4 = s[4 * stride], s5 = s[5 * stride], s6 = s[6 * stride],
                     s7 = s[7 * stride];
  const std::int64_t t2 = s2 * 4433 - s6 * 10704, t3 = s2 * 10703 + s6 * 4433;
  const std::int64_t t0 = std::int64_t{wrap(static_cast<std::int32_t>(s0 + s4))} * 8192;
  const std::int64_t t1 = std::int64_t{wrap(static_cast<std::int32_t>(s0 - s4))} * 8192;
  const std::int64_t z3 = wrap(static_cast<std::int32_t>(s7 + s3));
  const std::int64_t z4 = wrap(static_cast<std::int32_t>(s5 + s1));
  const std::int64_t w3 = z4 * 9633 - z3 * 6436, w4 = z3 * 9633 + z4 * 6437;
  const std::int64_t o0 = w3 - s7 * 4927 - s1 * 7373, o3 = w4 - s7 * 7373 + s1 * 4926;
  const std::int64_t o1 = w4 - s5 * 4176 - s3 * 20995, o2 = w3 - s5 * 20995 + s3 * 4177;
  const std::int64_t e[4] = {t0 + t3, t1 + t2, t1 - t2, t0 - t3}, o[4] = {o3, o2, o1, o0};
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  const auto pack = [](std::int32_t v) {
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
  };
  const auto narrow = [](std::int64_t v) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(v));
  };
  for (int i = 0; i < 4; ++i) {
    s[i * stride] = pack(narrow(e[i] + o[i] + half) >> shift);
    s[(7 - i) * stride] = pack(narrow(e[i] - o[i] + half) >> shift);
  }
}

inline void inverse_one(const std::int16_t* block, const std::int16_t* quant, std::uint8_t* out) {
  std::int32_t s[64];
  for (int i = 0; i < 64; ++i) {
    s[i] = static_cast<std::int16_t>(static_cast<std::uint32_t>(block[i] * quant[i]));
  }
  for (int u = 0; u < 8; ++u) pass(s + u, 8, 11);
  for (int y = 0; y < 8; ++y) pass(s + 8 * y, 1, 18);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) out[8 * x + y] = clamp_byte(s[8 * y + x] + 128);
  }
}

inline void inverse_full(const std::int16_t* one, const std::int16_t* two,
                         const std::int16_t* quant, std::uint8_t* out_one, std::uint8_t* out_two) {
  inverse_one(one, quant, out_one);
  inverse_one(two, quant, out_two);
}

#endif

// N columns of N samples (eight places each) from the N x N lowest frequencies; N is 1, 2 or 4.
inline void inverse_reduced(int n, const std::int16_t* block, const std::int16_t* quant,
                            std::uint8_t* out) {
  // Orthonormal N-point basis times sqrt(N / 8), row x, column u.
  static const float kFour[4][4] = {{0.35355339f, 0.46193977f, 0.35355339f, 0.19134172f},
                                    {0.35355339f, 0.19134172f, -0.35355339f, -0.46193977f},
                                    {0.35355339f, -0.19134172f, -0.35355339f, 0.46193977f},
                                    {0.35355339f, -0.46193977f, 0.35355339f, -0.19134172f}};
  static const float kTwo[2][2] = {{0.35355339f, 0.35355339f}, {0.35355339f, -0.35355339f}};
  const float* basis = n == 4 ? kFour[0] : kTwo[0];
  if (n == 1) {
    out[0] = clamp_byte(static_cast<int>(std::lrint(block[0] * quant[0] * 0.125f)) + 128);
    return;
  }
  float half[4][4];  // [u][y]
  for (int u = 0; u < n; ++u) {
    for (int y = 0; y < n; ++y) {
      float sum = 0;
      for (int v = 0; v < n; ++v) {
        sum += basis[y * n + v] * static_cast<float>(block[8 * v + u] * quant[8 * v + u]);
      }
      half[u][y] = sum;
    }
  }
  for (int x = 0; x < n; ++x) {
    for (int y = 0; y < n; ++y) {
      float sum = 128.5f;
      for (int u = 0; u < n; ++u) sum += basis[x * n + u] * half[u][y];
      out[8 * x + y] = clamp_byte(static_cast<int>(std::floor(std::clamp(sum, -1.0f, 256.0f))));
    }
  }
}

}  // namespace IMAGETREE_BUILD
}  // namespace imagetree::own
