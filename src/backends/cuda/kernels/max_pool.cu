// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// The largest of each window of pixels, and the gradient. Windows do not overlap; a thread has an element of the answer.
#include "common.cuh"

// Planes of `rows` by `columns` pixels of `channels` numbers; windows of `window` by `window`.
struct Pool {
  int channels, rows, columns, out_rows, out_columns, window;
};

// Number of an element of x.
DEVICE int64 place(const Pool& p, int64 plane, int row, int column, int channel) {
  return ((plane * p.rows + row) * p.columns + column) * p.channels + channel;
}

DEVICE void max_pool(const float* x, float* y, int64 count, const Pool& p) {
  const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
  if (!inside(at, count)) return;
  const int channel = at % p.channels, column = at / p.channels % p.out_columns;
  const int row = at / p.channels / p.out_columns % p.out_rows;
  const int64 plane = at / p.channels / p.out_columns / p.out_rows;
  float most = x[place(p, plane, row * p.window, column * p.window, channel)];
  for (int i = 0; i < p.window; ++i)
    for (int j = 0; j < p.window; ++j)
      most = larger(most, x[place(p, plane, row * p.window + i, column * p.window + j, channel)]);
  y[at] = most;
}

// dy goes to the first element of a window, row by row, that is as large as y.
DEVICE void max_pool_grad(const float* dy, const float* x, const float* y, float* dx, int64 count, const Pool& p) {
  const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
  if (!inside(at, count)) return;
  const int channel = at % p.channels, column = at / p.channels % p.columns;
  const int row = at / p.channels / p.columns % p.rows;
  const int64 plane = at / p.channels / p.columns / p.rows;
  const int out_row = row / p.window, out_column = column / p.window;
  float answer = 0.0f;
  if (out_row < p.out_rows && out_column < p.out_columns) {
    const int64 of = ((plane * p.out_rows + out_row) * p.out_columns + out_column) * p.channels + channel;
    const float most = y[of];
    const int own = row % p.window * p.window + column % p.window;
    bool is_first = x[at] == most;
    for (int i = 0; i < own; ++i) {
      const int other_row = out_row * p.window + i / p.window, other_column = out_column * p.window + i % p.window;
      is_first = is_first && x[place(p, plane, other_row, other_column, channel)] != most;
    }
    if (is_first) answer = dy[of];
  }
  dx[at] = answer;
}

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(256) NAME(__VA_ARGS__, int64 count, int channels, int rows, int columns, int out_rows, int out_columns, int window)
#define POOL {channels, rows, columns, out_rows, out_columns, window}

ENTRY(max_pool_f32, const float* x, float* y) { max_pool(x, y, count, POOL); }
ENTRY(max_pool_grad_f32, const float* dy, const float* x, const float* y, float* dx) { max_pool_grad(dy, x, y, dx, count, POOL); }
