// Writes JPEGs by libjpeg-turbo, without its exits.
#pragma once

#include <cstdint>
#include <vector>

#include "tile.hpp"

namespace imagetree {

// The baseline JPEG of rgb (height, width, 3), chroma halved both ways as Pillow does by default:
// the first n_bytes of room, which grows as needed.
Status write_jpeg(const uint8_t* rgb, int width, int height, int quality,
                  std::vector<uint8_t>& room, size_t& n_bytes);

} // namespace imagetree
