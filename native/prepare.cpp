#include "prepare.hpp"

#include <new>

#include "box_resize.hpp"
#include "turbo_tile.hpp"
#include "turbo_writer.hpp"

namespace imagetree {

namespace {

constexpr size_t kMostKept = size_t(1) << 24; // bytes of a grey plane that are worth keeping

Tile whole_picture(const Wanted& wanted, int width, int height) {
  Tile tile;
  const bool turned = wanted.orientation >= 5;
  tile.x0 = tile.y0 = 0;
  tile.bx0 = tile.by0 = 0;
  tile.bx1 = turned ? height : width;
  tile.by1 = turned ? width : height;
  tile.x1 = float(tile.bx1), tile.y1 = float(tile.by1);
  tile.out_w = wanted.width, tile.out_h = wanted.height;
  tile.flip = false;
  tile.orientation = wanted.orientation;
  return tile;
}

// The grey plane of the stored picture, upright: rows and columns change places and direction.
std::vector<uint8_t> upright(const std::vector<uint8_t>& grey, const Placement& p, int width,
                             int height) {
  std::vector<uint8_t> out(size_t(width) * size_t(height) + kRowSlack);
  for (int y = 0; y < height; ++y) {
    const size_t row = size_t(p.mirror_y ? height - 1 - y : y);
    for (int x = 0; x < width; ++x) {
      const size_t column = size_t(p.mirror_x ? width - 1 - x : x);
      const size_t at = p.transpose ? column * size_t(height) + row : row * size_t(width) + column;
      out[at] = grey[size_t(y) * size_t(width) + size_t(x)];
    }
  }
  return out;
}

Status decode(const Wanted& wanted, Scratch& scratch, uint8_t* grey) {
  const int width = scratch.reader.width(), height = scratch.reader.height();
  if (int64_t(width) * height > scratch.max_pixels) return Status::unsupported;
  const Tile tile = whole_picture(wanted, width, height);
  if (!is_sound(tile)) return Status::bad_argument;
  Placement placement = place(tile, width, height);
  // As Pillow does, the reduced picture counts as whole, though its last pixels may be cut.
  const int reduction = 8 / wanted.eighths;
  placement.x1 = (width + reduction - 1) / reduction * reduction;
  placement.y1 = (height + reduction - 1) / reduction * reduction;
  TurboTile work(placement, scratch);
  Status status = work.start_with_grey(wanted.eighths);
  if (status != Status::ok) return status;
  const size_t n_bytes = size_t(wanted.width) * size_t(wanted.height) * 3;
  if (scratch.rgb.size() < n_bytes) scratch.rgb.resize(n_bytes);
  status = work.write(scratch.rgb.data(), ptrdiff_t(wanted.width) * 3);
  if (status == Status::ok) status = work.read_rest();
  if (status == Status::ok) status = scratch.reader.finish();
  if (status != Status::ok) return status;
  const int wide = scratch.reader.row_width(), high = scratch.reader.scaled_height();
  if (wanted.orientation == 1) {
    resize_by_box(scratch.grey.data(), wide, high, kGreySide, grey);
  } else {
    const std::vector<uint8_t> turned = upright(scratch.grey, placement, wide, high);
    resize_by_box(turned.data(), placement.transpose ? high : wide,
                  placement.transpose ? wide : high, kGreySide, grey);
  }
  return Status::ok;
}

} // namespace

Status prepare_turbo(const uint8_t* data, size_t n_bytes, const Wanted& wanted, Scratch& scratch,
                     Prepared& out) {
  Status status = scratch.reader.open(data, n_bytes);
  if (status == Status::ok) {
    try {
      status = decode(wanted, scratch, out.grey);
    } catch (const std::bad_alloc&) {
      status = Status::no_memory;
    }
  }
  scratch.reader.close();
  if (scratch.grey.size() > kMostKept) std::vector<uint8_t>().swap(scratch.grey);
  if (status != Status::ok) return status;
  status = write_jpeg(scratch.rgb.data(), wanted.width, wanted.height, wanted.quality,
                      scratch.jpeg, out.n_bytes);
  out.jpeg = scratch.jpeg.data();
  return status;
}

} // namespace imagetree
