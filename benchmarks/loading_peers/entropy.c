/* The least work that any use of libjpeg-turbo can do: entropy decoding without pixels. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

struct failure {
  struct jpeg_error_mgr manager;
  jmp_buf back;
};

static void leave(j_common_ptr info) { longjmp(((struct failure *)info->err)->back, 1); }
static void be_silent(j_common_ptr info, int level) { (void)info, (void)level; }

/* Decodes and keeps all coefficients of the file where `last_row` is 0; otherwise decodes those
   down to that pixel row and keeps nothing. Gives 0, or -1 for a file that is refused. */
int decode_coefficients(const unsigned char *data, unsigned long n_bytes, unsigned last_row) {
  struct jpeg_decompress_struct info;
  struct failure failure;
  info.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = leave;
  failure.manager.emit_message = be_silent;
  if (setjmp(failure.back)) {
    jpeg_destroy_decompress(&info);
    return -1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, n_bytes);
  jpeg_read_header(&info, TRUE);
  if (last_row == 0) {
    jpeg_read_coefficients(&info);
  } else {
    /* Skipped rows are entropy decoded, but no pixels are made of them. */
    info.do_fancy_upsampling = FALSE;
    jpeg_start_decompress(&info);
    jpeg_skip_scanlines(&info, last_row);
  }
  jpeg_abort_decompress(&info);
  jpeg_destroy_decompress(&info);
  return 0;
}
