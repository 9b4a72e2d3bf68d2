// One picture on its way through the resize, row by row.
#pragma once

#include "placement.hpp"
#include "scratch.hpp"

namespace imagetree {

// Decodes the rows and columns that a placement needs with scratch.reader, which is open, and
// resizes them while they are still in the first-level cache.
class TurboTile {
 public:
  TurboTile(const Placement& placement, Scratch& scratch)
      : p_(placement), s_(scratch), set_(instructions()) {}

  // Begins at eighths/8 of the picture's size. May throw std::bad_alloc, as may the others.
  Status start(int eighths);
  // The same, and keeps the grey values of the whole reduced picture in scratch.grey.
  Status start_with_grey(int eighths);
  // Writes the tile, upright and flipped; rows of rgb lie row_stride bytes apart.
  Status write(uint8_t* rgb, ptrdiff_t row_stride);
  // Decodes what lies below the tile, for the grey values.
  Status read_rest() { return read_to(s_.reader.scaled_height()); }

 private:
  Status prepare(int eighths);
  Status begin(int eighths);
  Status read_to(int row);
  Status write_rows(uint8_t* rgb, ptrdiff_t row_stride);

  const Placement& p_;
  Scratch& s_;
  const Instructions& set_;
  bool with_grey_ = false;
  uint8_t* ring_ = nullptr;
  size_t pitch_ = 0; // bytes from one row of the ring to the next
  int n_ring_ = 0;   // rows in the ring
  int next_ = 0;     // the picture's next row to be decoded
};

} // namespace imagetree
