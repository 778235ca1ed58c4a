// oneDNN packs a weight at less than half the speed of memory, in memory of its own, and where the CPU has
// AMX it maps and unmaps a page of code each time, only to ask for the form. So the form of a shape is found
// out once, by packing a matrix in which every element is another; from then on weights of that shape are
// packed here. A form that is not made of panels stays with oneDNN.
#include "src/ops/packing.hpp"

#include "src/ops/library_call.hpp"
#include "src/ops/transposed.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/inductor/aoti_torch/tensor_converter.h>

#include <emmintrin.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

namespace prefer::gemm {
namespace {

constexpr int64_t kUnit = 4;  // bytes: one float, or two bfloat16 side by side

/// Panels of `height` rows. In each, `group` neighbouring elements of a row are side by side, then those of
/// the next row; after all rows the next group. The last panel and the last groups may be padded with zeros.
struct Panels {
  int64_t height, group, width;  ///< in elements; width has the padding
  int64_t elements;
  Tensor description;  ///< oneDNN's own, as bytes

  int64_t offset(int64_t row, int64_t column) const {
    return (row / height) * height * width + (column / group) * height * group + (row % height) * group +
           column % group;
  }
};

/// What is packed: a type and a shape. oneDNN may choose by the number of threads.
using Shape = std::tuple<at::ScalarType, int64_t, int64_t, int>;

// Distinct enough, and no value that a conversion would change: signs and fractions of numbers from 1 to 2.
template <class T>
T probe_value(int64_t i) {
  const auto bits = static_cast<uint32_t>((static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u) >> 32);
  if constexpr (sizeof(T) == 4) return (bits & 0x807FFFFFu) | 0x3F800000u;
  return static_cast<T>((bits & 0x807Fu) | 0x3F80u);
}

constexpr int64_t kGrain = int64_t{1} << 14;  // elements for a thread of its own

template <class T>
bool lies_in(const Panels& panels, const T* packed, int64_t rows, int64_t columns) {
  const int64_t panel_size = panels.height * panels.width;
  std::atomic<bool> same = true;
  at::parallel_for(0, panels.elements / panel_size, 1 + kGrain / panel_size, [&](int64_t begin, int64_t end) {
    const T* at = packed + begin * panel_size;
    for (int64_t panel = begin; panel < end && same; ++panel)
      for (int64_t column = 0; column < panels.width; column += panels.group)
        for (int64_t row = panel * panels.height; row < (panel + 1) * panels.height; ++row)
          for (int64_t i = column; i < column + panels.group; ++i) {
            const bool inside = row < rows && i < columns;
            if (*at++ != (inside ? probe_value<T>(row * columns + i) : T{0})) same = false;
          }
  });
  return same;
}

template <class T>
std::optional<Panels> find_panels(at::ScalarType type, int64_t rows, int64_t columns) {
  Tensor probe = at::empty({rows, columns}, type);
  T* values = static_cast<T*>(probe.mutable_data_ptr());
  at::parallel_for(0, probe.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) values[i] = probe_value<T>(i);
  });
  const Packed packed = pack_by_library(probe);
  const std::string_view bytes = bytes_of(packed);
  const int64_t elements = std::ssize(bytes) / int64_t{sizeof(T)}, group = kUnit / int64_t{sizeof(T)};
  for (const int64_t height : {int64_t{16}, int64_t{32}, int64_t{48}, int64_t{64}, rows}) {
    const int64_t padded_rows = (rows + height - 1) / height * height, width = elements / padded_rows;
    if (padded_rows * width != elements || width < columns || width % group != 0) continue;
    Panels panels{height, group, width, elements, {}};
    if (!lies_in(panels, reinterpret_cast<const T*>(bytes.data()), rows, columns)) continue;
    static const LibraryCall<Tensor(const Tensor&)> description_of("mkldnn::_get_mkldnn_serialized_md");
    panels.description = description_of(packed.form);
    return panels;
  }
  return std::nullopt;
}

/// The panels of a shape. Unless it is `wanted`, of the second and every later matrix alone, since the first
/// may be the only one.
std::optional<Panels> panels_of(at::ScalarType type, int64_t rows, int64_t columns, bool wanted = false) {
  if (columns % (kUnit / static_cast<int64_t>(c10::elementSize(type))) != 0) return std::nullopt;
  static std::mutex mutex;
  static std::map<Shape, std::optional<std::optional<Panels>>> found;  // empty: met once
  const std::lock_guard lock(mutex);
  const auto [at, first] = found.try_emplace({type, rows, columns, at::get_num_threads()});
  if (first && !wanted) return std::nullopt;
  if (!at->second) {
    at->second = type == at::kFloat ? find_panels<uint32_t>(type, rows, columns)
                                    : find_panels<uint16_t>(type, rows, columns);
  }
  return *at->second;
}

Packed room_for(const Panels& panels, at::ScalarType type, int64_t rows, int64_t columns) {
  const bool padded = panels.elements != rows * columns;
  Packed packed;
  packed.memory = padded ? at::zeros({panels.elements}, type) : at::empty({panels.elements}, type);
  const int64_t sizes[] = {rows, columns}, strides[] = {columns, 1};
  AtenTensorHandle handle = nullptr;
  const AOTITorchError error = aoti_torch_create_tensor_from_blob_v2(
      packed.memory.mutable_data_ptr(), 2, sizes, strides, 0, static_cast<int32_t>(type),
      static_cast<int32_t>(at::kCPU), 0, &handle, aoti_torch_layout__mkldnn(),
      panels.description.const_data_ptr<uint8_t>(), panels.description.numel());
  TORCH_CHECK(error == AOTI_TORCH_SUCCESS, "LibTorch refused a packed weight that it described itself");
  packed.form = torch::aot_inductor::alloc_tensors_by_stealing_from_handles(&handle, 1).front();
  return packed;
}

// A panel is the transpose of its rows, in units. A matrix's first and last panel may be shared with others.
void fill(const Panels& panels, const Tensor& part, int64_t first_row, uint32_t* to) {
  const auto* from = static_cast<const uint32_t*>(part.const_data_ptr());
  const int64_t units = part.size(1) / panels.group, end_row = first_row + part.size(0);
  const int64_t first = first_row / panels.height, last = (end_row - 1) / panels.height;
  at::parallel_for(first, last + 1, 1 + kGrain / (panels.height * units), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t row = std::max(first_row, panel * panels.height);
      const int64_t rows = std::min(end_row, (panel + 1) * panels.height) - row;
      transpose(from + (row - first_row) * units, rows, units, to + panels.offset(row, 0) / panels.group,
                panels.height);
    }
  });
}

// A group of a panel of the transpose: `count` elements of one row, or of two with their elements paired.
void fill_group(const uint32_t* row, int64_t count, uint32_t* to) {
  std::memcpy(to, row, static_cast<size_t>(count) * kUnit);
}
void fill_group(const uint16_t* row, const uint16_t* next, int64_t count, uint32_t* to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + i)),
                  b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm_unpacklo_epi16(a, b));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i + 4), _mm_unpackhi_epi16(a, b));
  }
  for (; i < count; ++i) to[i] = row[i] | static_cast<uint32_t>(next[i]) << 16;
}

void fill_transposed(const Panels& panels, const Tensor& part, int64_t first_column, uint32_t* to) {
  const int64_t in = part.size(1), height = panels.height, groups = part.size(0) / panels.group;
  constexpr int64_t kBlock = 8;  // groups: what is read stays in the first cache while its panels are written
  const auto block = [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < in; i += height)
      for (int64_t g = begin; g < end; ++g) {
        uint32_t* unit = to + panels.offset(i, first_column + g * panels.group) / panels.group;
        const int64_t count = std::min(height, in - i);
        if (panels.group == 1) {
          fill_group(static_cast<const uint32_t*>(part.const_data_ptr()) + g * in + i, count, unit);
        } else {
          const auto* row = static_cast<const uint16_t*>(part.const_data_ptr()) + 2 * g * in + i;
          fill_group(row, row + in, count, unit);
        }
      }
  };
  at::parallel_for(0, (groups + kBlock - 1) / kBlock, 1 + kGrain / (kBlock * in),
                   [&](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i)
                       block(i * kBlock, std::min((i + 1) * kBlock, groups));
                   });
}

}  // namespace

std::optional<PanelForm> panel_form(at::ScalarType type, int64_t rows, int64_t columns) {
  const std::optional<Panels> panels = panels_of(type, rows, columns, true);
  return panels ? std::optional(PanelForm{panels->height, panels->width}) : std::nullopt;
}

Packed pack_by_library(const Tensor& weight) {
  using Signature = Tensor(const Tensor&, std::optional<c10::SymInt>);
  static const LibraryCall<Signature> reorder("mkldnn::_reorder_linear_weight");
  return {reorder(weight, std::nullopt), {}};
}

std::string_view bytes_of(const Packed& packed) {
  static const LibraryCall<int64_t(const Tensor&)> address("mkldnn::data_ptr"), size("mkldnn::_nbytes");
  return {reinterpret_cast<const char*>(address(packed.form)), static_cast<size_t>(size(packed.form))};
}

Packed pack(std::span<const Tensor> stacked) {
  const at::NoGradGuard no_grad;
  const at::ScalarType type = stacked.front().scalar_type();
  const int64_t rows = rows_of(stacked), columns = stacked.front().size(1);
  const std::optional<Panels> panels = panels_of(type, rows, columns);
  if (!panels)
    return pack_by_library(stacked.size() == 1 ? stacked.front().contiguous() : at::cat(stacked, 0));
  Packed packed = room_for(*panels, type, rows, columns);
  int64_t row = 0;
  for (const Tensor& part : stacked) {
    fill(*panels, part.contiguous(), row, static_cast<uint32_t*>(packed.memory.mutable_data_ptr()));
    row += part.size(0);
  }
  return packed;
}

Packed pack_transposed(std::span<const Tensor> stacked) {
  const at::NoGradGuard no_grad;
  const at::ScalarType type = stacked.front().scalar_type();
  const int64_t rows = stacked.front().size(1), columns = rows_of(stacked);
  const int64_t group = kUnit / static_cast<int64_t>(stacked.front().element_size());
  const bool whole =
      std::ranges::all_of(stacked, [&](const Tensor& part) { return part.size(0) % group == 0; });
  const std::optional<Panels> panels = whole ? panels_of(type, rows, columns) : std::nullopt;
  if (!panels) return pack_by_library(transposed(stacked));
  Packed packed = room_for(*panels, type, rows, columns);
  int64_t column = 0;
  for (const Tensor& part : stacked) {
    fill_transposed(*panels, part.contiguous(), column,
                    static_cast<uint32_t*>(packed.memory.mutable_data_ptr()));
    column += part.size(0);
  }
  return packed;
}

}  // namespace prefer::gemm
