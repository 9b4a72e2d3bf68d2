#include "own.hpp"

namespace imagetree {

Status decode_tile_own(const uint8_t*, size_t, const Tile&, OwnScratch&, uint8_t*, ptrdiff_t) {
  return Status::unsupported;
}

} // namespace imagetree
