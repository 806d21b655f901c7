// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
//
// Convolution as a product by multiply-adds in f32, one of whose factors is never stored whole: what the kernel
// sees of an image (im2col) is gathered where a stage needs it. Depth runs over channels, then over places of the
// kernel, as the weights lie. Rows and columns are chosen so that neighbours in y are written together:
//   channels first: Y = W X   rows are channels of y, columns pixels
//   channels last:  Y = X W   rows are pixels, columns channels of y
#include "simt.cuh"

constexpr int TILE = 64;

struct Shape {
  int channels, rows, columns, out, kernel_rows, kernel_columns, out_rows, out_columns;
  int stride_rows, stride_columns, padding_rows, padding_columns;
};

// What the kernel sees at pixels `pixel0..` of an image of y, at depths `depth0..`: zeros in the padding.
template <bool LAST>
DEVICE void gather(Stage<TILE>& stage, const float* image, const Shape& s, int pixel0, int depth0) {
  const int taps = s.kernel_rows * s.kernel_columns;
#pragma unroll 1
  for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
    const int line = i % TILE, depth = i / TILE;
    const int pixel = pixel0 + line, channel = (depth0 + depth) / taps, tap = (depth0 + depth) % taps;
    const int row = pixel / s.out_columns * s.stride_rows + tap / s.kernel_columns - s.padding_rows;
    const int column = pixel % s.out_columns * s.stride_columns + tap % s.kernel_columns - s.padding_columns;
    // Pixels beyond the last make sums that nobody keeps.
    const bool seen = row >= 0 && column >= 0 && inside(row, s.rows) && inside(column, s.columns);
    const bool here = seen && inside(channel, s.channels);
    const int64 at = LAST ? ((int64)row * s.columns + column) * s.channels + channel
                          : ((int64)channel * s.rows + row) * s.columns + column;
    copy4_async(&stage[depth][line], image + (here ? at : 0), here ? 4 : 0);
  }
}

// Weights of channels `out0..` of y at depths `depth0..`.
DEVICE void weigh(Stage<TILE>& stage, const float* w, const Shape& s, int out0, int depth0) {
  const int depths = s.channels * s.kernel_rows * s.kernel_columns;
#pragma unroll 1
  for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
    const int line = i / DEPTH, depth = i % DEPTH;
    const bool here = inside(out0 + line, s.out) && inside(depth0 + depth, depths);
    copy4_async(&stage[depth][line], w + (here ? (int64)(out0 + line) * depths + depth0 + depth : 0), here ? 4 : 0);
  }
}

template <bool LAST>
DEVICE void convolve(const float* x, const float* w, const float* bias, float* y, const Shape& s) {
  const int pixels = s.out_rows * s.out_columns, m = LAST ? pixels : s.out, n = LAST ? s.out : pixels;
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE;
  x += tile.batch * s.channels * s.rows * s.columns;
  y += tile.batch * m * n;
  auto both = [&](int number, Stage<TILE>& rows, Stage<TILE>& columns) {
    gather<LAST>(LAST ? rows : columns, x, s, LAST ? row0 : column0, number * DEPTH);
    weigh(LAST ? columns : rows, w, s, LAST ? column0 : row0, number * DEPTH);
  };
  auto keep = [&](int row, int column, float sum) {
    y[(int64)row * n + column] = sum + (bias ? bias[LAST ? column : row] : 0.0f);
  };
  const int depths = s.channels * s.kernel_rows * s.kernel_columns;
  multiply<TILE>((depths + DEPTH - 1) / DEPTH, row0, column0, m, n, both, keep);
}

#define ENTRY(NAME, LAST)                                                                                       \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) NAME(                                                \
      const float* x, const float* w, const float* bias, float* y, int channels, int rows, int columns, int out, \
      int kernel_rows, int kernel_columns, int out_rows, int out_columns, int stride_rows, int stride_columns,  \
      int padding_rows, int padding_columns) {                                                                  \
    convolve<LAST>(x, w, bias, y, {channels, rows, columns, out, kernel_rows, kernel_columns, out_rows,         \
                                   out_columns, stride_rows, stride_columns, padding_rows, padding_columns});   \
  }

ENTRY(conv2d_first, false)
ENTRY(conv2d_last, true)
