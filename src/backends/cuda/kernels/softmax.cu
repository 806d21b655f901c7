// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// y = exp(scale x - max) / sum, over each row, and where it is wanted the logarithm of the sum. A warp has a
// row, or a block where rows are long. A thread comes back to its own columns only, so what it left in
// shared memory needs no barrier.
#include "common.cuh"

// Rows of `matrix_rows` form a matrix under a causal mask; 0: no mask. `cached`: shared memory holds a row.
template <class In, class Out, int WIDTH>
DEVICE void softmax(const In* x, Out* y, float* log_sum_exp, int64 rows, int columns, int matrix_rows, float scale, int cached) {
  SHARED_MEMORY(memory);
  float* parts = (float*)memory;
  float* scores = parts + 32 + (cached ? threadIdx.y * columns : 0);
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  x += row * columns;
  y += row * columns;
  const int visible = matrix_rows ? (int)(row % matrix_rows) + 1 + columns - matrix_rows : columns;
  const int first = threadIdx.x * WIDTH, step = blockDim.x * WIDTH;
  auto score = [=](const Pack<In, WIDTH>& pack, int column, int i) {
    return inside(column + i, visible) ? scale * widen(pack.at[i]) : LOWEST;
  };

  float most = LOWEST;
  for (int column = first; inside(column, columns); column += step) {
    const Pack<In, WIDTH> pack = *(const Pack<In, WIDTH>*)(x + column);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const float s = score(pack, column, i);
      if (cached) scores[column + i] = s;
      most = larger(most, s);
    }
  }
  most = row_reduce<true>(most, parts);

  float sum = 0.0f;
  for (int column = first; inside(column, columns); column += step) {
    Pack<In, WIDTH> pack;
    if (!cached) pack = *(const Pack<In, WIDTH>*)(x + column);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const float e = expf((cached ? scores[column + i] : score(pack, column, i)) - most);
      if (cached) scores[column + i] = e;
      sum += e;
    }
  }
  sum = row_reduce<false>(sum, parts);

  for (int column = first; inside(column, columns); column += step) {
    Pack<In, WIDTH> pack;
    if (!cached) pack = *(const Pack<In, WIDTH>*)(x + column);
    Pack<Out, WIDTH> answer;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
      answer.at[i] = narrow<Out>((cached ? scores[column + i] : expf(score(pack, column, i) - most)) / sum);
    *(Pack<Out, WIDTH>*)(y + column) = answer;
  }
  if (log_sum_exp && threadIdx.x == 0) log_sum_exp[row] = most + logf(sum);
}

#define ENTRY(NAME, IN, OUT, WIDTH)                                                                            \
  extern "C" __global__ void __launch_bounds__(512) NAME(const IN* x, OUT* y, float* log_sum_exp, int64 rows,  \
                                                         int columns, int matrix_rows, float scale, int cached) { \
    softmax<IN, OUT, WIDTH>(x, y, log_sum_exp, rows, columns, matrix_rows, scale, cached);                     \
  }

ENTRY(softmax_f32_f32_x1, float, float, 1)
ENTRY(softmax_f32_f32_x4, float, float, 4)
ENTRY(softmax_f32_bf16_x1, float, bf16, 1)
ENTRY(softmax_f32_bf16_x4, float, bf16, 4)
ENTRY(softmax_f32_f16_x1, float, f16, 1)
ENTRY(softmax_f32_f16_x4, float, f16, 4)
ENTRY(softmax_bf16_bf16_x1, bf16, bf16, 1)
ENTRY(softmax_bf16_bf16_x4, bf16, bf16, 4)
ENTRY(softmax_f16_f16_x1, f16, f16, 1)
ENTRY(softmax_f16_f16_x4, f16, f16, 4)
