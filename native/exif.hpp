// The EXIF orientation of a JPEG, found without decoding it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace imagetree {

// 1 to 8; 1 where EXIF is absent, broken or says something else: the pixels may be whole all the
// same.
int exif_orientation(const uint8_t* data, size_t n_bytes);

} // namespace imagetree
