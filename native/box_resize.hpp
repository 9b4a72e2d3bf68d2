// Pillow's BOX resize of grey pixels to a small square, bit for bit.
//
// Fingerprints of older databases were made from it: a bit that differed would be a duplicate
// that is no longer found.
#pragma once

#include <cstdint>
#include <vector>

namespace imagetree {

// out (side, side) from grey (height, width), behind which seven bytes may be read. May throw
// std::bad_alloc.
void resize_by_box(const uint8_t* grey, int width, int height, int side, uint8_t* out);

} // namespace imagetree
