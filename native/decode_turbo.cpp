// One tile by libjpeg-turbo: only the rows and columns that the tile needs, at the smallest DCT
// scale that is enough.
#include <new>

#include "placement.hpp"
#include "scratch.hpp"
#include "turbo_tile.hpp"

namespace imagetree {

namespace {

Status decode(const Tile& tile, Scratch& scratch, uint8_t* rgb, ptrdiff_t row_stride) {
  const int width = scratch.reader.width(), height = scratch.reader.height();
  if (int64_t(width) * height > scratch.max_pixels) return Status::unsupported;
  const bool turned = tile.orientation >= 5;
  if (tile.bx1 > (turned ? height : width) || tile.by1 > (turned ? width : height))
    return Status::bad_argument;
  const Placement placement = place(tile, width, height);
  TurboTile work(placement, scratch);
  Status status = work.start(choose_eighths(placement));
  if (status == Status::ok) status = work.write(rgb, row_stride);
  return status == Status::ok ? scratch.reader.check_rest() : status;
}

} // namespace

Status decode_tile_turbo(const uint8_t* data, size_t n_bytes, const Tile& tile, Scratch& scratch,
                         uint8_t* rgb, ptrdiff_t row_stride) {
  if (!is_sound(tile)) return Status::bad_argument;
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
