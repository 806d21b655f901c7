// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 40
//
// y = scale_a scale_b x + bias. A thread answers for four elements, which may lie in two rows or more.
#include "common.cuh"

#define ENTRY(NAME, PARAMETERS) extern "C" __global__ void __launch_bounds__(256) NAME PARAMETERS

// `by_row` and `by_column`: 1 where there is a scale for each, 0 where there is one for all.
ENTRY(dequantize, (const int* x, const float* scale_a, const float* scale_b, const float* bias, float* y, int64 count, int64 columns, int by_row, int by_column)) {
  const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  int64 row = first / columns, column = first - row * columns;
  auto next = [&](int value) {
    const float product = scale_a[by_row * row] * scale_b[by_column * column] * (float)value;
    const float answer = bias ? product + bias[column] : product;
    if (++column == columns) {
      column = 0;
      ++row;
    }
    return answer;
  };
  if (inside(first + 3, count)) {
    const Pack<int, 4> pack = *(const Pack<int, 4>*)(x + first);
    Pack<float, 4> answer;
#pragma unroll
    for (int i = 0; i < 4; ++i) answer.at[i] = next(pack.at[i]);
    *(Pack<float, 4>*)(y + first) = answer;
  } else {
    for (int64 i = first; inside(i, count); ++i) y[i] = next(x[i]);
  }
}
