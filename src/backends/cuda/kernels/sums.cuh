// Sums down columns, by slabs of rows: a slab's sums are rows of the next round, until one slab is left. No sum
// depends on the order of blocks.
#pragma once
#include "common.cuh"

constexpr int SLAB = 256, ACROSS = 32, DOWN = 8;

// Adds `value(row, column, parts)`, which are N numbers, over the rows of a slab; sums of slab s go to row s of each y.
// A block has 32 columns and 8 rows at a time.
template <int N, class Value>
DEVICE void sum_columns(int64 rows, int64 columns, float* const (&y)[N], Value value) {
  SHARED_MEMORY(memory);
  float(*parts)[DOWN][ACROSS] = (float(*)[DOWN][ACROSS])memory;
  const int64 blocks = (columns + ACROSS - 1) / ACROSS, slab = blockIdx.x / blocks;
  const int64 column = blockIdx.x % blocks * ACROSS + threadIdx.x;
  const bool here = inside(column, columns);
  float sums[N] = {};
  for (int i = threadIdx.y; i < SLAB; i += DOWN) {
    const int64 row = slab * SLAB + i;
    if (!here || !inside(row, rows)) break;
    float each[N];
    value(row, column, each);
#pragma unroll
    for (int n = 0; n < N; ++n) sums[n] += each[n];
  }
#pragma unroll
  for (int n = 0; n < N; ++n) parts[n][threadIdx.y][threadIdx.x] = sums[n];
  __syncthreads();
  if (threadIdx.y > 0 || !here) return;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    float total = 0.0f;
    for (int i = 0; i < DOWN; ++i) total += parts[n][i][threadIdx.x];
    y[n][slab * columns + column] = total;
  }
}

template <class T>
DEVICE void column_sum(const T* x, float* y, int64 rows, int64 columns) {
  float* const to[1] = {y};
  sum_columns<1>(rows, columns, to, [=](int64 row, int64 column, float (&each)[1]) { each[0] = widen(x[row * columns + column]); });
}
