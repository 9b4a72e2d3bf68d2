// Markers: ITU-T T.81 annex B. The directory: TIFF 6.0 section 2, tag 0x0112.
#include "exif.hpp"

#include <cstring>

namespace imagetree {

namespace {

struct Tiff {
  const uint8_t* data;
  size_t n_bytes;
  bool big_endian;

  bool has(size_t offset, size_t n) const { return offset <= n_bytes && n <= n_bytes - offset; }
  uint32_t number(size_t offset, int n) const {
    uint32_t value = 0;
    for (int i = 0; i < n; ++i)
      value = value << 8 | data[offset + size_t(big_endian ? i : n - 1 - i)];
    return value;
  }
};

int orientation_of(const uint8_t* data, size_t n_bytes) {
  Tiff tiff = {data, n_bytes, false};
  if (!tiff.has(0, 8)) return 1;
  if (!std::memcmp(data, "MM\0\x2a", 4))
    tiff.big_endian = true;
  else if (std::memcmp(data, "II\x2a\0", 4))
    return 1;
  const size_t directory = tiff.number(4, 4);
  if (!tiff.has(directory, 2)) return 1;
  const size_t n_entries = tiff.number(directory, 2);
  constexpr size_t kEntryBytes = 12;
  constexpr uint32_t kOrientation = 0x0112, kShort = 3;
  for (size_t i = 0; i < n_entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (!tiff.has(entry, kEntryBytes)) return 1;
    if (tiff.number(entry, 2) != kOrientation) continue;
    if (tiff.number(entry + 2, 2) != kShort || tiff.number(entry + 4, 4) != 1) return 1;
    const uint32_t value = tiff.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

} // namespace

int exif_orientation(const uint8_t* data, size_t n_bytes) {
  if (n_bytes < 4 || data[0] != 0xFF || data[1] != 0xD8) return 1;
  size_t at = 2;
  while (at + 4 <= n_bytes && data[at] == 0xFF) {
    const int marker = data[at + 1];
    if (marker == 0xFF) { // fill byte
      ++at;
      continue;
    }
    const size_t length = size_t(data[at + 2] << 8 | data[at + 3]);
    if (marker == 0xDA || length < 2 || length > n_bytes - at - 2) return 1;
    constexpr size_t kPrefix = 6;
    if (marker == 0xE1 && length >= 2 + kPrefix && !std::memcmp(data + at + 4, "Exif\0\0", kPrefix))
      return orientation_of(data + at + 4 + kPrefix, length - 2 - kPrefix);
    at += 2 + length;
  }
  return 1;
}

} // namespace imagetree
