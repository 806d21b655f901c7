// A product by multiply-adds in f32. A block makes TILE x TILE elements, a thread EACH x EACH of them in
// registers. Two stages of DEPTH: while one is multiplied, the other arrives. On tiles' edges zeros stand in for
// what is not there.
#pragma once
#include "gemm.cuh"

constexpr int DEPTH = 16, THREADS = 256, STAGES = 2;

// Elements [depth][line] of an operand whose lines are rows of A or columns of B; four more elements a row
// keep vectors aligned and spread the columns over banks.
template <int TILE>
using Stage = float[DEPTH][TILE + 4];

// A thread's lines: groups of four, TILE / groups apart.
template <int TILE, int EACH>
DEVICE int line_of(int thread, int i) {
  return i / 4 * (TILE * 4 / EACH) + thread * 4 + i % 4;
}

// `bring(number, a, b)` begins to bring stage `number` of both operands, of `count`; `keep(row, column, sum)` gets
// each sum of the tile that begins at row0 and column0 and lies within m rows and n columns.
template <int TILE, class Bring, class Keep>
DEVICE void multiply(int count, int row0, int column0, int m, int n, Bring bring, Keep keep) {
  constexpr int EACH = TILE / 16;
  SHARED_MEMORY(memory);
  Stage<TILE>* stages_a = (Stage<TILE>*)memory;
  Stage<TILE>* stages_b = stages_a + STAGES;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  auto stage = [&](int number) {
    bring(number, stages_a[number % STAGES], stages_b[number % STAGES]);
    copies_commit();
  };

  float sums[EACH][EACH] = {};
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
      if (inside(row, m) && inside(column, n)) keep(row, column, rows[at / TILE][at % TILE]);
    }
  }
}
