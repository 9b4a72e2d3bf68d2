#include "resize.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace imagetree {

namespace {

void blend_rows(const uint8_t* const* rows, const int16_t* weights, int k, int n, int16_t* out) {
  for (int t = 0; t < k; ++t) {
    const uint8_t* row = rows[t];
    const int w = weights[t];
    if (t == 0) {
      for (int i = 0; i < n; ++i) out[i] = int16_t(w * (int(row[i]) - 128));
    } else {
      for (int i = 0; i < n; ++i) out[i] = int16_t(out[i] + w * (int(row[i]) - 128));
    }
  }
}

void resample_row(const int16_t* row, const int* offset, const int16_t* weight, int pairs, int n,
                  uint8_t* rgb) {
  constexpr int kShift = 22;
  constexpr int32_t kStart = (128 << kShift) + (1 << (kShift - 1));
  const int wide = pairs * 2;
  for (int i = 0; i < n; ++i, weight += wide, rgb += 3) {
    const int16_t* p = row + offset[i];
    int32_t r = kStart, g = kStart, b = kStart;
    for (int t = 0; t < wide; ++t, p += 3) {
      r += weight[t] * p[0];
      g += weight[t] * p[1];
      b += weight[t] * p[2];
    }
    rgb[0] = uint8_t(r >> kShift);
    rgb[1] = uint8_t(g >> kShift);
    rgb[2] = uint8_t(b >> kShift);
  }
}

void to_grey(const uint8_t* rgb, int n, uint8_t* grey) {
  for (int i = 0; i < n; ++i) grey[i] = grey_of(rgb + 3 * i);
}

const Instructions& choose() {
  // For tests and for comparing: any other value than "portable" is the default.
  const char* wanted = std::getenv("IMAGETREE_INSTRUCTIONS");
  if (wanted != nullptr && std::strcmp(wanted, "portable") == 0) return kPortable;
  const Instructions* found = avx2();
  return found != nullptr ? *found : kPortable;
}

} // namespace

const Instructions kPortable = {"portable C++", false, blend_rows, resample_row, to_grey};

const Instructions& instructions() {
  static const Instructions& chosen = choose();
  return chosen;
}

void Across::make(const Taps& taps, bool mirrored, const Instructions& instructions) {
  n_ = taps.n;
  int most = 1;
  for (int k : taps.count) most = std::max(most, k);
  pairs_ = (most + 1) / 2;
  offset_.assign(size_t((n_ + 7) / 8 * 8), 0);
  for (int i = 0; i < n_; ++i)
    offset_[size_t(i)] = 3 * (taps.start[size_t(mirrored ? n_ - 1 - i : i)] - taps.first);
  if (instructions.grouped) return arrange_grouped(taps, mirrored);
  const size_t wide = size_t(pairs_) * 2;
  weight_.assign(size_t(n_) * wide, 0);
  for (int i = 0; i < n_; ++i) {
    const size_t from = size_t(mirrored ? n_ - 1 - i : i);
    std::copy_n(taps.weight.data() + from * size_t(taps.width), size_t(taps.count[from]),
                weight_.data() + size_t(i) * wide);
  }
}

// Eight output pixels make a group of four registers. Register j holds pixel j in its lower and
// pixel j + 4 in its upper half, each pair of weights four times over (red, green, blue, nothing).
void Across::arrange_grouped(const Taps& taps, bool mirrored) {
  const size_t pairs = size_t(pairs_);
  weight_.assign(offset_.size() * pairs * 8, 0);
  for (int i = 0; i < n_; ++i) {
    const size_t from = size_t(mirrored ? n_ - 1 - i : i);
    const int16_t* w = taps.weight.data() + from * size_t(taps.width);
    const int k = taps.count[from];
    const size_t place = size_t(i / 8 * 4 + i % 4) * pairs * 16 + size_t(i % 8 / 4) * 8;
    for (int t = 0; t < k; t += 2) {
      int16_t* out = weight_.data() + place + size_t(t / 2) * 16;
      const int16_t first = w[t], second = t + 1 < k ? w[t + 1] : int16_t(0);
      for (int c = 0; c < 8; c += 2) out[c] = first, out[c + 1] = second;
    }
  }
}

#if !defined(IMAGETREE_AVX2)
const Instructions* avx2() { return nullptr; }
#endif

} // namespace imagetree
