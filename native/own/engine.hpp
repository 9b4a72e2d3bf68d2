// One tile of one baseline JPEG. Included by each build of the engine.
//
//     entropy-coded bytes -> blocks -> strips of samples -> rows of the output's width -> RGB
//
// Only MCUs that the tile needs are transformed; those before them are passed over, those behind
// them never looked at.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine_state.hpp"
#include "entropy.hpp"
#include "filter.hpp"
#include "transform.hpp"

namespace imagetree::own {
namespace IMAGETREE_BUILD {

static const ZigzagPlaces kPlaces;

// Filters the strips of one row of MCUs into rows of the output's width.
inline void filter_mcu_row(State& s, int mcu_row) {
  for (int c = 0; c < s.header.n_components; ++c) {
    Plane& plane = s.planes[c];
    const Axis& down = s.axis_of(plane.down);
    for (int b = 0; b < plane.v; ++b) {
      const int y = (mcu_row * plane.v + b) * plane.n;  // sample row of the strip's first row
      const int first = std::max(0, down.first - y), last = std::min(plane.n, down.last - y);
      if (first >= last) continue;
      filter_strip(plane.strips.data() + b * plane.strip_bytes, plane.x_origin,
                   s.axis_of(plane.across), first, last,
                   plane.rows + (y - down.first) * s.row_stride, s.row_stride);
    }
  }
}

// Blocks wait in pairs, one pair a component, since the full transform takes two at a time.
struct Pairs {
  alignas(32) std::int16_t coefficients[kMaxComponents][2][kCoefficientSlots];
  std::uint8_t* targets[kMaxComponents][2];
  int n_waiting[kMaxComponents] = {};

  void flush(const State& s, int c) {
    const Plane& plane = s.planes[c];
    const std::int16_t* quant = s.quant[s.header.components[c].quant];
    if (plane.n == 8 && n_waiting[c]) {
      alignas(32) std::uint8_t nowhere[64];
      const bool both = n_waiting[c] == 2;
      inverse_full(coefficients[c][0], both ? coefficients[c][1] : coefficients[c][0], quant,
                   targets[c][0], both ? targets[c][1] : nowhere);
    } else {
      for (int i = 0; i < n_waiting[c]; ++i) {
        inverse_reduced(plane.n, coefficients[c][i], quant, targets[c][i]);
      }
    }
    n_waiting[c] = 0;
  }
};

// Reads one MCU into strips; false when damaged.
inline bool read_mcu(State& s, Bits& bits, std::uint32_t* dc, Pairs& pairs, int mcu_x) {
  for (int c = 0; c < s.header.n_components; ++c) {
    Plane& plane = s.planes[c];
    for (int b = 0; b < plane.v; ++b) {
      for (int a = 0; a < plane.h; ++a) {
        const int slot = pairs.n_waiting[c];
        std::int16_t* block = pairs.coefficients[c][slot];
        clear_block(block);
        bool damaged = false;
        dc[c] += static_cast<std::uint32_t>(read_dc(bits, *plane.dc, damaged));
        block[0] = static_cast<std::int16_t>(dc[c]);
        if (damaged || !read_ac(bits, *plane.ac, block, plane.k_last, kPlaces.at)) return false;
        const int column = (mcu_x - s.mcu_x0) * plane.h + a;
        pairs.targets[c][slot] =
            plane.strips.data() + b * plane.strip_bytes + static_cast<std::ptrdiff_t>(column) * plane.n * 8;
        if (++pairs.n_waiting[c] == 2) pairs.flush(s, c);
      }
    }
  }
  return true;
}

// Passes over one MCU, keeping only the sums of its DC differences; false when damaged.
inline bool skip_mcu(const State& s, Bits& bits, std::uint32_t* dc) {
  for (int c = 0; c < s.header.n_components; ++c) {
    const Plane& plane = s.planes[c];
    for (int i = 0; i < plane.h * plane.v; ++i) {
      bool damaged = false;
      dc[c] += static_cast<std::uint32_t>(read_dc(bits, *plane.dc, damaged));
      if (damaged || !skip_ac(bits, *plane.ac, 1)) return false;
    }
  }
  return true;
}

// Reads the parts between restart markers that hold needed MCUs; false when damaged.
inline bool read_scan(State& s) {
  const int wide = s.header.mcus_wide();
  const std::int64_t n_mcus = static_cast<std::int64_t>(wide) * s.header.mcus_high();
  const std::int64_t end = static_cast<std::int64_t>(s.mcu_y1 - 1) * wide + s.mcu_x1;
  const std::int64_t step = s.header.restart_interval ? s.header.restart_interval : n_mcus;
  const std::int64_t first_needed = static_cast<std::int64_t>(s.mcu_y0) * wide + s.mcu_x0;
  Pairs pairs;
  int row_done = s.mcu_y0;
  for (std::int64_t start = first_needed / step * step; start < end; start += step) {
    const auto part = static_cast<std::size_t>(start / step);
    Bits bits(s.segments.bytes.data() + s.segments.starts[part]);
    const std::uint8_t* const stop = s.segments.bytes.data() + s.segments.starts[part + 1];
    std::uint32_t dc[kMaxComponents] = {};  // unsigned: hostile sums wrap
    const std::int64_t last = std::min(start + step, end);
    int x = static_cast<int>(start % wide), y = static_cast<int>(start / wide);
    for (std::int64_t mcu = start; mcu < last; ++mcu) {
      const bool needed = y >= s.mcu_y0 && x >= s.mcu_x0 && x < s.mcu_x1;
      if (!(needed ? read_mcu(s, bits, dc, pairs, x) : skip_mcu(s, bits, dc))) return false;
      if (bits.position() > stop) return false;
      if (needed && x == s.mcu_x1 - 1) {
        for (int c = 0; c < s.header.n_components; ++c) pairs.flush(s, c);
        filter_mcu_row(s, y);
        row_done = y + 1;
      }
      if (++x == wide) {
        x = 0;
        ++y;
      }
    }
  }
  return row_done == s.mcu_y1;
}

#ifdef __AVX2__

inline void write_rows(const State& s, std::uint8_t* rgb, std::ptrdiff_t row_stride) {
  const int n_planes = s.header.n_components;
  for (int y = 0; y < s.out_high; ++y) {
    const std::int16_t* at[kMaxComponents];
    const std::int16_t* weights[kMaxComponents];
    int n_taps[kMaxComponents];
    for (int c = 0; c < n_planes; ++c) {
      const Axis& down = s.axis_of(s.planes[c].down);
      at[c] = s.planes[c].rows + (down.starts[y] - down.first) * s.row_stride;
      weights[c] = down.weights.data() + static_cast<std::ptrdiff_t>(y) * down.n_taps;
      n_taps[c] = down.n_taps;
    }
    std::uint8_t* out = rgb + y * row_stride;
    for (int x = 0; x < s.out_wide; x += 16) {
      alignas(32) std::uint8_t beyond[48];
      std::uint8_t* target = x + 16 <= s.out_wide ? out + 3 * x : beyond;
      const __m256i first = filtered_row(at[0] + x, s.row_stride, weights[0], n_taps[0]);
      if (n_planes == 1) {
        store_grey(first, target);
      } else {
        store_rgb(first, filtered_row(at[1] + x, s.row_stride, weights[1], n_taps[1]),
                  filtered_row(at[2] + x, s.row_stride, weights[2], n_taps[2]), target);
      }
      if (target == beyond) {
        std::memcpy(out + 3 * x, beyond, static_cast<std::size_t>(3 * (s.out_wide - x)));
      }
    }
  }
}

#else

inline void write_rows(const State& s, std::uint8_t* rgb, std::ptrdiff_t row_stride) {
  const int n_planes = s.header.n_components;
  std::vector<std::int32_t> lines(static_cast<std::size_t>(kMaxComponents) * s.row_stride);
  for (int y = 0; y < s.out_high; ++y) {
    for (int c = 0; c < n_planes; ++c) {
      const Axis& down = s.axis_of(s.planes[c].down);
      filtered_row(s.planes[c].rows + (down.starts[y] - down.first) * s.row_stride, s.row_stride,
                   down.weights.data() + static_cast<std::ptrdiff_t>(y) * down.n_taps,
                   down.n_taps, s.out_wide, lines.data() + c * s.row_stride);
    }
    std::uint8_t* out = rgb + y * row_stride;
    for (int x = 0; x < s.out_wide; ++x) {
      const std::int32_t* line = lines.data() + x;
      if (n_planes == 1) {
        out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = to_byte(line[0]);
      } else {
        store_rgb(line[0], line[s.row_stride], line[2 * s.row_stride], out + 3 * x);
      }
    }
  }
}

#endif

}  // namespace IMAGETREE_BUILD
}  // namespace imagetree::own
