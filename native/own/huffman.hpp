// Decoding tables of several symbols a look-up, for reading coefficients and for passing over them.
//
// One look-up of kLookBits bits gives up to two whole coefficients, codes and values together:
//
//     bits  0..7   number of bits used, 0: the slow way (then bits 8..15 code length, 16..23 symbol)
//     bits  8..15  steps to the first coefficient's zigzag place     bits 16..31  its value
//     bits 32..39  steps from there to the second's                  bits 40..55  its value
//
// An end of block counts as 128 steps, so that one comparison tells that a block is over; its
// value, like that of a run of sixteen zeros, is a zero stored at a place that does not matter. An
// entry with a single coefficient stores it twice.
//
// For passing over blocks the values do not matter, only how long they are: an entry of kLookBits
// tells the bits of all symbols whose codes fit and the steps that they make together.
#pragma once

#include <cstdint>

#include "header.hpp"

namespace imagetree::own {

constexpr int kLookBits = 10;
constexpr int kDcBits = 10;
constexpr int kEndSteps = 128;

// Codes longer than a look-up: canonical, compared left-aligned in 16 bits.
struct LongCodes {
  std::uint32_t limit[18];   // first 16-bit pattern above the codes of l bits
  std::int32_t offset[18];   // symbol number = (pattern >> (16 - l)) + offset[l]
  std::uint8_t symbols[256];
};

struct AcTable {
  std::uint64_t fast[1 << kLookBits];
  std::uint16_t skip[1 << kLookBits];  // bits 0..7 bits used, 0: the slow way; 8..15 steps
  LongCodes codes;
};

struct DcTable {
  std::uint32_t fast[1 << kDcBits];  // bits 0..7 bits used, 0: slow; 16..31 difference
  LongCodes codes;
};

void build(const HuffmanSpec& spec, AcTable& table);
void build(const HuffmanSpec& spec, DcTable& table);

}  // namespace imagetree::own
