// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
//
// Gradients of convolution as products by multiply-adds in f32, whose factors are gathered where a stage needs them.
//   of x, channels first: rows are channels of x, columns its pixels; channels last: the other way round; depth runs
//         over channels of y, then over places of the kernel, as the weights lie
//   of w: rows are channels of y, columns channels of x and places of the kernel, as the weights lie; depth runs over
//         images, then over pixels of y, in slabs whose sums are added afterwards
#include "simt.cuh"
#include "sums.cuh"

constexpr int TILE = 64;

struct Shape {
  int images, channels, rows, columns, out, kernel_rows, kernel_columns, out_rows, out_columns;
  int stride_rows, stride_columns, padding_rows, padding_columns;
};

// Fills a stage: element (depth, line) is at `place(depth, line)` of `from`, or 0 where that is negative. Neighbouring
// threads take neighbouring depths (ALONG), or lines.
template <bool ALONG, class Place>
DEVICE void gather(Stage<TILE>& stage, const float* from, Place place) {
#pragma unroll 1
  for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
    const int line = ALONG ? i / DEPTH : i % TILE, depth = ALONG ? i % DEPTH : i / TILE;
    const int64 at = place(depth, line);
    copy4_async(&stage[depth][line], from + (at < 0 ? 0 : at), at < 0 ? 0 : 4);
  }
}

// Number of an element of an image with `channels` channels; LAST: these stand last.
template <bool LAST>
DEVICE int64 place_of(int channel, int row, int column, int channels, int rows, int columns) {
  return LAST ? ((int64)row * columns + column) * channels + channel : ((int64)channel * rows + row) * columns + column;
}

template <bool LAST>
DEVICE void input_grad(const float* dy, const float* w, float* dx, const Shape& s) {
  const int pixels = s.rows * s.columns, m = LAST ? pixels : s.channels, n = LAST ? s.channels : pixels;
  const int taps = s.kernel_rows * s.kernel_columns, depths = s.out * taps;
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE;
  dy += (int64)tile.batch * s.out * s.out_rows * s.out_columns;
  dx += (int64)tile.batch * m * n;
  auto both = [&](int number, Stage<TILE>& rows, Stage<TILE>& columns) {
    const int depth0 = number * DEPTH, pixel0 = LAST ? row0 : column0, channel0 = LAST ? column0 : row0;
    // The place of y that sees this pixel through this place of the kernel. Pixels beyond the last make sums that
    // nobody keeps.
    gather<false>(LAST ? rows : columns, dy, [&](int depth, int line) -> int64 {
      const int pixel = pixel0 + line, out = (depth0 + depth) / taps, tap = (depth0 + depth) % taps;
      const int row = pixel / s.columns + s.padding_rows - tap / s.kernel_columns;
      const int column = pixel % s.columns + s.padding_columns - tap % s.kernel_columns;
      if (row < 0 || column < 0 || row % s.stride_rows || column % s.stride_columns || !inside(out, s.out)) return -1;
      if (!inside(row / s.stride_rows, s.out_rows) || !inside(column / s.stride_columns, s.out_columns)) return -1;
      return place_of<LAST>(out, row / s.stride_rows, column / s.stride_columns, s.out, s.out_rows, s.out_columns);
    });
    gather<true>(LAST ? columns : rows, w, [&](int depth, int line) -> int64 {
      const int out = (depth0 + depth) / taps, tap = (depth0 + depth) % taps, channel = channel0 + line;
      if (!inside(channel, s.channels) || !inside(depth0 + depth, depths)) return -1;
      return ((int64)out * s.channels + channel) * taps + tap;
    });
  };
  auto keep = [&](int row, int column, float sum) { dx[(int64)row * n + column] = sum; };
  multiply<TILE>((depths + DEPTH - 1) / DEPTH, row0, column0, m, n, both, keep);
}

// Sums of slab s go to matrix s of dw.
template <bool LAST>
DEVICE void weight_grad(const float* dy, const float* x, float* dw, const Shape& s, int slab) {
  const int taps = s.kernel_rows * s.kernel_columns, m = s.out, n = s.channels * taps;
  const int pixels = s.out_rows * s.out_columns, depths = s.images * pixels;
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE, start = (int)tile.batch * slab;
  const int end = min(start + slab, depths);
  dw += (int64)tile.batch * m * n;
  auto both = [&](int number, Stage<TILE>& rows, Stage<TILE>& columns) {
    const int depth0 = start + number * DEPTH;
    gather<!LAST>(rows, dy, [&](int depth, int line) -> int64 {
      const int at = depth0 + depth, out = row0 + line;
      if (!inside(at, end) || !inside(out, s.out)) return -1;
      const int pixel = at % pixels;
      return (int64)(at / pixels) * s.out * pixels +
             place_of<LAST>(out, pixel / s.out_columns, pixel % s.out_columns, s.out, s.out_rows, s.out_columns);
    });
    gather<!LAST>(columns, x, [&](int depth, int line) -> int64 {
      const int at = depth0 + depth, channel = (column0 + line) / taps, tap = (column0 + line) % taps;
      const int pixel = at % pixels;
      const int row = pixel / s.out_columns * s.stride_rows + tap / s.kernel_columns - s.padding_rows;
      const int column = pixel % s.out_columns * s.stride_columns + tap % s.kernel_columns - s.padding_columns;
      if (row < 0 || column < 0 || !inside(row, s.rows) || !inside(column, s.columns)) return -1;
      if (!inside(at, end) || !inside(channel, s.channels)) return -1;
      return (int64)(at / pixels) * s.channels * s.rows * s.columns +
             place_of<LAST>(channel, row, column, s.channels, s.rows, s.columns);
    });
  };
  auto keep = [&](int row, int column, float sum) { dw[(int64)row * n + column] = sum; };
  multiply<TILE>((end - start + DEPTH - 1) / DEPTH, row0, column0, m, n, both, keep);
}

#define SHAPE                                                                                                    \
  int images, int channels, int rows, int columns, int out, int kernel_rows, int kernel_columns, int out_rows,   \
      int out_columns, int stride_rows, int stride_columns, int padding_rows, int padding_columns
#define GIVEN                                                                                                    \
  {images, channels, rows, columns, out, kernel_rows, kernel_columns, out_rows, out_columns,                     \
   stride_rows, stride_columns, padding_rows, padding_columns}
#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(THREADS, 1) NAME(__VA_ARGS__)

ENTRY(conv2d_input_grad_first, const float* dy, const float* w, float* dx, SHAPE) { input_grad<false>(dy, w, dx, GIVEN); }
ENTRY(conv2d_input_grad_last, const float* dy, const float* w, float* dx, SHAPE) { input_grad<true>(dy, w, dx, GIVEN); }
ENTRY(conv2d_weight_grad_first, const float* dy, const float* x, float* dw, SHAPE, int slab) { weight_grad<false>(dy, x, dw, GIVEN, slab); }
ENTRY(conv2d_weight_grad_last, const float* dy, const float* x, float* dw, SHAPE, int slab) { weight_grad<true>(dy, x, dw, GIVEN, slab); }
ENTRY(add_slabs, const float* x, float* y, int64 rows, int64 columns) { column_sum<float>(x, y, rows, columns); }
