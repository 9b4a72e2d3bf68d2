// Writes JPEGs by libjpeg-turbo, without its exits.
#pragma once

#include <cstdint>
#include <vector>

#include "tile.hpp"

namespace imagetree {

// The baseline JPEG of rgb (height, width, 3), chroma halved both ways as Pillow does by default.
Status write_jpeg(const uint8_t* rgb, int width, int height, int quality,
                  std::vector<uint8_t>& jpeg);

} // namespace imagetree
