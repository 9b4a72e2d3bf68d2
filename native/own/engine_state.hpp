// What one tile is made with: header, tables, weights, buffers; reused from tile to tile.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "axis.hpp"
#include "header.hpp"
#include "huffman.hpp"

namespace imagetree::own {

// One component's part in a tile. A sample is a pixel of the component's plane at its DCT scale.
struct Plane {
  int h = 1, v = 1;  // blocks an MCU
  int n = 8;         // samples a block's side: 8, 4, 2, 1
  int k_last = 63;   // last zigzag place that the transform of n x n needs
  int x_origin = 0;  // sample column of the strips' first column
  int across = 0, down = 0;  // numbers of the axes
  const DcTable* dc = nullptr;
  const AcTable* ac = nullptr;
  std::ptrdiff_t strip_bytes = 0;
  std::vector<std::uint8_t> strips;    // v strips
  std::vector<std::int16_t> row_store;
  std::int16_t* rows = nullptr;        // 32-byte aligned into row_store
};

// Tables by their symbols: most files of a collection share a few, so they are built once.
template <typename Table>
class TableCache {
 public:
  const Table* get(const HuffmanSpec& spec) {
    for (Entry& one : entries_) {
      if (one.table && same(one.spec, spec)) {
        one.used = ++clock_;
        return one.table.get();
      }
    }
    Entry* oldest = &entries_[0];
    for (Entry& one : entries_) oldest = one.used < oldest->used ? &one : oldest;
    if (!oldest->table) oldest->table = std::make_unique<Table>();
    build(spec, *oldest->table);
    oldest->spec = spec;
    oldest->used = ++clock_;
    return oldest->table.get();
  }

 private:
  struct Entry {
    HuffmanSpec spec;
    std::unique_ptr<Table> table;
    std::uint64_t used = 0;
  };
  static bool same(const HuffmanSpec& a, const HuffmanSpec& b) {
    if (a.n != b.n) return false;
    for (int l = 1; l <= 16; ++l) {
      if (a.counts[l] != b.counts[l]) return false;
    }
    for (int i = 0; i < a.n; ++i) {
      if (a.symbols[i] != b.symbols[i]) return false;
    }
    return true;
  }
  // More entries than one image has tables: none is replaced while it is needed.
  std::array<Entry, 12> entries_;
  std::uint64_t clock_ = 0;
};

struct State {
  Header header;
  Segments segments;
  Plane planes[kMaxComponents];
  int mcu_x0 = 0, mcu_x1 = 0, mcu_y0 = 0, mcu_y1 = 0;  // needed MCUs
  int out_wide = 0, out_high = 0;                      // of the tile as it is stored
  std::ptrdiff_t row_stride = 0;                       // int16 a row, a multiple of 16
  alignas(32) std::int16_t quant[4][64];               // natural order

  // Weights of this tile's axes; components of equal geometry share them.
  std::array<Axis, 2 * kMaxComponents> axes;
  std::array<AxisRequest, 2 * kMaxComponents> requests;
  int n_axes = 0;
  const Axis& axis_of(int number) const { return axes[static_cast<std::size_t>(number)]; }

  TableCache<DcTable> dc_tables;
  TableCache<AcTable> ac_tables;
  std::vector<std::uint8_t> turned;  // a tile before its picture is turned upright
};

// The builds of the engine: fills `rgb` with the tile as stored; false when damaged.
namespace avx2 {
bool run(State& state, std::uint8_t* rgb, std::ptrdiff_t row_stride);
}
namespace portable {
bool run(State& state, std::uint8_t* rgb, std::ptrdiff_t row_stride);
}

}  // namespace imagetree::own
