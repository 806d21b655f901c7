// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// q = round(x / scale) + zero, saturated, and the scales where they are found here: one for all (three
// launches: extremes, scale, quotients), one for each row, or one for each block of 32.
#include "common.cuh"

// What a type of q holds: its range, and the steps of a found scale below and above zero.
struct Steps {
  int zero, low, high;
  float below, above;
};

DEVICE unsigned char quantized(float x, float scale, Steps steps) {
  if (scale == 0.0f) return (unsigned char)steps.zero;
  float rounded = rintf(x / scale) + (float)steps.zero;
  rounded = rounded < (float)steps.low ? (float)steps.low : rounded;
  rounded = rounded > (float)steps.high ? (float)steps.high : rounded;
  return (unsigned char)(int)rounded;
}

// The smallest scale at which nothing between -`below` and `above` saturates.
DEVICE float scale_of(float below, float above, Steps steps) {
  return larger(steps.below > 0.0f ? below / steps.below : 0.0f, steps.above > 0.0f ? above / steps.above : 0.0f);
}

#define STEPS int zero, int low, int high, float below, float above
#define ENTRY(NAME, PARAMETERS) extern "C" __global__ void __launch_bounds__(256) NAME PARAMETERS

// extremes[2 block], extremes[2 block + 1]: the largest -x and x that the block met, at least 0.
ENTRY(extremes, (const float* x, float* extremes, int64 count)) {
  SHARED_MEMORY(memory);
  float below = 0.0f, above = 0.0f;
  for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; inside(i, count); i += (int64)gridDim.x * blockDim.x) {
    below = larger(below, -x[i]);
    above = larger(above, x[i]);
  }
  below = row_reduce<true>(below, (float*)memory);
  above = row_reduce<true>(above, (float*)memory);
  if (threadIdx.x == 0) {
    extremes[2 * blockIdx.x] = below;
    extremes[2 * blockIdx.x + 1] = above;
  }
}

// The scale of all, from the extremes of `count` blocks.
ENTRY(scale, (const float* extremes, float* scale, int count, STEPS)) {
  SHARED_MEMORY(memory);
  float most_below = 0.0f, most_above = 0.0f;
  for (int i = threadIdx.x; inside(i, count); i += blockDim.x) {
    most_below = larger(most_below, extremes[2 * i]);
    most_above = larger(most_above, extremes[2 * i + 1]);
  }
  most_below = row_reduce<true>(most_below, (float*)memory);
  most_above = row_reduce<true>(most_above, (float*)memory);
  if (threadIdx.x == 0) *scale = scale_of(most_below, most_above, {zero, low, high, below, above});
}

// Quotients by one scale, found (an address) or given. A thread answers for four.
ENTRY(quotients, (const float* x, unsigned char* q, const float* found, float given, int64 count, STEPS)) {
  const Steps steps = {zero, low, high, below, above};
  const float scale = found ? *found : given;
  const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (inside(first + 3, count)) {
    const Pack<float, 4> pack = *(const Pack<float, 4>*)(x + first);
    Pack<unsigned char, 4> answer;
#pragma unroll
    for (int i = 0; i < 4; ++i) answer.at[i] = quantized(pack.at[i], scale, steps);
    *(Pack<unsigned char, 4>*)(q + first) = answer;
  } else {
    for (int64 i = first; inside(i, count); ++i) q[i] = quantized(x[i], scale, steps);
  }
}

// A scale for each row; a warp has a row, or a block where rows are long.
template <int WIDTH>
DEVICE void quantize_rows(const float* x, unsigned char* q, float* scales, int64 rows, int columns, Steps steps) {
  SHARED_MEMORY(memory);
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  x += row * columns;
  q += row * columns;
  const int first = threadIdx.x * WIDTH, step = blockDim.x * WIDTH;
  float below = 0.0f, above = 0.0f;
  for (int column = first; inside(column, columns); column += step) {
    const Pack<float, WIDTH> pack = *(const Pack<float, WIDTH>*)(x + column);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      below = larger(below, -pack.at[i]);
      above = larger(above, pack.at[i]);
    }
  }
  below = row_reduce<true>(below, (float*)memory);
  above = row_reduce<true>(above, (float*)memory);
  const float scale = scale_of(below, above, steps);
  for (int column = first; inside(column, columns); column += step) {
    const Pack<float, WIDTH> pack = *(const Pack<float, WIDTH>*)(x + column);
    Pack<unsigned char, WIDTH> answer;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) answer.at[i] = quantized(pack.at[i], scale, steps);
    *(Pack<unsigned char, WIDTH>*)(q + column) = answer;
  }
  if (threadIdx.x == 0) scales[row] = scale;
}
ENTRY(rows_x1, (const float* x, unsigned char* q, float* scales, int64 rows, int columns, STEPS)) {
  quantize_rows<1>(x, q, scales, rows, columns, {zero, low, high, below, above});
}
ENTRY(rows_x4, (const float* x, unsigned char* q, float* scales, int64 rows, int columns, STEPS)) {
  quantize_rows<4>(x, q, scales, rows, columns, {zero, low, high, below, above});
}

// A scale in f16 for each 32 elements, which eight neighbouring lanes hold by four.
ENTRY(blocks, (const float* x, unsigned char* q, f16* scales, int64 count, STEPS)) {
  const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  const bool here = inside(first, count);
  Pack<float, 4> pack = {};
  if (here) pack = *(const Pack<float, 4>*)(x + first);
  float most = 0.0f;
#pragma unroll
  for (int i = 0; i < 4; ++i) most = larger(most, fabsf(pack.at[i]));
  for (int offset = 4; offset > 0; offset /= 2) most = larger(most, __shfl_xor_sync(ALL_LANES, most, offset));
  if (!here) return;
  const float scale = most / 127.0f;
  Pack<unsigned char, 4> answer;
#pragma unroll
  for (int i = 0; i < 4; ++i) answer.at[i] = quantized(pack.at[i], scale, {zero, low, high, below, above});
  *(Pack<unsigned char, 4>*)(q + first) = answer;
  if (threadIdx.x % 8 == 0) scales[first / 32] = narrow<f16>(scale);
}
