// The Python module imagetree.images._kernel; imagetree/images/kernel.py is its documented face.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <deque>
#include <tuple>
#include <vector>

#include "batch.hpp"
#include "kept.hpp"
#include "pool.hpp"
#include "prepare.hpp"
#include "resize.hpp"

namespace nb = nanobind;
using namespace imagetree;

namespace {

// The bytes of a call's buffers, held until the call is over. An item is an object with the
// buffer protocol, or (object, offset, length).
class Held {
 public:
  Held() = default;
  ~Held() {
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  void take(nb::list items) {
    sources_.reserve(nb::len(items));
    for (nb::handle item : items) add(item.ptr());
  }
  const std::vector<Source>& sources() const { return sources_; }

 private:
  void add(PyObject* item) {
    if (!PyTuple_Check(item)) {
      const Py_buffer& view = view_of(item);
      sources_.push_back({static_cast<const uint8_t*>(view.buf), size_t(view.len)});
      return;
    }
    if (PyTuple_GET_SIZE(item) != 3)
      throw nb::type_error("A buffer is bytes, or (bytes, offset, length).");
    const Py_buffer& view = view_of(PyTuple_GET_ITEM(item, 0));
    const Py_ssize_t offset = number(PyTuple_GET_ITEM(item, 1));
    const Py_ssize_t length = number(PyTuple_GET_ITEM(item, 2));
    // What lies outside is refused as that image's bad argument.
    const bool inside =
      offset >= 0 && length >= 0 && offset <= view.len && length <= view.len - offset;
    if (inside)
      sources_.push_back({static_cast<const uint8_t*>(view.buf) + offset, size_t(length)});
    else
      sources_.push_back({nullptr, 0});
  }

  static Py_ssize_t number(PyObject* object) {
    const Py_ssize_t value = PyNumber_AsSsize_t(object, PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) throw nb::python_error();
    return value;
  }

  const Py_buffer& view_of(PyObject* object) {
    // Shards come as (shard, offset, length) many times over.
    if (!views_.empty() && object == last_) return views_.back();
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
    views_.push_back(view);
    last_ = object;
    return views_.back();
  }

  std::deque<Py_buffer> views_; // a view stays where it is
  PyObject* last_ = nullptr;    // not owned: its list item lives as long as the call
  std::vector<Source> sources_;
};

using Bytes2 = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Out4 = nb::ndarray<nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Statuses = nb::ndarray<int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void fill_batch(nb::list buffers, Bytes2 tiles, Out4 out, Statuses status, int layout,
                std::tuple<double, double, double> mean, std::tuple<double, double, double> std,
                int64_t max_pixels, int64_t max_bytes, int n_threads, int engine) {
  const size_t n = nb::len(buffers);
  const bool planes = layout != int(Layout::uint8);
  const size_t height = out.shape(planes ? 2 : 1), width = out.shape(planes ? 3 : 2),
               channels = out.shape(planes ? 1 : 3);
  const size_t item = layout == int(Layout::uint8)     ? 1
                      : layout == int(Layout::float32) ? sizeof(float)
                                                       : sizeof(uint16_t);
  if (layout < 0 || layout > 2 || engine < 0 || engine > 2 || out.itemsize() != item ||
      tiles.shape(0) != n || tiles.shape(1) != sizeof(TileRow) || out.shape(0) != n ||
      status.shape(0) != n || n > 1u << 30 || (channels != 1 && channels != 3) || height < 1 ||
      width < 1 || height > size_t(kMaxOutputSide) || width > size_t(kMaxOutputSide))
    throw nb::value_error("Buffers, tiles, out and status do not fit together.");
  Held held;
  held.take(buffers);
  Batch batch;
  batch.sources = held.sources().data();
  batch.tiles = reinterpret_cast<const TileRow*>(tiles.data());
  batch.n = int(n);
  batch.width = int(width), batch.height = int(height), batch.channels = int(channels);
  batch.layout = Layout(layout);
  std::tie(batch.mean[0], batch.mean[1], batch.mean[2]) = mean;
  std::tie(batch.std[0], batch.std[1], batch.std[2]) = std;
  batch.engine = Engine(engine);
  batch.max_pixels = max_pixels, batch.max_bytes = max_bytes;
  batch.out = out.data();
  batch.status = status.data();
  const nb::gil_scoped_release unlocked;
  fill(batch, n_threads);
}

// (status, JPEG of the thumbnail, grey bytes); the last two are empty unless the status is 0.
nb::tuple prepare(nb::bytes data, int orientation, int eighths, int width, int height, int quality,
                  int64_t max_pixels) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(data.c_str());
  const size_t n_bytes = data.size();
  const bool sound = (eighths == 8 || eighths == 4 || eighths == 2 || eighths == 1) && width > 0 &&
                     height > 0 && width <= kMaxOutputSide && height <= kMaxOutputSide &&
                     quality > 0 && quality <= 100;
  if (!sound) throw nb::value_error("There is no such thumbnail.");
  const Wanted wanted = {orientation, eighths, width, height, quality};
  // The bytes lie in this thread's scratch, which nobody else uses once the GIL is back.
  Prepared made = {};
  Status status;
  {
    const nb::gil_scoped_release unlocked;
    Kept& kept = kept_by_this_thread();
    kept.turbo.max_pixels = max_pixels;
    status = prepare_turbo(bytes, n_bytes, wanted, kept.turbo, made);
  }
  const bool done = status == Status::ok;
  return nb::make_tuple(int(status), nb::bytes(made.jpeg, done ? made.n_bytes : 0),
                        nb::bytes(made.grey, done ? sizeof made.grey : 0));
}

} // namespace

NB_MODULE(_kernel, module) {
  module.attr("tile_bytes") = sizeof(TileRow);
  module.def("fill", &fill_batch, nb::arg("buffers"), nb::arg("tiles"), nb::arg("out"),
             nb::arg("status"), nb::kw_only(), nb::arg("layout"), nb::arg("mean"), nb::arg("std"),
             nb::arg("max_pixels"), nb::arg("max_bytes"), nb::arg("n_threads"), nb::arg("engine"));
  module.def("prepare", &prepare, nb::arg("data"), nb::kw_only(), nb::arg("orientation"),
             nb::arg("eighths"), nb::arg("width"), nb::arg("height"), nb::arg("quality"),
             nb::arg("max_pixels"));
  module.def("instructions", [] { return instructions().name; });
  module.def("pool_size", &pool_size);
  module.def("end_pool", &end_pool, nb::call_guard<nb::gil_scoped_release>());
}
