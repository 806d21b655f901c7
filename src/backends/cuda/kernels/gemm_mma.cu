// arch: sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 168
// instructions: HMMA LDGSTS LDSM
//
// D = alpha op(A) op(B) + beta C from 16-bit elements by tensor cores, sums in f32. A block makes TILE x TILE
// elements of D, a warp 64 x 32 or 32 x 32 of them. STAGES tiles of DEPTH: one is multiplied while others
// arrive. On tiles' edges zeros stand in for what is not there.
#include "gemm.cuh"

constexpr int DEPTH = 32, STAGES = 3;

DEVICE void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (SAME<INPUT, bf16>) mma_bf16(c, a, b0, b1);
  else mma_f16(c, a, b0, b1);
}

// An operand's elements: rows of DEPTH for each line where neighbours in memory are neighbours in depth
// (ALONG), else rows of TILE for each depth. Eight elements more a row spread eight rows over all banks.
template <int TILE, bool ALONG, bool ANY>
struct Operand {
  static constexpr int ROWS = ALONG ? TILE : DEPTH, COLUMNS = ALONG ? DEPTH : TILE, STRIDE = COLUMNS + 8;
  INPUT at[ROWS * STRIDE];

  // Brings lines `line0..` and depths `depth0..`, in vectors where rows in memory are whole vectors, as they
  // are unless ANY.
  __device__ __forceinline__ void bring(const INPUT* from, int line0, int depth0, int lines, int depths, int vectors, int threads) {
    constexpr int WIDTH = 8;
    const int rows = ALONG ? lines : depths, columns = ALONG ? depths : lines;
    const int row0 = ALONG ? line0 : depth0, column0 = ALONG ? depth0 : line0;
    for (int i = threadIdx.x; i < ROWS * COLUMNS / WIDTH; i += threads) {
      const int row = i / (COLUMNS / WIDTH), column = i % (COLUMNS / WIDTH) * WIDTH;
      const INPUT* source = from + (int64)(row0 + row) * columns + column0 + column;
      INPUT* target = at + row * STRIDE + column;
      const bool row_here = inside(row0 + row, rows);
      if (!ANY || vectors) {
        copy16_async(target, source, row_here && inside(column0 + column, columns) ? 16 : 0);
      } else {
        Vector<INPUT> vector;
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
          const bool here = row_here && inside(column0 + column + j, columns);
          vector.at[j] = here ? source[j] : INPUT{0};
        }
        *(Vector<INPUT>*)target = vector;
      }
    }
  }

  // Fragments of 16 lines and 16 depths: lines 0..8 and 8..16 at depths 0..8, then at 8..16.
  __device__ __forceinline__ void lines_first(unsigned (&r)[4], int line0, int depth0) const {
    const int lane = threadIdx.x % 32;
    if constexpr (ALONG) load_matrices(r, at + (line0 + lane % 16) * STRIDE + depth0 + lane / 16 * 8);
    else load_matrices_transposed(r, at + (depth0 + lane / 16 * 8 + lane % 8) * STRIDE + line0 + lane / 8 % 2 * 8);
  }
  // The same, depths 0..8 and 8..16 of lines 0..8, then of lines 8..16.
  __device__ __forceinline__ void depths_first(unsigned (&r)[4], int line0, int depth0) const {
    const int lane = threadIdx.x % 32;
    if constexpr (ALONG) load_matrices(r, at + (line0 + lane / 16 * 8 + lane % 8) * STRIDE + depth0 + lane / 8 % 2 * 8);
    else load_matrices_transposed(r, at + (depth0 + lane % 16) * STRIDE + line0 + lane / 16 * 8);
  }
};

// WARPS_M x WARPS_N warps.
template <int TILE, int WARPS_M, int WARPS_N, bool TRANS_A, bool TRANS_B>
DEVICE void gemm(const INPUT* a, const INPUT* b, Output out, int m, int n, int k, int64 stride_b, int vectors_a, int vectors_b) {
  constexpr int THREADS = 32 * WARPS_M * WARPS_N, HEIGHT = TILE / WARPS_M, WIDTH = TILE / WARPS_N;
  constexpr int ROWS = HEIGHT / 16, COLUMNS = WIDTH / 8;
  struct Stage {
    Operand<TILE, !TRANS_A, TILE == 64> a;
    Operand<TILE, TRANS_B, TILE == 64> b;
  };
  SHARED_MEMORY(memory);
  Stage* stages = (Stage*)memory;
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = warp / WARPS_N * HEIGHT, warp_column = warp % WARPS_N * WIDTH;
  a += tile.batch * m * k;
  b += tile.batch * stride_b;
  const int count = (k + DEPTH - 1) / DEPTH;
  // An empty group keeps the count of groups that are on their way.
  auto stage = [&](int number) {
    if (number < count) {
      stages[number % STAGES].a.bring(a, row0, number * DEPTH, m, k, vectors_a, THREADS);
      stages[number % STAGES].b.bring(b, column0, number * DEPTH, n, k, vectors_b, THREADS);
    }
    copies_commit();
  };

  float sums[ROWS][COLUMNS][4] = {};
#pragma unroll 1
  for (int number = 0; number < STAGES - 1; ++number) stage(number);
  for (int number = 0; number < count; ++number) {
    copies_wait<STAGES - 2>();
    // Everybody's copies are here, and everybody is done with the stage that is brought next.
    __syncthreads();
    stage(number + STAGES - 1);
    const Stage& here = stages[number % STAGES];
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth += 16) {
      unsigned x[ROWS][4], y[COLUMNS / 2][4];
#pragma unroll
      for (int i = 0; i < ROWS; ++i) here.a.lines_first(x[i], warp_row + 16 * i, depth);
#pragma unroll
      for (int j = 0; j < COLUMNS / 2; ++j) here.b.depths_first(y[j], warp_column + 16 * j, depth);
#pragma unroll
      for (int i = 0; i < ROWS; ++i)
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) multiply(sums[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
    }
  }
  // Sixteen rows of each warp at a time go through shared memory, so that neighbours write neighbours.
  __syncthreads();
  float(*rows)[WIDTH + 4] = (float(*)[WIDTH + 4])memory + warp * 16;
#pragma unroll
  for (int i = 0; i < ROWS; ++i) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        rows[lane / 4 + part / 2 * 8][8 * j + lane % 4 * 2 + part % 2] = sums[i][j][part];
    __syncwarp();
#pragma unroll 1
    for (int at = lane; at < 16 * WIDTH; at += 32) {
      const int row = row0 + warp_row + 16 * i + at / WIDTH, column = column0 + warp_column + at % WIDTH;
      if (inside(row, m) && inside(column, n)) put(out, (tile.batch * m + row) * n + column, rows[at / WIDTH][at % WIDTH]);
    }
  }
}

#define ENTRY(NAME, TILE, WARPS_M, WARPS_N, TRANS_A, TRANS_B)                                                   \
  extern "C" __global__ void __launch_bounds__(32 * WARPS_M * WARPS_N) NAME(                                    \
      const INPUT* a, const INPUT* b, const void* c, void* d, int m, int n, int k, int64 stride_b,              \
      float alpha, float beta, int type, int vectors_a, int vectors_b) {                                        \
    gemm<TILE, WARPS_M, WARPS_N, TRANS_A, TRANS_B>(a, b, {c, d, alpha, beta, type}, m, n, k, stride_b,          \
                                                   vectors_a, vectors_b);                                       \
  }

ENTRY(gemm_mma_nn_128, 128, 2, 4, false, false)
ENTRY(gemm_mma_nt_128, 128, 2, 4, false, true)
ENTRY(gemm_mma_tn_128, 128, 2, 4, true, false)
ENTRY(gemm_mma_tt_128, 128, 2, 4, true, true)
ENTRY(gemm_mma_nn_64, 64, 2, 2, false, false)
ENTRY(gemm_mma_nt_64, 64, 2, 2, false, true)
ENTRY(gemm_mma_tn_64, 64, 2, 2, true, false)
ENTRY(gemm_mma_tt_64, 64, 2, 2, true, true)
