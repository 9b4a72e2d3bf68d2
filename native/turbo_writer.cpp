#include "turbo_writer.hpp"

#include <csetjmp>
#include <cstdio> // jpeglib.h needs FILE
#include <cstring>
#include <new>

#include <jerror.h>
#include <jpeglib.h>

namespace imagetree {

namespace {

struct Errors : jpeg_error_mgr {
  std::jmp_buf jump;
  Status status;
};

void leave(j_common_ptr info) {
  Errors* errors = static_cast<Errors*>(info->err);
  errors->status =
    errors->msg_code == JERR_OUT_OF_MEMORY ? Status::no_memory : Status::bad_argument;
  std::longjmp(errors->jump, 1);
}

void say_nothing(j_common_ptr) {}

void ignore(j_common_ptr, int) {}

struct Target : jpeg_destination_mgr {
  uint8_t* out;
  size_t size;
};

void begin(j_compress_ptr info) {
  Target* target = static_cast<Target*>(info->dest);
  target->next_output_byte = target->out;
  target->free_in_buffer = target->size;
}

boolean no_more_room(j_compress_ptr info) {
  ERREXIT(info, JERR_BUFFER_SIZE);
  return FALSE;
}

void finish(j_compress_ptr) {}

// Nothing in here has a destructor: an error leaves it through longjmp.
Status compress(const uint8_t* rgb, int width, int height, int quality, Target& target) {
  jpeg_compress_struct info;
  Errors errors;
  std::memset(&info, 0, sizeof info);
  info.err = jpeg_std_error(&errors);
  errors.error_exit = leave;
  errors.output_message = say_nothing;
  errors.emit_message = ignore;
  if (setjmp(errors.jump)) {
    jpeg_destroy_compress(&info);
    return errors.status;
  }
  jpeg_create_compress(&info);
  info.dest = &target;
  target.init_destination = begin;
  target.empty_output_buffer = no_more_room;
  target.term_destination = finish;
  info.image_width = JDIMENSION(width);
  info.image_height = JDIMENSION(height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(rgb + size_t(info.next_scanline) * size_t(width) * 3);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return Status::ok;
}

} // namespace

Status write_jpeg(const uint8_t* rgb, int width, int height, int quality,
                  std::vector<uint8_t>& room, size_t& n_bytes) {
  // More than any coefficients can take (tables and headers are less than 1 kB).
  const size_t most = size_t(width + 16) * size_t(height + 16) * 6 + 4096;
  try {
    if (room.size() < most) room.resize(most);
  } catch (const std::bad_alloc&) {
    return Status::no_memory;
  }
  Target target;
  target.out = room.data();
  target.size = room.size();
  const Status status = compress(rgb, width, height, quality, target);
  n_bytes = status == Status::ok ? target.size - target.free_in_buffer : 0;
  return status;
}

} // namespace imagetree
