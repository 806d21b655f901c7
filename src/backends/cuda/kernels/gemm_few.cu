// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
//
// D = alpha A op(B) + beta C where A has at most ROWS rows: reading B sets the pace. Each of its elements is read once,
// in vectors of 16 bytes where its rows are whole ones; A comes from the caches. Sums are in f32.
#include "gemm.cuh"

constexpr int WARPS = 8, VECTOR = Vector<INPUT>::WIDTH;

// VECTOR neighbours from element `at` of a row on, which ends after `end` of them; zeros beyond.
DEVICE Vector<INPUT> neighbours(const INPUT* row, int at, int end, int vectors) {
  if (vectors) return *(const Vector<INPUT>*)(row + at);
  Vector<INPUT> x;
#pragma unroll
  for (int i = 0; i < VECTOR; ++i) x.at[i] = inside(at + i, end) ? row[at + i] : INPUT{0};
  return x;
}

// B as [k, n]: a lane has VECTOR columns, the warps of a block every eighth depth of `each` from the block's first on.
// Where a product's depth is split over several blocks, their sums go to `parts`, [block of depth][element of D].
template <int ROWS>
DEVICE void by_rows(const INPUT* a, const INPUT* b, const Output& out, float* parts, int m, int n, int k, int64 stride_b, int vectors, int each) {
  constexpr int COLUMNS = 32 * VECTOR;
  SHARED_MEMORY(memory);
  float(*shared)[COLUMNS] = (float(*)[COLUMNS])memory;
  const int blocks = (n + COLUMNS - 1) / COLUMNS, batch = blockIdx.x / blocks, column0 = blockIdx.x % blocks * COLUMNS;
  const int warp = threadIdx.x / 32, column = column0 + threadIdx.x % 32 * VECTOR;
  const int first = blockIdx.y * each, last = first + each < k ? first + each : k;
  a += (int64)batch * m * k;
  b += batch * stride_b;
  float sums[ROWS][VECTOR] = {};
  if (inside(column, n)) {
#pragma unroll 4
    for (int depth = first + warp; inside(depth, last); depth += WARPS) {
      const Vector<INPUT> y = neighbours(b + (int64)depth * n, column, n, vectors);
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        if (!inside(r, m)) break;
        const float x = widen(a[(int64)r * k + depth]);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sums[r][i] += x * widen(y.at[i]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    if (!inside(r, m)) break;
    // The row before has been read.
    __syncthreads();
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) shared[warp][column - column0 + i] = sums[r][i];
    __syncthreads();
    const int mine = column0 + threadIdx.x;
    if (threadIdx.x >= COLUMNS || !inside(mine, n)) continue;
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < WARPS; ++i) total += shared[i][threadIdx.x];
    const int64 at = ((int64)batch * m + r) * n + mine;
    if (parts) parts[(int64)blockIdx.y * (gridDim.x / blocks) * m * n + at] = total;
    else put(out, at, total);
  }
}

// B as [n, k]: a warp has a column, a lane VECTOR neighbours of its depth at a time.
template <int ROWS>
DEVICE void by_columns(const INPUT* a, const INPUT* b, const Output& out, float*, int m, int n, int k, int64 stride_b, int vectors, int) {
  const int blocks = (n + WARPS - 1) / WARPS, batch = blockIdx.x / blocks, lane = threadIdx.x % 32;
  const int column = blockIdx.x % blocks * WARPS + threadIdx.x / 32;
  // A whole warp has one column.
  if (!inside(column, n)) return;
  a += (int64)batch * m * k;
  b += batch * stride_b + (int64)column * k;
  float sums[ROWS] = {};
#pragma unroll 2
  for (int depth = lane * VECTOR; inside(depth, k); depth += 32 * VECTOR) {
    const Vector<INPUT> y = neighbours(b, depth, k, vectors);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      if (!inside(r, m)) break;
      const Vector<INPUT> x = neighbours(a + (int64)r * k, depth, k, vectors);
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) sums[r] += widen(x.at[i]) * widen(y.at[i]);
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const float sum = lane_sum(sums[r]);
    if (lane == 0 && inside(r, m)) put(out, ((int64)batch * m + r) * n + column, sum);
  }
}

#define ENTRY(NAME, WORK, ROWS)                                                                                    \
  extern "C" __global__ void __launch_bounds__(256) NAME(                                                          \
      const INPUT* a, const INPUT* b, const void* c, void* d, int m, int n, int k, int64 stride_b, float alpha,    \
      float beta, int type, int vectors, float* parts, int each) {                                                 \
    WORK<ROWS>(a, b, {c, d, alpha, beta, type}, parts, m, n, k, stride_b, vectors, each);                          \
  }

ENTRY(gemm_few_nn_1, by_rows, 1)
ENTRY(gemm_few_nn_2, by_rows, 2)
ENTRY(gemm_few_nn_4, by_rows, 4)
ENTRY(gemm_few_nn_8, by_rows, 8)
ENTRY(gemm_few_nt_1, by_columns, 1)
ENTRY(gemm_few_nt_2, by_columns, 2)
ENTRY(gemm_few_nt_4, by_columns, 4)
ENTRY(gemm_few_nt_8, by_columns, 8)

// What `count` blocks of depth have of each element of D, added up.
#undef ENTRY
#define ENTRY(NAME)                                                                                                \
  extern "C" __global__ void __launch_bounds__(256) NAME(const float* parts, const void* c, void* d,               \
                                                         int64 elements, int count, float alpha, float beta, int type)

ENTRY(gemm_few_sum) {
  const int64 at = (int64)blockIdx.x * 256 + threadIdx.x;
  if (!inside(at, elements)) return;
  float total = 0.0f;
  for (int part = 0; part < count; ++part) total += parts[part * elements + at];
  put({c, d, alpha, beta, type}, at, total);
}
