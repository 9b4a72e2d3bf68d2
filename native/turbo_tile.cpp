#include "turbo_tile.hpp"

#include <algorithm>
#include <cstring>

namespace imagetree {

namespace {

void transpose(const uint8_t* from, int width, int height, uint8_t* to, ptrdiff_t row_stride) {
  for (int x = 0; x < width; ++x) {
    uint8_t* out = to + ptrdiff_t(x) * row_stride;
    const uint8_t* in = from + size_t(x) * 3;
    for (int y = 0; y < height; ++y, in += size_t(width) * 3, out += 3) std::memcpy(out, in, 3);
  }
}

} // namespace

Status TurboTile::start(int eighths) {
  const Status status = prepare(eighths);
  return status == Status::ok ? begin(eighths) : status;
}

Status TurboTile::start_with_grey(int eighths) {
  const Status status = prepare(eighths);
  if (status != Status::ok) return status;
  with_grey_ = true;
  const int width = (s_.reader.width() * eighths + 7) / 8;
  const int height = (s_.reader.height() * eighths + 7) / 8;
  s_.across_taps.first = s_.down_taps.first = 0;
  s_.across_taps.last = width;
  const size_t n_bytes = size_t(width) * size_t(height) + kRowSlack;
  if (s_.grey.size() < n_bytes) s_.grey.resize(n_bytes);
  return begin(eighths);
}

Status TurboTile::prepare(int eighths) {
  const double scale = eighths / 8.0;
  const auto low = [&](int v) { return v * eighths / 8; };
  const auto high = [&](int v) { return (v * eighths + 7) / 8; };
  // Weights of 1/256 cannot express more taps, and nobody shrinks so much but by mistake.
  if ((p_.x1 - p_.x0) * scale > (kMostTaps / 2 - 1.0) * p_.out_w ||
      (p_.y1 - p_.y0) * scale > (kMostTaps / 2 - 1.0) * p_.out_h)
    return Status::unsupported;
  s_.across_taps.make(p_.x0 * scale, p_.x1 * scale, p_.out_w, low(p_.bx0), high(p_.bx1),
                      kAcrossTotal);
  s_.down_taps.make(p_.y0 * scale, p_.y1 * scale, p_.out_h, low(p_.by0), high(p_.by1),
                    kDownTotal);
  return Status::ok;
}

Status TurboTile::begin(int eighths) {
  const Status status = s_.reader.start(eighths, s_.across_taps.first, s_.across_taps.last);
  if (status != Status::ok) return status;
  if (s_.across_taps.last > s_.reader.scaled_width() ||
      s_.down_taps.last > s_.reader.scaled_height())
    return Status::bad_argument;
  s_.across.make(s_.across_taps, p_.mirror_x, set_);
  n_ring_ = s_.down_taps.width + 1;
  pitch_ = (size_t(s_.reader.row_width()) * 3 + kRowSlack + 63) / 64 * 64;
  const size_t n_bytes = pitch_ * size_t(n_ring_) + 64;
  if (s_.ring.size() < n_bytes) s_.ring.resize(n_bytes);
  // libjpeg writes rows that are aligned past the caches, as if nobody would read them soon. Rows
  // eight bytes off are written as usual, and the tile is done in a tenth less time.
  ring_ = s_.ring.data() + (72 - reinterpret_cast<uintptr_t>(s_.ring.data()) % 64) % 64;
  s_.ring_rows.resize(size_t(n_ring_));
  s_.blended_rows.resize(size_t(n_ring_));
  const size_t wide = size_t(s_.across_taps.last - s_.across_taps.first) * 3 + kRowSlack +
                      size_t(s_.across_taps.width + 1) * 3;
  if (s_.blended.size() < wide) s_.blended.resize(wide);
  next_ = s_.down_taps.first;
  return s_.reader.skip(next_);
}

// Decodes until the rows above `row` are there.
Status TurboTile::read_to(int row) {
  while (next_ < row) {
    const int n = std::min(row - next_, n_ring_);
    for (int i = 0; i < n; ++i)
      s_.ring_rows[size_t(i)] = ring_ + pitch_ * size_t((next_ + i) % n_ring_);
    const Status status = s_.reader.read(s_.ring_rows.data(), n);
    if (status != Status::ok) return status;
    if (with_grey_) {
      const int width = s_.reader.row_width();
      for (int i = 0; i < n; ++i)
        set_.to_grey(s_.ring_rows[size_t(i)], width,
                     s_.grey.data() + size_t(next_ + i) * size_t(width));
    }
    next_ += n;
  }
  return Status::ok;
}

Status TurboTile::write(uint8_t* rgb, ptrdiff_t row_stride) {
  if (!p_.transpose) return write_rows(rgb, row_stride);
  const size_t pitch = size_t(p_.out_w) * 3;
  if (s_.turned.size() < pitch * size_t(p_.out_h)) s_.turned.resize(pitch * size_t(p_.out_h));
  const Status status = write_rows(s_.turned.data(), ptrdiff_t(pitch));
  if (status == Status::ok) transpose(s_.turned.data(), p_.out_w, p_.out_h, rgb, row_stride);
  return status;
}

Status TurboTile::write_rows(uint8_t* rgb, ptrdiff_t row_stride) {
  const Taps& down = s_.down_taps;
  const size_t left = size_t(s_.across_taps.first - s_.reader.row_x0()) * 3;
  const int n_bytes = (s_.across_taps.last - s_.across_taps.first) * 3;
  for (int i = 0; i < p_.out_h; ++i) {
    const int first = down.start[size_t(i)], k = down.count[size_t(i)];
    const Status status = read_to(first + k);
    if (status != Status::ok) return status;
    for (int t = 0; t < k; ++t)
      s_.blended_rows[size_t(t)] = ring_ + pitch_ * size_t((first + t) % n_ring_) + left;
    set_.blend_rows(s_.blended_rows.data(), down.weight.data() + size_t(i) * size_t(down.width), k,
                    n_bytes, s_.blended.data());
    s_.across.resample(set_, s_.blended.data(),
                       rgb + ptrdiff_t(p_.mirror_y ? p_.out_h - 1 - i : i) * row_stride);
  }
  return Status::ok;
}

} // namespace imagetree
