// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// D = A B^T, B in blocks of 32 numbers of 8 bits that share a scale in f16 (ggml's Q8_0); A in f32, or in blocks too.
// A warp makes ROWS rows of one column, so that every weight is read once for all of them; a lane takes four
// neighbouring weights at a time. Made for few rows, where reading the weights sets the pace.
#include "common.cuh"

constexpr int ROWS = 4, BLOCK = 32, WARPS = 8, EACH = 4;

template <class A, class S>
DEVICE void products(const A* a, const S* scales_a, const signed char* b, const f16* scales_b, float* d, int m, int n, int k) {
  const int lane = threadIdx.x % 32, row0 = blockIdx.y * ROWS;
  const int64 column = (int64)blockIdx.x * WARPS + threadIdx.x / 32;
  // A whole warp has one column.
  if (!inside(column, n)) return;
  float sums[ROWS] = {};
  for (int depth = lane * EACH; inside(depth, k); depth += 32 * EACH) {
    const Pack<signed char, EACH> weights = *(const Pack<signed char, EACH>*)(b + column * k + depth);
    const float scale = widen(scales_b[(column * k + depth) / BLOCK]);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      if (!inside(row0 + r, m)) break;
      const int64 at = (int64)(row0 + r) * k + depth;
      const Pack<A, EACH> x = *(const Pack<A, EACH>*)(a + at);
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < EACH; ++i) sum += (float)x.at[i] * (float)weights.at[i];
      sums[r] += sum * (scales_a ? scale * widen(scales_a[at / BLOCK]) : scale);
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const float sum = lane_sum(sums[r]);
    if (lane == 0 && inside(row0 + r, m)) d[(int64)(row0 + r) * n + column] = sum;
  }
}

#define ENTRY(NAME, A, S)                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) NAME(const A* a, const S* scales_a, const signed char* b,      \
                                                         const f16* scales_b, float* d, int m, int n, int k) {     \
    products<A, S>(a, scales_a, b, scales_b, d, m, n, k);                                                          \
  }

ENTRY(gemm_q8_f32, float, float)
ENTRY(gemm_q8_i8_f32, signed char, float)
ENTRY(gemm_q8_i8_f16, signed char, f16)
