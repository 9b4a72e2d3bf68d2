#include "huffman.hpp"

#include <cstring>

namespace imagetree::own {

namespace {

// One symbol that a pattern of look-up bits begins with.
struct Single {
  std::uint8_t n_code_bits;  // 0: no code that is short enough
  std::uint8_t symbol;
};

void build_codes(const HuffmanSpec& spec, LongCodes& codes) {
  std::memcpy(codes.symbols, spec.symbols, sizeof codes.symbols);
  std::uint32_t code = 0;
  std::int32_t number = 0;
  for (int l = 1; l <= 16; ++l) {
    codes.offset[l] = number - static_cast<std::int32_t>(code);
    code += spec.counts[l];
    number += spec.counts[l];
    codes.limit[l] = code << (16 - l);
    code <<= 1;
  }
  codes.limit[17] = 0xFFFFFFFFu;
}

// Fills singles[1 << n_bits]: the symbol whose code each pattern starts with.
void build_singles(const HuffmanSpec& spec, int n_bits, Single* singles) {
  const std::uint32_t n = 1u << n_bits;
  std::memset(singles, 0, n * sizeof(Single));
  std::uint32_t code = 0;
  int number = 0;
  for (int l = 1; l <= n_bits; ++l) {
    for (int i = 0; i < spec.counts[l]; ++i, ++code, ++number) {
      const Single one{static_cast<std::uint8_t>(l), spec.symbols[number]};
      const std::uint32_t first = code << (n_bits - l), last = (code + 1) << (n_bits - l);
      for (std::uint32_t at = first; at < last && at < n; ++at) singles[at] = one;
    }
    code <<= 1;
  }
}

// The number that `size` bits at the left of `n_bits` bits stand for (T.81 figure F.12).
int value_of(std::uint32_t bits, int n_bits, int size) {
  if (size == 0) return 0;
  const int raw = static_cast<int>(bits >> (n_bits - size));
  return raw < 1 << (size - 1) ? raw - (1 << size) + 1 : raw;
}

// What the first symbol of each pattern of kLookBits bits says.
struct Firsts {
  // As an entry of `fast`, second half empty; 0 where code and value do not fit.
  std::uint64_t coefficient[1 << kLookBits];
  // Bits 0..7 bits of the code, 8..15 bits of code and value, 16.. steps; 0 where the code does
  // not fit.
  std::uint32_t length[1 << kLookBits];
  std::uint8_t symbol[1 << kLookBits];
};

void fill_symbol(int l, int symbol, std::uint32_t code, Firsts& firsts) {
  const int size = symbol & 15, n_bits = l + size;
  const std::uint32_t begin = code << (kLookBits - l), n = 1u << (kLookBits - l);
  std::memset(firsts.symbol + begin, symbol, n);
  // Sizes of zero that are neither end of block nor sixteen zeros are left to the slow way.
  if (size == 0 && symbol != 0 && symbol != 0xF0) return;
  const int steps = symbol == 0 ? kEndSteps : symbol >> 4;
  const std::uint32_t length = static_cast<std::uint32_t>(l | n_bits << 8 | (steps + 1) << 16);
  for (std::uint32_t i = 0; i < n; ++i) firsts.length[begin + i] = length;
  if (n_bits > kLookBits) return;
  const std::uint32_t n_same = 1u << (kLookBits - n_bits);
  std::uint64_t* at = firsts.coefficient + begin;
  for (int raw = 0; raw < 1 << size; ++raw, at += n_same) {
    const int value = size && raw < 1 << (size - 1) ? raw - (1 << size) + 1 : raw;
    const std::uint64_t entry =
        static_cast<std::uint64_t>(n_bits) | static_cast<std::uint64_t>(steps) << 8 |
        static_cast<std::uint64_t>(static_cast<std::uint16_t>(value)) << 16;
    for (std::uint32_t i = 0; i < n_same; ++i) at[i] = entry;
  }
}

void build_firsts(const HuffmanSpec& spec, Firsts& firsts) {
  std::memset(&firsts, 0, sizeof firsts);
  std::uint32_t code = 0;
  int number = 0;
  for (int l = 1; l <= kLookBits; ++l) {
    for (int i = 0; i < spec.counts[l]; ++i) fill_symbol(l, spec.symbols[number++], code++, firsts);
    code <<= 1;
  }
}

constexpr std::uint32_t kMask = (1u << kLookBits) - 1;

std::uint64_t fast_entry(std::uint32_t pattern, const Firsts& firsts) {
  const std::uint64_t first = firsts.coefficient[pattern];
  const auto n_first = static_cast<unsigned>(first & 255);
  if (!n_first) {
    return static_cast<std::uint64_t>(firsts.length[pattern] & 255) << 8 |
           static_cast<std::uint64_t>(firsts.symbol[pattern]) << 16;
  }
  // A coefficient alone is stored twice at one place.
  const std::uint64_t value = first >> 16;
  const std::uint64_t alone = first | value << 40;
  if ((first >> 8 & 255) >= kEndSteps) return alone;
  const std::uint64_t second = firsts.coefficient[(pattern << n_first) & kMask];
  const auto n_second = static_cast<unsigned>(second & 255);
  if (!n_second || n_first + n_second > kLookBits) return alone;
  return ((first & ~std::uint64_t{255}) | (n_first + n_second)) |
         ((second >> 8 & 255) + 1) << 32 | (second >> 16) << 40;
}

std::uint16_t skip_entry(std::uint32_t pattern, const Firsts& firsts) {
  unsigned n_bits = 0, steps = 0;
  while (n_bits < kLookBits) {
    const std::uint32_t one = firsts.length[(pattern << n_bits) & kMask];
    // Steps of an unended block stay below 64; what goes beyond is for the next look-up.
    const unsigned more = one >> 16;
    if (!one || n_bits + (one & 255) > kLookBits) break;
    if (more <= kEndSteps && steps + more > 63) break;
    n_bits += one >> 8 & 255;
    steps += more;
    if (more > kEndSteps) break;
  }
  return static_cast<std::uint16_t>(n_bits | steps << 8);
}

}  // namespace

void build(const HuffmanSpec& spec, AcTable& table) {
  static thread_local Firsts firsts;
  build_firsts(spec, firsts);
  for (std::uint32_t i = 0; i <= kMask; ++i) {
    table.fast[i] = fast_entry(i, firsts);
    table.skip[i] = skip_entry(i, firsts);
  }
  build_codes(spec, table.codes);
}

void build(const HuffmanSpec& spec, DcTable& table) {
  Single singles[1 << kDcBits];
  build_singles(spec, kDcBits, singles);
  const std::uint32_t mask = (1u << kDcBits) - 1;
  for (std::uint32_t i = 0; i < 1u << kDcBits; ++i) {
    const Single one = singles[i];
    const int size = one.symbol, n_bits = one.n_code_bits + size;
    table.fast[i] = 0;
    if (!one.n_code_bits || n_bits > kDcBits) continue;
    const int value = value_of((i << one.n_code_bits) & mask, kDcBits, size);
    table.fast[i] = static_cast<std::uint32_t>(n_bits) |
                    static_cast<std::uint32_t>(static_cast<std::uint16_t>(value)) << 16;
  }
  build_codes(spec, table.codes);
}

}  // namespace imagetree::own
