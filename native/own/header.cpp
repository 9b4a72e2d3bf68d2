#include "header.hpp"

#include <cstring>

namespace imagetree::own {

const std::uint8_t kNaturalOrder[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

namespace {

// A marker segment's payload, read byte by byte; `ok` turns false at the first byte too many.
struct Payload {
  const std::uint8_t* at;
  const std::uint8_t* end;
  bool ok = true;

  int byte() {
    if (at >= end) {
      ok = false;
      return 0;
    }
    return *at++;
  }
  int word() {
    const int high = byte();
    return high << 8 | byte();
  }
  std::size_t left() const { return static_cast<std::size_t>(end - at); }
};

bool read_quantisation(Payload p, Header& header) {
  while (p.left()) {
    const int which = p.byte();
    if (which >> 4 || (which & 15) > 3) return false;  // 16-bit tables are left to libjpeg
    for (int i = 0; i < 64; ++i) {
      const int value = p.byte();
      if (value == 0) return false;
      header.quant[which & 3][kNaturalOrder[i]] = static_cast<std::uint16_t>(value);
    }
    if (!p.ok) return false;
    header.quant_set[which & 3] = true;
  }
  return true;
}

bool read_huffman(Payload p, Header& header) {
  while (p.left()) {
    const int which = p.byte();
    if (which >> 4 > 1 || (which & 15) > 3) return false;
    HuffmanSpec& spec = (which >> 4 ? header.ac : header.dc)[which & 3];
    spec = HuffmanSpec();
    // Codes of each length follow one another; there must be room for them.
    int code = 0;
    for (int l = 1; l <= 16; ++l) {
      spec.counts[l] = static_cast<std::uint8_t>(p.byte());
      spec.n += spec.counts[l];
      code += spec.counts[l];
      if (code > 1 << l) return false;
      code <<= 1;
    }
    if (spec.n > 256) return false;
    for (int i = 0; i < spec.n; ++i) {
      const int symbol = p.byte();
      // A DC symbol is a size, at most 11 in 8-bit files; AC sizes are at most 10.
      if (which >> 4 ? (symbol & 15) > 10 : symbol > 11) return false;
      spec.symbols[i] = static_cast<std::uint8_t>(symbol);
    }
    if (!p.ok) return false;
    spec.set = true;
  }
  return true;
}

bool read_frame(Payload p, Header& header) {
  if (p.byte() != 8) return false;
  header.height = p.word();
  header.width = p.word();
  header.n_components = p.byte();
  if (!p.ok || header.width == 0 || header.height == 0) return false;
  if (header.n_components != 1 && header.n_components != 3) return false;
  int n_blocks = 0;
  for (int c = 0; c < header.n_components; ++c) {
    Component& one = header.components[c];
    one.id = p.byte();
    const int sampling = p.byte();
    one.h = sampling >> 4;
    one.v = sampling & 15;
    one.quant = p.byte();
    if (one.h < 1 || one.h > 4 || one.v < 1 || one.v > 4 || one.quant > 3) return false;
    for (int other = 0; other < c; ++other) {
      if (header.components[other].id == one.id) return false;
    }
    n_blocks += one.h * one.v;
    header.h_max = one.h > header.h_max ? one.h : header.h_max;
    header.v_max = one.v > header.v_max ? one.v : header.v_max;
  }
  if (!p.ok || p.left()) return false;
  if (header.n_components == 1) {
    // A scan of one component is not interleaved: its MCU is one block whatever is written.
    header.components[0].h = header.components[0].v = header.h_max = header.v_max = 1;
    return true;
  }
  for (int c = 0; c < 3; ++c) {
    const Component& one = header.components[c];
    if (header.h_max % one.h || header.v_max % one.v) return false;
  }
  return n_blocks <= kMaxBlocksPerMcu;
}

bool read_scan(Payload p, Header& header) {
  if (p.byte() != header.n_components) return false;
  for (int c = 0; c < header.n_components; ++c) {
    Component& one = header.components[c];
    if (p.byte() != one.id) return false;
    const int tables = p.byte();
    one.dc = tables >> 4;
    one.ac = tables & 15;
    if (one.dc > 3 || one.ac > 3 || !header.dc[one.dc].set || !header.ac[one.ac].set) return false;
    if (!header.quant_set[one.quant]) return false;
  }
  const int first = p.byte(), last = p.byte(), approximation = p.byte();
  return p.ok && !p.left() && first == 0 && last == 63 && approximation == 0;
}

// The rule by which libjpeg tells YCbCr from RGB where three components are.
bool is_ycc(const Header& header, bool jfif, int adobe_transform) {
  if (header.n_components == 1 || jfif) return true;
  if (adobe_transform >= 0) return adobe_transform == 1;
  const Component* c = header.components;
  return !(c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B');
}

}  // namespace

bool read_header(const std::uint8_t* data, std::size_t n_bytes, Header& header) {
  header = Header();
  if (n_bytes < 4 || data[0] != 0xFF || data[1] != 0xD8) return false;
  const std::uint8_t* const end = data + n_bytes;
  const std::uint8_t* at = data + 2;
  bool frame = false, jfif = false;
  int adobe_transform = -1;
  for (;;) {
    if (end - at < 4 || at[0] != 0xFF) return false;
    while (end - at >= 4 && at[1] == 0xFF) ++at;  // fill bytes
    if (end - at < 4) return false;
    const int marker = at[1];
    const std::size_t length = static_cast<std::size_t>(at[2] << 8 | at[3]);
    if (length < 2 || length > static_cast<std::size_t>(end - at) - 2) return false;
    const Payload payload{at + 4, at + 2 + length};
    at += 2 + length;
    switch (marker) {
      case 0xC0:
      case 0xC1:
        if (frame || !read_frame(payload, header)) return false;
        frame = true;
        break;
      case 0xC4:
        if (!read_huffman(payload, header)) return false;
        break;
      case 0xDB:
        if (!read_quantisation(payload, header)) return false;
        break;
      case 0xDD:
        if (payload.left() != 2) return false;
        header.restart_interval = payload.at[0] << 8 | payload.at[1];
        break;
      case 0xDA:
        if (!frame || !read_scan(payload, header)) return false;
        if (!is_ycc(header, jfif, adobe_transform)) return false;
        header.scan_offset = static_cast<std::size_t>(at - data);
        return true;
      case 0xE0:
        jfif = jfif || (payload.left() >= 14 && !std::memcmp(payload.at, "JFIF", 5));
        break;
      case 0xEE:
        if (payload.left() >= 12 && !std::memcmp(payload.at, "Adobe", 5)) {
          adobe_transform = payload.at[11];
        }
        break;
      default:
        // Applications' data and comments are passed over; every other marker is not ours.
        if (!(marker > 0xE0 && marker <= 0xEF) && marker != 0xFE) return false;
    }
  }
}

bool unstuff(const std::uint8_t* data, std::size_t n_bytes, std::size_t offset,
             std::size_t n_segments, Segments& out) {
  out.starts.clear();
  const std::size_t n_most = n_bytes - offset;
  if (out.bytes.size() < n_most + kPadBytes) out.bytes.resize(n_most + n_most / 4 + kPadBytes);
  std::uint8_t* target = out.bytes.data();
  const std::uint8_t* at = data + offset;
  const std::uint8_t* const end = data + n_bytes;
  out.starts.push_back(0);
  for (;;) {
    const auto* found =
        static_cast<const std::uint8_t*>(std::memchr(at, 0xFF, static_cast<std::size_t>(end - at)));
    if (!found || end - found < 2) return false;  // cut short: no EOI
    const auto n_plain = static_cast<std::size_t>(found - at);
    std::memcpy(target, at, n_plain);
    target += n_plain;
    const int marker = found[1];
    at = found + 2;
    if (marker == 0) {
      *target++ = 0xFF;
    } else if (marker == 0xFF) {
      --at;  // fill byte
    } else if (marker >= 0xD0 && marker <= 0xD7) {
      if (marker != 0xD0 + static_cast<int>((out.starts.size() - 1) % 8)) return false;
      out.starts.push_back(static_cast<std::size_t>(target - out.bytes.data()));
    } else {
      if (marker != 0xD9 || out.starts.size() != n_segments) return false;
      out.starts.push_back(static_cast<std::size_t>(target - out.bytes.data()));
      std::memset(target, 0, kPadBytes);
      return true;
    }
  }
}

}  // namespace imagetree::own
