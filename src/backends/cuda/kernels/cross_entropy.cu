// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// loss = log sum exp(x) - x(label) over each row, and its gradient. A warp has a row, or a block where rows are long.
// Rows whose label is -1 are not counted.
#include "common.cuh"

template <class T>
DEVICE void cross_entropy(const T* x, const int* labels, float* losses, float* log_sum_exps, int64 rows, int64 columns) {
  SHARED_MEMORY(memory);
  float* parts = (float*)memory;
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  x += row * columns;
  float most = LOWEST;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) most = larger(most, widen(x[column]));
  most = row_reduce<true>(most, parts);
  float sum = 0.0f;
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) sum += expf(widen(x[column]) - most);
  sum = row_reduce<false>(sum, parts);
  if (threadIdx.x > 0) return;
  const float log_sum_exp = most + logf(sum);
  const int label = labels[row];
  losses[row] = label < 0 ? 0.0f : log_sum_exp - widen(x[label]);
  log_sum_exps[row] = log_sum_exp;
}

// dx = scale (exp(x - lse) - (1 at the label)).
template <class T>
DEVICE void cross_entropy_grad(const T* x, const int* labels, const float* log_sum_exps, T* dx, int64 rows, int64 columns, float scale) {
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const float log_sum_exp = log_sum_exps[row];
  const int label = labels[row];
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) {
    const float p = expf(widen(x[row * columns + column]) - log_sum_exp);
    dx[row * columns + column] = narrow<T>(label < 0 ? 0.0f : scale * (column == label ? p - 1.0f : p));
  }
}

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(512) NAME(__VA_ARGS__)

ENTRY(cross_entropy_f32, const float* x, const int* labels, float* losses, float* log_sum_exps, int64 rows, int64 columns) {
  cross_entropy<float>(x, labels, losses, log_sum_exps, rows, columns);
}
ENTRY(cross_entropy_grad_f32, const float* x, const int* labels, const float* log_sum_exps, float* dx, int64 rows, int64 columns, float scale) {
  cross_entropy_grad<float>(x, labels, log_sum_exps, dx, rows, columns, scale);
}
ENTRY(cross_entropy_bf16, const bf16* x, const int* labels, float* losses, float* log_sum_exps, int64 rows, int64 columns) {
  cross_entropy<bf16>(x, labels, losses, log_sum_exps, rows, columns);
}
ENTRY(cross_entropy_grad_bf16, const bf16* x, const int* labels, const float* log_sum_exps, bf16* dx, int64 rows, int64 columns, float scale) {
  cross_entropy_grad<bf16>(x, labels, log_sum_exps, dx, rows, columns, scale);
}
ENTRY(cross_entropy_f16, const f16* x, const int* labels, float* losses, float* log_sum_exps, int64 rows, int64 columns) {
  cross_entropy<f16>(x, labels, losses, log_sum_exps, rows, columns);
}
ENTRY(cross_entropy_grad_f16, const f16* x, const int* labels, const float* log_sum_exps, f16* dx, int64 rows, int64 columns, float scale) {
  cross_entropy_grad<f16>(x, labels, log_sum_exps, dx, rows, columns, scale);
}
