// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// Sums of columns, of rows, and of the columns of two products.
#include "sums.cuh"

// The sum of each row, a warp or a block for each.
template <class T>
DEVICE void row_sum(const T* x, float* y, int64 rows, int64 columns) {
  SHARED_MEMORY(memory);
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  float sum = 0.0f;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) sum += widen(x[row * columns + column]);
  sum = row_reduce<false>(sum, (float*)memory);
  if (threadIdx.x == 0) y[row] = sum;
}

// dgain = sum of dy (x - mean) rstd, dbias = sum of dy.
template <class T>
DEVICE void layer_norm_param_grad(const T* dy, const T* x, const float* mean, const float* rstd, float* dgain, float* dbias, int64 rows, int64 columns) {
  float* const to[2] = {dgain, dbias};
  sum_columns<2>(rows, columns, to, [=](int64 row, int64 column, float (&each)[2]) {
    const float g = widen(dy[row * columns + column]);
    each[0] = g * ((widen(x[row * columns + column]) - mean[row]) * rstd[row]);
    each[1] = g;
  });
}

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(512) NAME(__VA_ARGS__)

ENTRY(column_sum_f32, const float* x, float* y, int64 rows, int64 columns) { column_sum<float>(x, y, rows, columns); }
ENTRY(column_sum_bf16, const bf16* x, float* y, int64 rows, int64 columns) { column_sum<bf16>(x, y, rows, columns); }
ENTRY(column_sum_f16, const f16* x, float* y, int64 rows, int64 columns) { column_sum<f16>(x, y, rows, columns); }
ENTRY(row_sum_f32, const float* x, float* y, int64 rows, int64 columns) { row_sum<float>(x, y, rows, columns); }
ENTRY(row_sum_bf16, const bf16* x, float* y, int64 rows, int64 columns) { row_sum<bf16>(x, y, rows, columns); }
ENTRY(row_sum_f16, const f16* x, float* y, int64 rows, int64 columns) { row_sum<f16>(x, y, rows, columns); }
ENTRY(layer_norm_param_grad_f32, const float* dy, const float* x, const float* mean, const float* rstd, float* dgain, float* dbias, int64 rows, int64 columns) {
  layer_norm_param_grad<float>(dy, x, mean, rstd, dgain, dbias, rows, columns);
}
ENTRY(layer_norm_param_grad_bf16, const bf16* dy, const bf16* x, const float* mean, const float* rstd, float* dgain, float* dbias, int64 rows, int64 columns) {
  layer_norm_param_grad<bf16>(dy, x, mean, rstd, dgain, dbias, rows, columns);
}
ENTRY(layer_norm_param_grad_f16, const f16* dy, const f16* x, const float* mean, const float* rstd, float* dgain, float* dbias, int64 rows, int64 columns) {
  layer_norm_param_grad<f16>(dy, x, mean, rstd, dgain, dbias, rows, columns);
}
