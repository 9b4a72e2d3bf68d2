// Reads and passes over the blocks of one entropy-coded part. Included by each build of the engine.
#pragma once

#include <cstring>

#include "huffman.hpp"

namespace imagetree::own {
namespace IMAGETREE_BUILD {

// A block of zeros. Spelt out: a call or a string instruction costs more than these few stores.
inline void clear_block(std::int16_t* block) {
  typedef std::int64_t Eight __attribute__((vector_size(32), may_alias));
  for (int i = 0; i < 4; ++i) reinterpret_cast<Eight*>(block)[i] = Eight{};
}

// Places behind the 64th take what ends of blocks and damaged runs store.
constexpr int kCoefficientSlots = 80;
struct ZigzagPlaces {
  std::uint8_t at[512];
  ZigzagPlaces() {
    for (int i = 0; i < 512; ++i) at[i] = i < 64 ? kNaturalOrder[i] : 64;
  }
};

inline std::uint64_t load_big_endian(const std::uint8_t* p) {
  std::uint64_t value;
  std::memcpy(&value, p, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

// The next bits at the left of `buffer`, `n_valid` of them sure; at least 56 after a refill.
struct Bits {
  std::uint64_t buffer;
  const std::uint8_t* at;
  int n_valid;

  explicit Bits(const std::uint8_t* start) : buffer(0), at(start), n_valid(0) {}

  void refill() {
    buffer |= load_big_endian(at) >> n_valid;
    at += (63 - n_valid) >> 3;
    n_valid |= 56;
  }
  void use(unsigned n) {
    buffer <<= n;
    n_valid -= static_cast<int>(n);
  }
  std::uint32_t peek(int n) const { return static_cast<std::uint32_t>(buffer >> (64 - n)); }
  // First byte that no used bit lies in.
  const std::uint8_t* position() const { return at - (n_valid >> 3); }
};

// The next code's symbol, whatever its length; -1 where the bits are no code.
inline int long_symbol(Bits& bits, const LongCodes& codes) {
  const std::uint32_t pattern = bits.peek(16);
  int l = 1;
  while (l <= 16 && pattern >= codes.limit[l]) ++l;
  if (l > 16) return -1;
  bits.use(static_cast<unsigned>(l));
  return codes.symbols[static_cast<int>(pattern >> (16 - l)) + codes.offset[l]];
}

inline int signed_value(Bits& bits, int size) {
  if (size == 0) return 0;
  const int raw = static_cast<int>(bits.peek(size));
  bits.use(static_cast<unsigned>(size));
  return raw < 1 << (size - 1) ? raw - (1 << size) + 1 : raw;
}

// One AC symbol read the plain way; the new place, or -1. At most 26 bits of a refilled buffer.
inline int plain_symbol(Bits& bits, const LongCodes& codes, int k, std::int16_t* coefficients,
                        const std::uint8_t* places) {
  const int symbol = long_symbol(bits, codes);
  if (symbol < 0) return -1;
  if (symbol == 0) return k + kEndSteps + 1;
  const int size = symbol & 15;
  k += symbol >> 4;
  if (size == 0) return symbol == 0xF0 && k < 64 ? k + 1 : -1;
  const int value = signed_value(bits, size);
  if (k > 63) return -1;
  if (coefficients) coefficients[places[k]] = static_cast<std::int16_t>(value);
  return k + 1;
}

// Whether an entry took symbols of the next block: places 1 to 64 are within or just behind the
// block, 129 to 192 are those of an end of block that was still due.
inline bool oversteps(int next) { return ((next - 1) & 64) != 0; }

inline bool ended(int k) { return k == 64 || k > kEndSteps; }

// A coefficient whose code fits a look-up but whose value does not: the entry still names the
// symbol. All else goes the plain way. The new place, or -1.
inline int wide_symbol(Bits& bits, const AcTable& table, std::uint64_t entry, int k,
                       std::int16_t* coefficients, const std::uint8_t* places) {
  bits.refill();
  const auto n_code_bits = static_cast<unsigned>(entry >> 8 & 255);
  const auto symbol = static_cast<unsigned>(entry >> 16 & 255);
  const int size = static_cast<int>(symbol & 15);
  if ((entry & 255) || !n_code_bits || !size) {
    return plain_symbol(bits, table.codes, k, coefficients, places);
  }
  bits.use(n_code_bits);
  // Top bit clear: negative, stored as value - 1 + 2^size (T.81 figure F.12).
  const int raw = static_cast<int>(bits.peek(size));
  const int value = raw - (((1 << size) - 1) & ((raw >> (size - 1)) - 1));
  bits.use(static_cast<unsigned>(size));
  k += static_cast<int>(symbol >> 4);
  coefficients[places[k]] = static_cast<std::int16_t>(value);
  return k > 63 ? -1 : k + 1;
}

// Passes over AC coefficients from zigzag place k on to the end of the block; false when damaged.
inline bool skip_ac(Bits& bits, const AcTable& table, int k) {
  while (k < 64) {
    bits.refill();
    // Two look-ups a refill: together at most 2 * (11 + 10) of its 56 bits.
    for (int twice = 0; twice < 2; ++twice) {
      const unsigned entry = table.skip[bits.peek(kLookBits)];
      const int next = k + static_cast<int>(entry >> 8);
      if (__builtin_expect((entry & 255) == 0 || oversteps(next), 0)) {
        bits.refill();
        k = plain_symbol(bits, table.codes, k, nullptr, nullptr);
        if (k < 0) return false;
        break;
      }
      bits.use(entry & 255);
      k = next;
      if (k >= 64) break;
    }
  }
  return ended(k);
}

// Reads AC coefficients up to zigzag place k_last into cleared `coefficients`, passes over the
// rest; false when damaged.
inline bool read_ac(Bits& bits, const AcTable& table, std::int16_t* coefficients, int k_last,
                    const std::uint8_t* places) {
  int k = 1;
  while (k <= k_last) {
    bits.refill();
    // Four look-ups of 11 bits are 44; a plain symbol refills first.
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t entry = table.fast[bits.peek(kLookBits)];
      const int first = k + static_cast<int>(entry >> 8 & 255);
      const int second = first + static_cast<int>(entry >> 32 & 255);
      const int next = second + 1;
      if (__builtin_expect((entry & 255) == 0 || oversteps(next), 0)) {
        k = wide_symbol(bits, table, entry, k, coefficients, places);
        if (k < 0) return false;
        break;
      }
      bits.use(static_cast<unsigned>(entry & 255));
      coefficients[places[first]] = static_cast<std::int16_t>(entry >> 16);
      coefficients[places[second]] = static_cast<std::int16_t>(entry >> 40);
      k = next;
      if (k > k_last) break;
    }
  }
  return k < 64 ? skip_ac(bits, table, k) : ended(k);
}

// The difference of the next DC coefficient; `damaged` is set where the bits are no code.
inline int read_dc(Bits& bits, const DcTable& table, bool& damaged) {
  bits.refill();
  const std::uint32_t entry = table.fast[bits.peek(kDcBits)];
  if (__builtin_expect((entry & 255) != 0, 1)) {
    bits.use(entry & 255);
    return static_cast<std::int16_t>(entry >> 16);
  }
  const int size = long_symbol(bits, table.codes);
  if (size < 0) {
    damaged = true;
    return 0;
  }
  return signed_value(bits, size);
}

}  // namespace IMAGETREE_BUILD
}  // namespace imagetree::own
