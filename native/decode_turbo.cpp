// One tile by libjpeg-turbo: only the rows and columns that the tile needs, at the smallest DCT
// scale that is enough, resized row by row while the rows are still in the first-level cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "placement.hpp"
#include "scratch.hpp"

namespace imagetree {

namespace {

// Variance, in pixels of the reduced picture squared, by which a reduced inverse DCT blurs.
double blur_of(int eighths) {
  switch (eighths) {
    case 4: return 3.0 / 48.0;
    case 2: return 15.0 / 192.0;
    case 1: return 63.0 / 768.0;
    default: return 0.0;
  }
}

// A file that ends before its end marker is Pillow's to judge, also where the tile's rows are
// whole. Cameras and editors pad files, hence the search.
bool has_end(const uint8_t* data, size_t n_bytes) {
  const size_t stop = n_bytes > 1024 ? n_bytes - 1024 : 1;
  for (size_t i = n_bytes - 1; i >= stop; --i)
    if (data[i] == 0xD9 && data[i - 1] == 0xFF) return true;
  return false;
}

class TurboTile {
 public:
  TurboTile(const Placement& placement, Scratch& scratch)
      : p_(placement), s_(scratch), set_(instructions()) {}

  Status start();
  Status write(uint8_t* rgb, ptrdiff_t row_stride);

 private:
  Status read_to(int row);

  const Placement& p_;
  Scratch& s_;
  const Instructions& set_;
  uint8_t* ring_ = nullptr;
  size_t pitch_ = 0;  // bytes from one row of the ring to the next
  int n_ring_ = 0;    // rows in the ring
  int next_ = 0;      // the picture's next row to be decoded
};

Status TurboTile::start() {
  const int eighths = choose_eighths(p_);
  const double scale = eighths / 8.0, blur = blur_of(eighths);
  const auto low = [&](int v) { return v * eighths / 8; };
  const auto high = [&](int v) { return (v * eighths + 7) / 8; };
  // Weights of 1/256 cannot express more taps, and nobody shrinks so much but by mistake.
  if ((p_.x1 - p_.x0) * scale > (kMostTaps / 2 - 1.0) * p_.out_w ||
      (p_.y1 - p_.y0) * scale > (kMostTaps / 2 - 1.0) * p_.out_h)
    return Status::unsupported;
  s_.across_taps.make(p_.x0 * scale, p_.x1 * scale, p_.out_w, low(p_.bx0), high(p_.bx1), blur,
                      kAcrossTotal);
  s_.down_taps.make(p_.y0 * scale, p_.y1 * scale, p_.out_h, low(p_.by0), high(p_.by1), blur,
                    kDownTotal);
  Status status = s_.reader.start(eighths, s_.across_taps.first, s_.across_taps.last);
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
    next_ += n;
  }
  return Status::ok;
}

Status TurboTile::write(uint8_t* rgb, ptrdiff_t row_stride) {
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

void transpose(const uint8_t* from, int width, int height, uint8_t* to, ptrdiff_t row_stride) {
  for (int x = 0; x < width; ++x) {
    uint8_t* out = to + ptrdiff_t(x) * row_stride;
    const uint8_t* in = from + size_t(x) * 3;
    for (int y = 0; y < height; ++y, in += size_t(width) * 3, out += 3) std::memcpy(out, in, 3);
  }
}

Status decode(const Tile& tile, Scratch& scratch, uint8_t* rgb, ptrdiff_t row_stride) {
  const int width = scratch.reader.width(), height = scratch.reader.height();
  if (int64_t(width) * height > scratch.max_pixels) return Status::unsupported;
  const bool turned = tile.orientation >= 5;
  if (tile.bx1 > (turned ? height : width) || tile.by1 > (turned ? width : height))
    return Status::bad_argument;
  const Placement placement = place(tile, width, height);
  TurboTile work(placement, scratch);
  Status status = work.start();
  if (status != Status::ok) return status;
  if (!placement.transpose) return work.write(rgb, row_stride);
  const size_t pitch = size_t(placement.out_w) * 3;
  scratch.turned.resize(pitch * size_t(placement.out_h));
  status = work.write(scratch.turned.data(), ptrdiff_t(pitch));
  if (status == Status::ok)
    transpose(scratch.turned.data(), placement.out_w, placement.out_h, rgb, row_stride);
  return status;
}

} // namespace

Status decode_tile_turbo(const uint8_t* data, size_t n_bytes, const Tile& tile, Scratch& scratch,
                         uint8_t* rgb, ptrdiff_t row_stride) {
  if (!is_sound(tile)) return Status::bad_argument;
  if (n_bytes < 4 || data[0] != 0xFF || data[1] != 0xD8) return Status::unsupported;
  if (!has_end(data, n_bytes)) return Status::damaged;
  Status status = scratch.reader.open(data, n_bytes);
  if (status == Status::ok) {
    try {
      status = decode(tile, scratch, rgb, row_stride);
    } catch (const std::bad_alloc&) {
      status = Status::no_memory;
    }
  }
  scratch.reader.close();
  return status;
}

} // namespace imagetree
