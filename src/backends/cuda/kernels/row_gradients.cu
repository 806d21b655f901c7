// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// Gradients of softmax and of layer norm, over each row. A warp has a row, or a block where rows are long; each goes
// through its row twice.
#include "common.cuh"

// dx = scale y (dy - sum of dy y).
template <class In, class T>
DEVICE void softmax_grad(const In* dy, const T* y, T* dx, int64 rows, int64 columns, float scale) {
  SHARED_MEMORY(memory);
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const int64 start = row * columns;
  float sum = 0.0f;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x)
    sum += widen(dy[start + column]) * widen(y[start + column]);
  sum = row_reduce<false>(sum, (float*)memory);
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x)
    dx[start + column] = narrow<T>(scale * widen(y[start + column]) * (widen(dy[start + column]) - sum));
}

// dx = rstd (g - mean of g - n (mean of g n)), with g = dy gain and n = (x - mean) rstd.
template <class T>
DEVICE void layer_norm_grad(const T* dy, const T* x, const float* means, const float* rstds, const T* gain, T* dx, int64 rows, int64 columns) {
  SHARED_MEMORY(memory);
  float* parts = (float*)memory;
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const int64 start = row * columns;
  const float mean = means[row], rstd = rstds[row];
  float of_g = 0.0f, of_product = 0.0f;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) {
    const float g = widen(dy[start + column]) * widen(gain[column]);
    of_g += g;
    of_product += g * ((widen(x[start + column]) - mean) * rstd);
  }
  of_g = row_reduce<false>(of_g, parts) / columns;
  of_product = row_reduce<false>(of_product, parts) / columns;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) {
    const float g = widen(dy[start + column]) * widen(gain[column]);
    const float n = (widen(x[start + column]) - mean) * rstd;
    dx[start + column] = narrow<T>(rstd * (g - of_g - n * of_product));
  }
}

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(512) NAME(__VA_ARGS__)

ENTRY(softmax_grad_f32_f32, const float* dy, const float* y, float* dx, int64 rows, int64 columns, float scale) { softmax_grad<float, float>(dy, y, dx, rows, columns, scale); }
ENTRY(softmax_grad_f32_bf16, const float* dy, const bf16* y, bf16* dx, int64 rows, int64 columns, float scale) { softmax_grad<float, bf16>(dy, y, dx, rows, columns, scale); }
ENTRY(softmax_grad_f32_f16, const float* dy, const f16* y, f16* dx, int64 rows, int64 columns, float scale) { softmax_grad<float, f16>(dy, y, dx, rows, columns, scale); }
ENTRY(softmax_grad_bf16_bf16, const bf16* dy, const bf16* y, bf16* dx, int64 rows, int64 columns, float scale) { softmax_grad<bf16, bf16>(dy, y, dx, rows, columns, scale); }
ENTRY(softmax_grad_f16_f16, const f16* dy, const f16* y, f16* dx, int64 rows, int64 columns, float scale) { softmax_grad<f16, f16>(dy, y, dx, rows, columns, scale); }
ENTRY(layer_norm_grad_f32, const float* dy, const float* x, const float* means, const float* rstds, const float* gain, float* dx, int64 rows, int64 columns) {
  layer_norm_grad<float>(dy, x, means, rstds, gain, dx, rows, columns);
}
ENTRY(layer_norm_grad_bf16, const bf16* dy, const bf16* x, const float* means, const float* rstds, const bf16* gain, bf16* dx, int64 rows, int64 columns) {
  layer_norm_grad<bf16>(dy, x, means, rstds, gain, dx, rows, columns);
}
ENTRY(layer_norm_grad_f16, const f16* dy, const f16* x, const float* means, const float* rstds, const f16* gain, f16* dx, int64 rows, int64 columns) {
  layer_norm_grad<f16>(dy, x, means, rstds, gain, dx, rows, columns);
}
