// Reference and AMX twins of few_rows.
#include "kernels/few_rows/few_rows.hpp"

#include "kernels/check.hpp"
#include "kernels/vector.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace prefer::kernels::few_rows {
namespace {

void check(const Product& a) {
  require(0 <= a.rows && a.rows <= kMostRows && 0 <= a.in && 0 <= a.out && 0 < a.stretch,
          "few_rows wants at most 32 rows and stretches of tiles", "rows", a.rows, "in", a.in, "out", a.out,
          "stretch", a.stretch);
  require(0 < a.height && a.height % 16 == 0 && a.padded_in % kTile == 0 && a.padded_in >= a.in,
          "few_rows wants panels of 16 rows or a multiple, padded to whole tiles", "height", a.height, "in",
          a.in, "padded_in", a.padded_in);
  require(a.rows * a.out == 0 || (a.y && (a.in == 0 || (a.x && a.weight))), "few_rows wants x, weight and y",
          "x", a.x, "weight", a.weight, "y", a.y);
}

}  // namespace

namespace reference {

void forward(const Product& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t n = 0; n < a.out; ++n) {
      const bf16* panel = a.weight + n / a.height * a.height * a.padded_in;
      const auto product = [&](std::int64_t k) {
        return k < a.in ? widen(a.x[row * a.in + k]) *
                              widen(panel[k / 2 * 2 * a.height + 2 * (n % a.height) + k % 2])
                        : 0;
      };
      float y = 0;
      for (std::int64_t begin = 0; begin < a.in; begin += kTile * a.stretch) {
        float stretch = 0;
        for (std::int64_t tile = begin; tile < begin + kTile * a.stretch && tile < a.in; tile += kTile) {
          float even = 0, odd = 0;
          for (std::int64_t k = tile; k < tile + kTile; k += 2) even += product(k), odd += product(k + 1);
          stretch += even + odd;
        }
        y += stretch;
      }
      a.y[row * a.out + n] = narrow_bf16(y);
    }
  }
}

}  // namespace reference

namespace amx {
namespace {

constexpr std::int64_t kTileRows = 16;

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16,avx512bf16,avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")

struct alignas(64) TileConfig {
  std::uint8_t palette = 0, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// GCC 12 takes the instructions for reading and writing eight bytes of these.
inline void see_all_of(TileConfig* config) { asm volatile("" : : "r"(config) : "memory"); }

/// What was set, which oneDNN believes to stay so. From now on tiles 0 to 3 are sums [rows, 16] in f32, 4 is
/// of x [rows, 32], 5 of the weight [16 pairs, 16].
TileConfig set_tiles(std::int64_t rows) {
  TileConfig before, config;
  _tile_storeconfig(&before);
  see_all_of(&before);
  config.palette = 1;
  for (int tile = 0; tile < 6; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = static_cast<std::uint8_t>(tile == 5 ? 16 : rows);
  }
  see_all_of(&config);
  _tile_loadconfig(&config);
  return before;
}

void set_tiles_back(TileConfig& before) {
  see_all_of(&before);
  if (before.palette == 0) {
    _tile_release();
  } else {
    _tile_loadconfig(&before);
  }
}

/// Asks for `bytes` a page ahead and, into the second cache alone, three.
inline void ask_ahead(const char* at, std::int64_t bytes) {
  constexpr std::int64_t kPage = 4096;
  for (std::int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(at + i + kPage);
    __builtin_prefetch(at + i + 3 * kPage, 0, 2);
  }
}

/// The stretch [begin, end) of the width times up to 64 rows of a panel, from `strip` on: sums [rows, 64].
void times_stretch(const Product& a, const bf16* x, std::int64_t begin, std::int64_t end, const char* strip,
                   std::int64_t vectors, bool ahead, float* sums) {
  const std::int64_t pair_bytes = 4 * a.height;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t k = begin; k < end; k += kTile) {
    const char* at = strip + k / 2 * pair_bytes;
    if (ahead) ask_ahead(at, 1024 * vectors);
    _tile_loadd(4, x + k, a.padded_in * 2);
    _tile_loadd(5, at, pair_bytes);
    _tile_dpbf16ps(0, 4, 5);
    if (vectors < 2) continue;
    _tile_loadd(5, at + 64, pair_bytes);
    _tile_dpbf16ps(1, 4, 5);
    if (vectors < 3) continue;
    _tile_loadd(5, at + 128, pair_bytes);
    _tile_dpbf16ps(2, 4, 5);
    if (vectors < 4) continue;
    _tile_loadd(5, at + 192, pair_bytes);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, sums, 256);
  _tile_stored(1, sums + 16, 256);
  _tile_stored(2, sums + 32, 256);
  _tile_stored(3, sums + 48, 256);
}

/// Up to kTileRows rows from `row` on, times a panel's from `first` on. `x` is padded to whole tiles.
void times_panel(const Product& a, const bf16* x, std::int64_t row, std::int64_t first) {
  alignas(64) float sums[kTileRows * 64], total[kTileRows * 64] = {};
  const std::int64_t rows = a.rows - row < kTileRows ? a.rows - row : kTileRows;
  for (std::int64_t at = 0; at < a.height && first + at < a.out; at += 64) {
    const char* strip = reinterpret_cast<const char*>(a.weight + first * a.padded_in + 2 * at);
    const std::int64_t vectors = a.height - at < 64 ? (a.height - at) / 16 : 4;
    for (std::int64_t begin = 0; begin < a.padded_in; begin += kTile * a.stretch) {
      const std::int64_t end =
          begin + kTile * a.stretch < a.padded_in ? begin + kTile * a.stretch : a.padded_in;
      times_stretch(a, x + row * a.padded_in, begin, end, strip, vectors, row == 0,
                    begin == 0 ? total : sums);
      for (std::int64_t i = 0; begin > 0 && i < 64 * rows; i += 16)
        _mm512_store_ps(total + i, _mm512_add_ps(_mm512_load_ps(total + i), _mm512_load_ps(sums + i)));
    }
    const std::int64_t left = a.out - first - at, count = left < 16 * vectors ? left : 16 * vectors;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < count; i += 16) {
        const std::int64_t lanes = count - i < 16 ? count - i : 16;
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_load_ps(total + 64 * r + i));
        _mm256_mask_storeu_epi16(a.y + (row + r) * a.out + first + at + i,
                                 static_cast<__mmask16>(0xffff >> (16 - lanes)), (__m256i)rounded);
      }
  }
}

#pragma GCC pop_options

}  // namespace

bool supported() {
  constexpr long kAskForState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool has = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
                          __builtin_cpu_supports("avx512bf16") && kernels::supported(Isa::avx512) &&
                          syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
  return has;
}

void forward(const Product& a) {
  check(a);
  require(supported(), "few_rows wants a CPU with AMX");
  if (a.rows == 0) return;
  const std::int64_t tile_rows = a.rows < kTileRows ? a.rows : kTileRows;
  const std::int64_t padded_rows = (a.rows + tile_rows - 1) / tile_rows * tile_rows;
  std::vector<bf16> x(static_cast<std::size_t>(padded_rows * a.padded_in));
  for (std::int64_t row = 0; row < a.rows && a.in > 0; ++row)
    std::memcpy(x.data() + row * a.padded_in, a.x + row * a.in,
                static_cast<std::size_t>(a.in) * sizeof(bf16));
#pragma omp parallel
  {
    TileConfig before = set_tiles(tile_rows);
#pragma omp for schedule(static)
    for (std::int64_t first = 0; first < a.out; first += a.height)
      for (std::int64_t row = 0; row < a.rows; row += kTileRows) times_panel(a, x.data(), row, first);
    set_tiles_back(before);
  }
}

}  // namespace amx
}  // namespace prefer::kernels::few_rows
