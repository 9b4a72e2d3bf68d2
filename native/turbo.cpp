#include "turbo.hpp"

#include <cstring>

#include <jerror.h>

namespace imagetree {

namespace {

void nothing(j_decompress_ptr) {}

void say_nothing(j_common_ptr) {}

boolean out_of_bytes(j_decompress_ptr info) {
  // The whole file lies in memory: whoever asks for more has a file that was cut off.
  ERREXIT(info, JERR_INPUT_EOF);
  return FALSE;
}

void skip_bytes(j_decompress_ptr info, long n_bytes) {
  jpeg_source_mgr* source = info->src;
  if (n_bytes <= 0) return;
  if (size_t(n_bytes) > source->bytes_in_buffer) out_of_bytes(info);
  source->next_input_byte += n_bytes;
  source->bytes_in_buffer -= size_t(n_bytes);
}

// Sampling that encoders write and that the crop of columns was tested with.
bool is_plain(const jpeg_decompress_struct& info) {
  if (info.num_components == 1) return true;
  for (int i = 0; i < info.num_components; ++i) {
    const jpeg_component_info& part = info.comp_info[i];
    if (i > 0 && (part.h_samp_factor != 1 || part.v_samp_factor != 1)) return false;
    if (part.h_samp_factor == 3 || part.v_samp_factor == 3) return false;
  }
  return true;
}

// Whether a progressive file brought all bits of all coefficients. Where not, libjpeg smooths the
// blocks, and at the border of a crop it would do so without the neighbours.
bool is_complete(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode || info.coef_bits == nullptr) return true;
  for (int i = 0; i < info.num_components; ++i)
    for (int k = 0; k < DCTSIZE2; ++k)
      if (info.coef_bits[i][k] != 0) return false;
  return true;
}

// A file that ends before its end marker is Pillow's to judge, also where the tile's rows are
// whole. Cameras and editors pad files, hence the search.
bool has_end(const uint8_t* data, size_t n_bytes) {
  const size_t stop = n_bytes > 1024 ? n_bytes - 1024 : 1;
  for (size_t i = n_bytes - 1; i >= stop; --i)
    if (data[i] == 0xD9 && data[i - 1] == 0xFF) return true;
  return false;
}

} // namespace

TurboReader::TurboReader() {
  std::memset(&info_, 0, sizeof info_);
  std::memset(&source_, 0, sizeof source_);
  jpeg_std_error(&errors_);
  errors_.error_exit = leave;
  errors_.emit_message = on_message;
  errors_.output_message = say_nothing;
  source_.init_source = nothing;
  source_.fill_input_buffer = out_of_bytes;
  source_.skip_input_data = skip_bytes;
  source_.resync_to_restart = jpeg_resync_to_restart;
  source_.term_source = nothing;
}

TurboReader::~TurboReader() { close(); }

void TurboReader::leave(j_common_ptr info) {
  Errors* errors = static_cast<Errors*>(info->err);
  switch (errors->msg_code) {
    case JERR_OUT_OF_MEMORY: errors->status = Status::no_memory; break;
    default: errors->status = Status::damaged;
  }
  std::longjmp(errors->jump, 1);
}

void TurboReader::on_message(j_common_ptr info, int level) {
  if (level < 0) leave(info);
}

Status TurboReader::open(const uint8_t* data, size_t n_bytes) {
  if (n_bytes < 4 || data[0] != 0xFF || data[1] != 0xD8) return Status::unsupported;
  if (!has_end(data, n_bytes)) return Status::damaged;
  if (setjmp(errors_.jump)) return errors_.status;
  // A new decompressor each time: a used one would lend its tables to a file that lacks them.
  info_.err = &errors_;
  jpeg_create_decompress(&info_);
  created_ = true;
  info_.src = &source_;
  source_.next_input_byte = data;
  source_.bytes_in_buffer = n_bytes;
  if (jpeg_read_header(&info_, TRUE) != JPEG_HEADER_OK) return Status::damaged;
  if (info_.arith_code || info_.data_precision != 8) return Status::unsupported;
  const bool grey = info_.num_components == 1 && info_.jpeg_color_space == JCS_GRAYSCALE;
  const bool colour = info_.num_components == 3 && (info_.jpeg_color_space == JCS_YCbCr ||
                                                    info_.jpeg_color_space == JCS_RGB);
  return grey || colour ? Status::ok : Status::unsupported;
}

Status TurboReader::start(int eighths, int x0, int x1) {
  if (setjmp(errors_.jump)) return errors_.status;
  info_.scale_num = unsigned(eighths);
  info_.scale_denom = 8;
  info_.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info_);
  if (!is_complete(info_)) return Status::unsupported;
  scaled_width_ = int(info_.output_width);
  row_x0_ = 0;
  if (!is_plain(info_)) return Status::ok;
  // Chroma is interpolated between neighbours, which columns at the border of a crop lack: two
  // samples more on each side keep what is asked for as in the whole picture.
  const int margin = info_.max_h_samp_factor > 1 ? 2 * info_.max_h_samp_factor : 0;
  const int from = x0 > margin ? x0 - margin : 0;
  const int to = x1 + margin < scaled_width_ ? x1 + margin : scaled_width_;
  JDIMENSION offset = JDIMENSION(from), width = JDIMENSION(to - from);
  jpeg_crop_scanline(&info_, &offset, &width);
  row_x0_ = int(offset);
  return Status::ok;
}

Status TurboReader::skip(int n_rows) {
  if (n_rows <= 0) return Status::ok;
  if (setjmp(errors_.jump)) return errors_.status;
  const JDIMENSION done = jpeg_skip_scanlines(&info_, JDIMENSION(n_rows));
  return done == JDIMENSION(n_rows) ? Status::ok : Status::damaged;
}

Status TurboReader::read(uint8_t* const* rows, int n_rows) {
  if (setjmp(errors_.jump)) return errors_.status;
  for (int n_done = 0; n_done < n_rows;) {
    // libjpeg's type says that it might change the pointers; it does not.
    const JSAMPARRAY left = const_cast<JSAMPARRAY>(rows + n_done);
    const JDIMENSION n_more = jpeg_read_scanlines(&info_, left, JDIMENSION(n_rows - n_done));
    if (n_more == 0) return Status::damaged;
    n_done += int(n_more);
  }
  return Status::ok;
}

Status TurboReader::finish() {
  if (setjmp(errors_.jump)) return errors_.status;
  jpeg_finish_decompress(&info_);
  return Status::ok;
}

Status TurboReader::check_rest() {
  if (setjmp(errors_.jump)) return errors_.status;
  // Several scans are read before the first row.
  if (jpeg_input_complete(&info_)) return Status::ok;
  // The decoder may have met the next marker already.
  int marker = info_.unread_marker;
  const uint8_t* at = source_.next_input_byte;
  const uint8_t* const end = at + source_.bytes_in_buffer;
  for (;;) {
    const bool is_restart = marker >= 0xD0 && marker <= 0xD7;
    if (marker == 0xD9) return Status::ok;
    if (marker != 0 && !is_restart) return Status::unsupported;
    at = static_cast<const uint8_t*>(std::memchr(at, 0xFF, size_t(end - at)));
    while (at != nullptr && at < end && *at == 0xFF) ++at;
    if (at == nullptr || at == end) return Status::damaged;
    marker = *at++;
  }
}

void TurboReader::close() {
  if (!created_) return;
  created_ = false;
  if (setjmp(errors_.jump)) return;
  jpeg_destroy_decompress(&info_);
}

} // namespace imagetree
