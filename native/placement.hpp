// A tile in the coordinates of the stored picture: where to read, and how to turn what is written.
#pragma once

#include "tile.hpp"

namespace imagetree {

// EXIF orientation and flip come down to three switches of the writing side, so that reading goes
// through the stored rows from top to bottom whatever the orientation is.
struct Placement {
  double x0, y0, x1, y1;  // the box in stored pixels
  int bx0, by0, bx1, by1; // the clamp in stored pixels
  int out_w, out_h;       // size before the turn
  bool mirror_x;          // stored column i becomes output column out_w - 1 - i
  bool mirror_y;
  bool transpose;         // rows become columns, after the mirrors
};

inline bool is_sound(const Tile& tile) {
  // Written so that NaN is refused.
  if (!(tile.x0 < tile.x1) || !(tile.y0 < tile.y1)) return false;
  if (tile.bx0 < 0 || tile.by0 < 0 || tile.bx0 >= tile.bx1 || tile.by0 >= tile.by1) return false;
  if (tile.bx1 > 65535 || tile.by1 > 65535) return false;
  if (tile.out_w < 1 || tile.out_h < 1) return false;
  if (tile.out_w > kMaxOutputSide || tile.out_h > kMaxOutputSide) return false;
  if (tile.orientation < 1 || tile.orientation > 8) return false;
  // The box lies in its clamp, but for the rounding of float.
  constexpr float slack = 0.02f;
  return tile.x0 >= float(tile.bx0) - slack && tile.x1 <= float(tile.bx1) + slack &&
         tile.y0 >= float(tile.by0) - slack && tile.y1 <= float(tile.by1) + slack;
}

// The placement of a sound tile; `width` and `height` are those of the stored picture.
inline Placement place(const Tile& tile, int width, int height) {
  Placement p;
  const int o = tile.orientation;
  p.transpose = o >= 5;
  const bool reverse_x = o == 2 || o == 3 || o == 7 || o == 8;
  const bool reverse_y = o == 3 || o == 4 || o == 6 || o == 7;
  p.x0 = p.transpose ? tile.y0 : tile.x0;
  p.x1 = p.transpose ? tile.y1 : tile.x1;
  p.y0 = p.transpose ? tile.x0 : tile.y0;
  p.y1 = p.transpose ? tile.x1 : tile.y1;
  p.bx0 = p.transpose ? tile.by0 : tile.bx0;
  p.bx1 = p.transpose ? tile.by1 : tile.bx1;
  p.by0 = p.transpose ? tile.bx0 : tile.by0;
  p.by1 = p.transpose ? tile.bx1 : tile.by1;
  p.out_w = p.transpose ? tile.out_h : tile.out_w;
  p.out_h = p.transpose ? tile.out_w : tile.out_h;
  if (reverse_x) {
    const double x0 = p.x0;
    const int bx0 = p.bx0;
    p.x0 = width - p.x1, p.x1 = width - x0;
    p.bx0 = width - p.bx1, p.bx1 = width - bx0;
  }
  if (reverse_y) {
    const double y0 = p.y0;
    const int by0 = p.by0;
    p.y0 = height - p.y1, p.y1 = height - y0;
    p.by0 = height - p.by1, p.by1 = height - by0;
  }
  p.mirror_x = reverse_x != (tile.flip && !p.transpose);
  p.mirror_y = reverse_y != (tile.flip && p.transpose);
  return p;
}

// The largest DCT reduction, as eighths 8, 4, 2 or 1, that leaves the box at least as large as the
// output. Others (3/8, 5/8, ...) have no SIMD inverse DCT and are slower than full size.
inline int choose_eighths(const Placement& p) {
  int eighths = 8;
  while (eighths > 1 && (p.x1 - p.x0) * eighths >= 16.0 * p.out_w &&
         (p.y1 - p.y0) * eighths >= 16.0 * p.out_h)
    eighths /= 2;
  return eighths;
}

} // namespace imagetree
