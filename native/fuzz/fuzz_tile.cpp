// libFuzzer target: one hostile file through every engine.
//
//     bytes 0..11  which tile: corners and output size as fractions, flip, orientation, call
//     bytes 12..   the file
//
// Beside what the sanitizers see, both builds of the own engine must give the same bytes.
// Build and run: setup/fuzz
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../exif.hpp"
#include "../own/header.hpp"
#include "../own/own.hpp"
#include "../prepare.hpp"
#include "../scratch.hpp"
#include "../tile.hpp"

using namespace imagetree;

namespace {

constexpr int64_t kMaxPixels = 1 << 18;
constexpr size_t kTileBytes = 12;

// A sound tile of a picture of that (stored) size.
Tile tile_of(const uint8_t* bytes, int width, int height) {
  const int orientation = 1 + bytes[0] % 8;
  if (orientation >= 5) std::swap(width, height);
  const bool whole = bytes[0] & 128;
  Tile tile;
  tile.orientation = orientation;
  tile.flip = bytes[0] & 64;
  tile.out_w = 1 + bytes[1] % 96;
  tile.out_h = 1 + bytes[2] % 96;
  const auto part = [](uint8_t byte, int length) { return byte * length / 256; };
  tile.bx0 = part(bytes[3], width);
  tile.by0 = part(bytes[4], height);
  tile.bx1 = tile.bx0 + 1 + part(bytes[5], width - tile.bx0);
  tile.by1 = tile.by0 + 1 + part(bytes[6], height - tile.by0);
  if (tile.bx1 > width) tile.bx1 = width;
  if (tile.by1 > height) tile.by1 = height;
  tile.x0 = float(tile.bx0), tile.x1 = float(tile.bx1);
  tile.y0 = float(tile.by0), tile.y1 = float(tile.by1);
  if (whole) {  // resize, then crop: a box within the clamp
    tile.x0 += (tile.x1 - tile.x0) * float(bytes[7]) / 600;
    tile.y1 -= (tile.y1 - tile.y0) * float(bytes[8]) / 600;
  }
  return tile;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t n_bytes) {
  static Scratch turbo(kMaxPixels);
  static OwnScratch own_scratch(kMaxPixels);
  static std::vector<uint8_t> rgb, again, jpeg;
  if (n_bytes < kTileBytes) return 0;
  const uint8_t* file = bytes + kTileBytes;
  const size_t n_file = n_bytes - kTileBytes;
  exif_orientation(file, n_file);
  own::Header header;
  const bool known = own::read_header(file, n_file, header);
  const Tile tile = tile_of(bytes, known ? header.width : 33, known ? header.height : 21);
  const size_t n_out = size_t(tile.out_w) * size_t(tile.out_h) * 3;
  rgb.assign(n_out, 0);
  again.assign(n_out, 0);
  const ptrdiff_t stride = ptrdiff_t(tile.out_w) * 3;

  use_portable(false);
  const Status first = decode_tile_own(file, n_file, tile, own_scratch, rgb.data(), stride);
  use_portable(true);
  const Status second = decode_tile_own(file, n_file, tile, own_scratch, again.data(), stride);
  if (first != second) std::abort();
  if (first == Status::ok && std::memcmp(rgb.data(), again.data(), n_out)) std::abort();

  // libjpeg is not what is tested here: a part of the runs is enough for what surrounds it.
  if (bytes[9] % 4 == 0) decode_tile_turbo(file, n_file, tile, turbo, rgb.data(), stride);
  if (bytes[9] % 16 == 1) {
    const int eighths[] = {8, 4, 2, 1};
    const Wanted wanted = {tile.orientation, eighths[bytes[10] % 4], tile.out_w, tile.out_h, 82};
    uint8_t grey[kGreySide * kGreySide];
    prepare_turbo(file, n_file, wanted, turbo, rgb, jpeg, grey);
  }
  return 0;
}
