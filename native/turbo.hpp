// libjpeg-turbo without its exits: every call that can fail returns a status.
#pragma once

#include <csetjmp>
#include <cstdio> // jpeglib.h needs FILE

#include <jpeglib.h>

#include "tile.hpp"

namespace imagetree {

// Decodes a rectangle of one JPEG after another. libjpeg reports errors by leaving through
// longjmp, which skips destructors: so each method sets its own jump and holds nothing that has
// one. A warning is an error here: what libjpeg would paint grey, Pillow shall judge.
class TurboReader {
 public:
  TurboReader();
  ~TurboReader();
  TurboReader(const TurboReader&) = delete;
  TurboReader& operator=(const TurboReader&) = delete;

  // Reads the header; width(), height() and the rest are then valid.
  Status open(const uint8_t* data, size_t n_bytes);
  // Begins to decode columns [x0, x1) of the picture at eighths/8 of its size, as RGB. Columns
  // outside may come along: row_x0() is the first.
  Status start(int eighths, int x0, int x1);
  // Goes to a row further down.
  Status skip(int n_rows);
  // Decodes n rows of row_width() pixels, three bytes each.
  Status read(uint8_t* const* rows, int n_rows);
  // Reads what follows the last row, up to the end marker.
  Status finish();
  // Whether what follows the last row is the rest of the scan and nothing else. Behind a tile's
  // rows nothing is decoded, but a file that Pillow would refuse there shall be refused here.
  Status check_rest();
  // Lets go of the picture; to be called after open(), whatever happened.
  void close();

  int width() const { return int(info_.image_width); }
  int height() const { return int(info_.image_height); }
  int scaled_width() const { return scaled_width_; }
  int scaled_height() const { return int(info_.output_height); }
  int row_x0() const { return row_x0_; }
  int row_width() const { return int(info_.output_width); }

 private:
  struct Errors : jpeg_error_mgr {
    std::jmp_buf jump;
    Status status;
  };
  static void leave(j_common_ptr info);
  static void on_message(j_common_ptr info, int level);

  jpeg_decompress_struct info_;
  jpeg_source_mgr source_;
  Errors errors_;
  bool created_ = false;
  int row_x0_ = 0, scaled_width_ = 0;
};

} // namespace imagetree
