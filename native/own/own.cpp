// Plans one tile: which blocks are needed, at which DCT scale, with which weights.
#include "own.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "../placement.hpp"
#include "../resize.hpp"
#include "engine_state.hpp"

namespace imagetree {

namespace own {

namespace {

// The tile's box along one stored axis.
struct Side {
  double begin, end;
  int clamp_begin, clamp_end;
  int n_out;
  bool mirrored;
};

// The two sides of a placed tile. What the writer mirrors the weights mirror here, for free.
Side across_of(const Placement& p) { return {p.x0, p.x1, p.bx0, p.bx1, p.out_w, p.mirror_x}; }
Side down_of(const Placement& p) { return {p.y0, p.y1, p.by0, p.by1, p.out_h, p.mirror_y}; }

// libjpeg's rule: a subsampled component is reduced less, where that spares the upsampling.
int component_side(int n, const Header& header, const Component& component) {
  int side = n;
  while (side < 8 && header.h_max * n % (component.h * side * 2) == 0 &&
         header.v_max * n % (component.v * side * 2) == 0) {
    side *= 2;
  }
  return side;
}

int ceil_div(int a, int b) { return (a + b - 1) / b; }

int add_axis(State& s, const Side& side, int n, int length, int sampling, int sampling_max,
             int component_n, bool upsampled_smoothly) {
  AxisRequest r;
  r.begin = side.begin * n / 8;
  r.end = side.end * n / 8;
  const int n_pixels = ceil_div(length * n, 8);
  r.clamp_begin = std::min(side.clamp_begin * n / 8, n_pixels - 1);
  r.clamp_end = std::clamp(ceil_div(side.clamp_end * n, 8), r.clamp_begin + 1, n_pixels);
  r.n_out = side.n_out;
  r.mirrored = side.mirrored;
  r.n_upsampled = sampling_max * n / (sampling * component_n);
  r.n_samples = ceil_div(length * sampling * component_n, sampling_max * 8);
  r.smooth = upsampled_smoothly;
  for (int i = 0; i < s.n_axes; ++i) {
    if (s.requests[static_cast<std::size_t>(i)] == r) return i;
  }
  s.requests[static_cast<std::size_t>(s.n_axes)] = r;
  build(r, s.axes[static_cast<std::size_t>(s.n_axes)]);
  return s.n_axes++;
}

void plan_planes(State& s, const Side& across, const Side& down, int n) {
  const Header& header = s.header;
  s.n_axes = 0;
  s.mcu_x0 = header.mcus_wide();
  s.mcu_y0 = header.mcus_high();
  s.mcu_x1 = s.mcu_y1 = 0;
  for (int c = 0; c < header.n_components; ++c) {
    const Component& component = header.components[c];
    Plane& plane = s.planes[c];
    plane.h = component.h;
    plane.v = component.v;
    plane.n = component_side(n, header, component);
    plane.k_last = plane.n == 8 ? 63 : plane.n == 4 ? 24 : plane.n == 2 ? 4 : 0;
    const int wide = header.h_max * n / (component.h * plane.n);
    const int high = header.v_max * n / (component.v * plane.n);
    // libjpeg's triangle rule: factors 2 x 1, 2 x 2 (planes wider than two) and 1 x 2.
    const int n_columns = ceil_div(header.width * component.h * plane.n, header.h_max * 8);
    const bool smooth = n > 1 && ((wide == 2 && high <= 2 && n_columns > 2) ||
                                  (wide == 1 && high == 2));
    plane.across = add_axis(s, across, n, header.width, component.h, header.h_max, plane.n, smooth);
    plane.down = add_axis(s, down, n, header.height, component.v, header.v_max, plane.n, smooth);
    const Axis &x = s.axis_of(plane.across), &y = s.axis_of(plane.down);
    const int mcu_wide = plane.h * plane.n, mcu_high = plane.v * plane.n;
    s.mcu_x0 = std::min(s.mcu_x0, x.first / mcu_wide);
    s.mcu_y0 = std::min(s.mcu_y0, y.first / mcu_high);
    s.mcu_x1 = std::max(s.mcu_x1, ceil_div(x.last, mcu_wide));
    s.mcu_y1 = std::max(s.mcu_y1, ceil_div(y.last, mcu_high));
  }
}

template <typename T>
void grow(std::vector<T>& buffer, std::size_t n) {
  if (buffer.size() < n) buffer.resize(n + n / 4);
}

void make_room(State& s) {
  s.row_stride = (s.out_wide + 15) / 16 * 16;
  for (int c = 0; c < s.header.n_components; ++c) {
    Plane& plane = s.planes[c];
    const Axis &x = s.axis_of(plane.across), &y = s.axis_of(plane.down);
    plane.x_origin = s.mcu_x0 * plane.h * plane.n;
    // Taps of weight zero reach behind the last column.
    const int n_columns = (s.mcu_x1 - s.mcu_x0) * plane.h * plane.n + x.n_taps + 2;
    plane.strip_bytes = static_cast<std::ptrdiff_t>(n_columns) * 8;
    grow(plane.strips, static_cast<std::size_t>(plane.strip_bytes * plane.v));
    // The same below the last row; these rows must be numbers that a weight of zero leaves zero.
    const std::size_t n_rows = static_cast<std::size_t>(y.last - y.first + y.n_taps + 1);
    grow(plane.row_store, n_rows * static_cast<std::size_t>(s.row_stride) + 16);
    const auto address = reinterpret_cast<std::uintptr_t>(plane.row_store.data());
    plane.rows = plane.row_store.data() + (32 - address % 32) % 32 / sizeof(std::int16_t);
  }
}

std::atomic<bool> only_portable{false};

// Writes a stored tile (high x wide) with rows and columns exchanged.
void write_turned(const std::uint8_t* from, int wide, int high, std::uint8_t* rgb,
                  std::ptrdiff_t row_stride) {
  for (int y = 0; y < high; ++y) {
    for (int x = 0; x < wide; ++x) {
      const std::uint8_t* pixel = from + 3 * (static_cast<std::ptrdiff_t>(y) * wide + x);
      std::copy(pixel, pixel + 3, rgb + x * row_stride + 3 * y);
    }
  }
}

Status decode(const std::uint8_t* data, std::size_t n_bytes, const Tile& tile,
              OwnScratch& scratch, std::uint8_t* rgb, std::ptrdiff_t row_stride) {
  State& s = scratch.state();
  if (!read_header(data, n_bytes, s.header)) return Status::unsupported;
  const Header& header = s.header;
  if (static_cast<std::int64_t>(header.width) * header.height > scratch.max_pixels) {
    return Status::unsupported;
  }
  const bool turned = tile.orientation >= 5;
  if (tile.bx1 > (turned ? header.height : header.width) ||
      tile.by1 > (turned ? header.width : header.height)) {
    return Status::bad_argument;
  }
  const Placement placement = place(tile, header.width, header.height);
  const Side across = across_of(placement), down = down_of(placement);
  const std::int64_t n_mcus = static_cast<std::int64_t>(header.mcus_wide()) * header.mcus_high();
  const std::int64_t n_segments =
      header.restart_interval ? (n_mcus + header.restart_interval - 1) / header.restart_interval : 1;
  if (!unstuff(data, n_bytes, header.scan_offset, static_cast<std::size_t>(n_segments),
               s.segments)) {
    return Status::unsupported;
  }
  for (int c = 0; c < header.n_components; ++c) {
    s.planes[c].dc = s.dc_tables.get(header.dc[header.components[c].dc]);
    s.planes[c].ac = s.ac_tables.get(header.ac[header.components[c].ac]);
    for (int i = 0; i < 64; ++i) {
      const int table = header.components[c].quant;
      s.quant[table][i] = static_cast<std::int16_t>(header.quant[table][i]);
    }
  }
  s.out_wide = across.n_out;
  s.out_high = down.n_out;
  plan_planes(s, across, down, choose_eighths(placement));
  make_room(s);
  std::uint8_t* target = rgb;
  std::ptrdiff_t stride = row_stride;
  if (turned) {
    stride = static_cast<std::ptrdiff_t>(s.out_wide) * 3;
    grow(s.turned, static_cast<std::size_t>(stride * s.out_high));
    target = s.turned.data();
  }
  const bool fine = own_uses_avx2() ? avx2::run(s, target, stride) : portable::run(s, target, stride);
  if (!fine) return Status::unsupported;
  if (turned) write_turned(target, s.out_wide, s.out_high, rgb, row_stride);
  return Status::ok;
}

}  // namespace

}  // namespace own

OwnScratch::OwnScratch(int64_t max_pixels)
    : max_pixels(max_pixels), state_(std::make_unique<own::State>()) {}
OwnScratch::~OwnScratch() = default;

bool own_uses_avx2() {
#if defined(__x86_64__)
  // The kernel's choice, which may be the portable one on request; BMI2 comes with all of AVX2's
  // processors but a few.
  static const bool has = !std::strcmp(instructions().name, "AVX2") && __builtin_cpu_supports("bmi2");
  return has && !own::only_portable.load(std::memory_order_relaxed);
#else
  return false;
#endif
}

void use_portable(bool yes) { own::only_portable.store(yes); }

Status decode_tile_own(const uint8_t* data, size_t n_bytes, const Tile& tile, OwnScratch& scratch,
                       uint8_t* rgb, ptrdiff_t row_stride) {
  if (!is_sound(tile)) return Status::bad_argument;
  try {
    return own::decode(data, n_bytes, tile, scratch, rgb, row_stride);
  } catch (const std::bad_alloc&) {
    return Status::no_memory;
  }
}

}  // namespace imagetree
