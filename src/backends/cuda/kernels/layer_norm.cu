// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// y = (s - mean) rstd gain + bias over each row of s, where s is x, or x + r and an output too. A warp has a
// row, or a block where rows are long. A thread comes back to its own columns only, so what it left in
// shared memory needs no barrier.
#include "common.cuh"

// `cached`: shared memory holds a row.
template <class T, bool ADD, int WIDTH>
DEVICE void layer_norm(const T* x, const T* r, const T* gain, const T* bias, T* y, T* s, float* means, float* rstds, int64 rows, int columns, float eps, int cached) {
  SHARED_MEMORY(memory);
  using Few = Pack<T, WIDTH>;
  float* parts = (float*)memory;
  float* kept = parts + 32 + (cached ? threadIdx.y * columns : 0);
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const int64 start = row * columns;
  const int first = threadIdx.x * WIDTH, step = blockDim.x * WIDTH;
  // Calls `use(column, values)` for the thread's columns.
  auto again = [&](auto use) {
    for (int column = first; inside(column, columns); column += step) {
      float values[WIDTH];
      if (cached) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) values[i] = kept[column + i];
      } else {
        const Few pack = *(const Few*)(x + start + column);
        Few more = pack;
        if (ADD) more = *(const Few*)(r + start + column);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) values[i] = widen(pack.at[i]) + (ADD ? widen(more.at[i]) : 0.0f);
      }
      use(column, values);
    }
  };

  float sum = 0.0f;
  for (int column = first; inside(column, columns); column += step) {
    const Few pack = *(const Few*)(x + start + column);
    Few more = pack, total;
    if (ADD) more = *(const Few*)(r + start + column);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const float value = widen(pack.at[i]) + (ADD ? widen(more.at[i]) : 0.0f);
      if (cached) kept[column + i] = value;
      total.at[i] = narrow<T>(value);
      sum += value;
    }
    if (ADD) *(Few*)(s + start + column) = total;
  }
  const float mean = row_reduce<false>(sum, parts) / columns;

  float squares = 0.0f;
  again([&](int, const float* values) {
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) squares += (values[i] - mean) * (values[i] - mean);
  });
  const float rstd = 1.0f / sqrtf(row_reduce<false>(squares, parts) / columns + eps);

  again([&](int column, const float* values) {
    const Few gains = *(const Few*)(gain + column), biases = *(const Few*)(bias + column);
    Few answer;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
      answer.at[i] = narrow<T>((values[i] - mean) * rstd * widen(gains.at[i]) + widen(biases.at[i]));
    *(Few*)(y + start + column) = answer;
  });
  if (threadIdx.x == 0) {
    means[row] = mean;
    rstds[row] = rstd;
  }
}

#define ENTRY(NAME, T, ADD, WIDTH)                                                                              \
  extern "C" __global__ void __launch_bounds__(512) NAME(const T* x, const T* r, const T* gain, const T* bias,  \
                                                         T* y, T* s, float* means, float* rstds, int64 rows,    \
                                                         int columns, float eps, int cached) {                  \
    layer_norm<T, ADD, WIDTH>(x, r, gain, bias, y, s, means, rstds, rows, columns, eps, cached);                \
  }

ENTRY(layer_norm_f32_x1, float, false, 1)
ENTRY(layer_norm_f32_x4, float, false, 4)
ENTRY(layer_norm_bf16_x1, bf16, false, 1)
ENTRY(layer_norm_bf16_x4, bf16, false, 4)
ENTRY(layer_norm_f16_x1, f16, false, 1)
ENTRY(layer_norm_f16_x4, f16, false, 4)
ENTRY(add_layer_norm_f32_x1, float, true, 1)
ENTRY(add_layer_norm_f32_x4, float, true, 4)
ENTRY(add_layer_norm_bf16_x1, bf16, true, 1)
ENTRY(add_layer_norm_bf16_x4, bf16, true, 4)
ENTRY(add_layer_norm_f16_x1, f16, true, 1)
ENTRY(add_layer_norm_f16_x4, f16, true, 4)
