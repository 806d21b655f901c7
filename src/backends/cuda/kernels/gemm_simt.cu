// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// arch INPUT=bf16: sm_75
// arch INPUT=f16: sm_75
// registers: 168
//
// D = alpha op(A) op(B) + beta C by multiply-adds in f32. A block makes TILE x TILE elements of D, a thread
// EACH x EACH of them in registers. Two stages of DEPTH: while one is multiplied, the other arrives. On tiles'
// edges zeros stand in for what is not there.
#include "gemm.cuh"

constexpr int DEPTH = 16, THREADS = 256, STAGES = 2;

// Elements [depth][line] of an operand whose lines are rows of A or columns of B; four more elements a row
// keep vectors aligned and spread the columns over banks.
template <int TILE>
using Stage = float[DEPTH][TILE + 4];

// Brings lines `line0..` and depths `depth0..`. ALONG: neighbours in memory are neighbours in depth.
template <class T, int TILE, bool ALONG>
DEVICE void bring(Stage<TILE>& stage, const T* from, int line0, int depth0, int lines, int depths, int vectors) {
  if (SAME<T, float> && !ALONG && vectors) {
    for (int i = threadIdx.x; i < TILE * DEPTH / 4; i += THREADS) {
      const int line = i % (TILE / 4) * 4, depth = i / (TILE / 4);
      const bool here = inside(line0 + line, lines) && inside(depth0 + depth, depths);
      copy16_async(&stage[depth][line], from + (int64)(depth0 + depth) * lines + line0 + line, here ? 16 : 0);
    }
    return;
  }
#pragma unroll 1
  for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
    const int line = ALONG ? i / DEPTH : i % TILE, depth = ALONG ? i % DEPTH : i / TILE;
    const bool here = inside(line0 + line, lines) && inside(depth0 + depth, depths);
    const T* at = from + (ALONG ? (int64)(line0 + line) * depths + depth0 + depth : (int64)(depth0 + depth) * lines + line0 + line);
    if constexpr (SAME<T, float>) copy4_async(&stage[depth][line], at, here ? 4 : 0);
    else stage[depth][line] = here ? widen(*at) : 0.0f;
  }
}

// A thread's lines: groups of four, TILE / groups apart.
template <int TILE, int EACH>
DEVICE int line_of(int thread, int i) {
  return i / 4 * (TILE * 4 / EACH) + thread * 4 + i % 4;
}

template <class T, int TILE, bool TRANS_A, bool TRANS_B>
DEVICE void gemm(const T* a, const T* b, Output out, int m, int n, int k, int64 stride_b, int vectors_a, int vectors_b) {
  constexpr int EACH = TILE / 16;
  SHARED_MEMORY(memory);
  Stage<TILE>* stages_a = (Stage<TILE>*)memory;
  Stage<TILE>* stages_b = stages_a + STAGES;
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  a += tile.batch * m * k;
  b += tile.batch * stride_b;
  auto stage = [&](int number) {
    bring<T, TILE, !TRANS_A>(stages_a[number % STAGES], a, row0, number * DEPTH, m, k, vectors_a);
    bring<T, TILE, TRANS_B>(stages_b[number % STAGES], b, column0, number * DEPTH, n, k, vectors_b);
    copies_commit();
  };

  float sums[EACH][EACH] = {};
  const int count = (k + DEPTH - 1) / DEPTH;
  stage(0);
  for (int number = 0; number < count; ++number) {
    copies_wait<0>();
    // Everybody's copies are here, and everybody is done with the stage that is brought next.
    __syncthreads();
    if (number + 1 < count) stage(number + 1);
    const Stage<TILE>& here_a = stages_a[number % STAGES];
    const Stage<TILE>& here_b = stages_b[number % STAGES];
#pragma unroll 2
    for (int depth = 0; depth < DEPTH; ++depth) {
      float x[EACH], y[EACH];
#pragma unroll
      for (int i = 0; i < EACH; i += 4) {
        *(Vector<float>*)&x[i] = *(const Vector<float>*)&here_a[depth][line_of<TILE, EACH>(ty, i)];
        *(Vector<float>*)&y[i] = *(const Vector<float>*)&here_b[depth][line_of<TILE, EACH>(tx, i)];
      }
#pragma unroll
      for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) sums[i][j] += x[i] * y[j];
    }
  }
  // One row of each thread at a time goes through shared memory, so that neighbours write neighbours.
  float(*rows)[TILE + 4] = (float(*)[TILE + 4])memory;
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    __syncthreads();
#pragma unroll
    for (int j = 0; j < EACH; ++j) rows[ty][line_of<TILE, EACH>(tx, j)] = sums[i][j];
    __syncthreads();
#pragma unroll 1
    for (int at = threadIdx.x; at < 16 * TILE; at += THREADS) {
      const int row = row0 + line_of<TILE, EACH>(at / TILE, i), column = column0 + at % TILE;
      if (inside(row, m) && inside(column, n)) put(out, (tile.batch * m + row) * n + column, rows[at / TILE][at % TILE]);
    }
  }
}

#define ENTRY(NAME, TILE, TRANS_A, TRANS_B)                                                                     \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) NAME(                                                \
      const INPUT* a, const INPUT* b, const void* c, void* d, int m, int n, int k, int64 stride_b,              \
      float alpha, float beta, int type, int vectors_a, int vectors_b) {                                        \
    gemm<INPUT, TILE, TRANS_A, TRANS_B>(a, b, {c, d, alpha, beta, type}, m, n, k, stride_b, vectors_a, vectors_b); \
  }

ENTRY(gemm_simt_nn_128, 128, false, false)
ENTRY(gemm_simt_nt_128, 128, false, true)
ENTRY(gemm_simt_tn_128, 128, true, false)
ENTRY(gemm_simt_nn_64, 64, false, false)
ENTRY(gemm_simt_nt_64, 64, false, true)
ENTRY(gemm_simt_tn_64, 64, true, false)
ENTRY(gemm_simt_tt_64, 64, true, true)
