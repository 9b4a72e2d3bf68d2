#include "batch.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "exif.hpp"
#include "kept.hpp"
#include "pool.hpp"

namespace imagetree {

namespace {

uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// A byte has 256 values: the table makes normalising exact and as cheap as a copy.
template <class Value>
struct Tables {
  Value value[3][256];
};

Tables<float> float_tables(const Batch& batch) {
  Tables<float> tables;
  for (int c = 0; c < 3; ++c)
    for (int v = 0; v < 256; ++v)
      tables.value[c][v] = float((v / 255.0 - batch.mean[c]) / batch.std[c]);
  return tables;
}

Tables<uint16_t> bfloat16_tables(const Batch& batch) {
  const Tables<float> exact = float_tables(batch);
  Tables<uint16_t> tables;
  for (int c = 0; c < 3; ++c)
    for (int v = 0; v < 256; ++v) tables.value[c][v] = to_bfloat16(exact.value[c][v]);
  return tables;
}

template <class Value>
void to_planes(const uint8_t* rgb, size_t n_pixels, const Tables<Value>& tables, Value* out) {
  Value *r = out, *g = out + n_pixels, *b = out + 2 * n_pixels;
  for (size_t i = 0; i < n_pixels; ++i, rgb += 3) {
    r[i] = tables.value[0][rgb[0]];
    g[i] = tables.value[1][rgb[1]];
    b[i] = tables.value[2][rgb[2]];
  }
}

template <class Value>
void to_grey(const uint8_t* rgb, size_t n_pixels, const Tables<Value>& tables, Value* out) {
  for (size_t i = 0; i < n_pixels; ++i, rgb += 3) out[i] = tables.value[0][grey_of(rgb)];
}

class Filling {
 public:
  explicit Filling(const Batch& batch) : b_(batch) {
    n_pixels_ = size_t(batch.width) * size_t(batch.height);
    if (batch.layout == Layout::float32) floats_ = float_tables(batch);
    if (batch.layout == Layout::bfloat16) bfloats_ = bfloat16_tables(batch);
  }

  static void one(void* self, int i) {
    const Filling& filling = *static_cast<const Filling*>(self);
    Status status;
    try {
      status = filling.fill_one(i);
    } catch (const std::bad_alloc&) {
      status = Status::no_memory;
    }
    filling.b_.status[i] = int32_t(status);
  }

 private:
  Status fill_one(int i) const {
    Kept& kept = kept_by_this_thread();
    const size_t n_values = n_pixels_ * size_t(b_.channels), first = size_t(i) * n_values;
    const bool direct = b_.layout == Layout::uint8 && b_.channels == 3;
    if (!direct && kept.turbo.rgb.size() < n_pixels_ * 3) kept.turbo.rgb.resize(n_pixels_ * 3);
    uint8_t* rgb = direct ? static_cast<uint8_t*>(b_.out) + first : kept.turbo.rgb.data();
    const Status status = decode(i, kept, rgb);
    if (status != Status::ok || direct) return status;
    switch (b_.layout) {
      case Layout::uint8: {
        uint8_t* out = static_cast<uint8_t*>(b_.out) + first;
        for (size_t k = 0; k < n_pixels_; ++k) out[k] = grey_of(rgb + 3 * k);
        break;
      }
      case Layout::float32: lay(rgb, floats_, static_cast<float*>(b_.out) + first); break;
      case Layout::bfloat16: lay(rgb, bfloats_, static_cast<uint16_t*>(b_.out) + first); break;
    }
    return status;
  }

  Status decode(int i, Kept& kept, uint8_t* rgb) const {
    const TileRow& row = b_.tiles[i];
    const Source& source = b_.sources[i];
    if (source.data == nullptr) return Status::bad_argument;
    const int orientation = row.orientation == kAsTheFileSays
                                ? exif_orientation(source.data, source.n_bytes)
                                : row.orientation;
    const Tile tile = {row.x0,  row.y0,  row.x1,   row.y1,    row.bx0,       row.by0,
                       row.bx1, row.by1, b_.width, b_.height, row.flip != 0, orientation};
    const ptrdiff_t stride = ptrdiff_t(b_.width) * 3;
    kept.turbo.max_pixels = kept.own.max_pixels = b_.max_pixels;
    if (int64_t(source.n_bytes) > b_.max_bytes) return Status::unsupported;
    if (b_.engine != Engine::turbo) {
      const Status status =
        decode_tile_own(source.data, source.n_bytes, tile, kept.own, rgb, stride);
      if (status != Status::unsupported || b_.engine == Engine::own) return status;
    }
    return decode_tile_turbo(source.data, source.n_bytes, tile, kept.turbo, rgb, stride);
  }

  template <class Value>
  void lay(const uint8_t* rgb, const Tables<Value>& tables, Value* out) const {
    if (b_.channels == 3)
      to_planes(rgb, n_pixels_, tables, out);
    else
      to_grey(rgb, n_pixels_, tables, out);
  }

  const Batch& b_;
  size_t n_pixels_;
  Tables<float> floats_;
  Tables<uint16_t> bfloats_;
};

} // namespace

void fill(const Batch& batch, int n_threads) {
  const auto filling = std::make_unique<Filling>(batch);
  run_in_pool(n_threads, batch.n, Filling::one, filling.get());
}

} // namespace imagetree
