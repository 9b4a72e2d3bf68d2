// What a baseline JPEG says of itself, read without trust: ITU-T T.81 annex B.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace imagetree::own {

constexpr int kMaxComponents = 3;
constexpr int kMaxBlocksPerMcu = 10;
// Zeros behind the entropy-coded bytes: one MCU of hostile codes cannot read past them.
constexpr std::size_t kPadBytes = 8192;

// Symbols of one Huffman table as the file lists them; `n` of them are set.
struct HuffmanSpec {
  std::uint8_t counts[17] = {};  // counts[l] codes of l bits, l from 1 to 16
  std::uint8_t symbols[256] = {};
  int n = 0;
  bool set = false;
};

struct Component {
  int id = 0;
  int h = 1, v = 1;  // sampling factors, 1 to 4
  int quant = 0, dc = 0, ac = 0;
};

struct Header {
  int width = 0, height = 0;
  int n_components = 0;
  int h_max = 1, v_max = 1;
  int restart_interval = 0;  // MCUs between restart markers, 0 for none
  Component components[kMaxComponents];
  std::uint16_t quant[4][64] = {};  // in natural order
  bool quant_set[4] = {};
  HuffmanSpec dc[4], ac[4];
  std::size_t scan_offset = 0;  // first entropy-coded byte

  int mcus_wide() const { return (width + 8 * h_max - 1) / (8 * h_max); }
  int mcus_high() const { return (height + 8 * v_max - 1) / (8 * v_max); }
};

// Whether the file is one that this engine decodes: 8-bit baseline or extended Huffman, grey or
// YCbCr, one scan of all components. False for all others, whole or damaged.
bool read_header(const std::uint8_t* data, std::size_t n_bytes, Header& header);

// The entropy-coded bytes without stuffing, one part between two restart markers.
struct Segments {
  std::vector<std::uint8_t> bytes;         // all parts, then kPadBytes zeros
  std::vector<std::size_t> starts;         // where each part begins; one more for the end
};

// False unless the scan ends with EOI and has exactly `n_segments` parts in marker order.
bool unstuff(const std::uint8_t* data, std::size_t n_bytes, std::size_t offset,
             std::size_t n_segments, Segments& out);

extern const std::uint8_t kNaturalOrder[64];  // natural place of each zigzag place

}  // namespace imagetree::own
