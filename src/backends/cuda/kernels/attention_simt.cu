// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// arch INPUT=bf16: sm_75
// arch INPUT=f16: sm_75
// registers: 128
//
// Attention by multiply-adds in f32. 256 threads as 16 x 16: a thread row has QUERIES / 16 queries, a thread
// column every 16th key and every 16th column of the answer. Depths and widths up to DEPTH; zeros stand in.
#include "attention.cuh"

constexpr int KEYS = 32, THREADS = 256;

template <int QUERIES, int DEPTH>
DEVICE void attention(const INPUT* q, const INPUT* k, const INPUT* v, INPUT* o, float* log_sum_exp, Attention p) {
  constexpr int ROWS = QUERIES / 16, COLUMNS = DEPTH / 16;
  SHARED_MEMORY(memory);
  float(*here_q)[DEPTH + 1] = (float(*)[DEPTH + 1])memory;
  float(*here_k)[DEPTH + 1] = here_q + QUERIES;
  float(*here_v)[DEPTH + 1] = here_k + KEYS;
  float(*weights)[KEYS + 1] = (float(*)[KEYS + 1])(here_v + KEYS);
  const int tiles = (p.queries + QUERIES - 1) / QUERIES;
  const int64 head = blockIdx.x / tiles;
  const int query0 = (int)(blockIdx.x - head * tiles) * QUERIES;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  q += head * p.queries * p.depth;
  k += head * p.keys * p.depth;
  v += head * p.keys * p.width;

  bring<QUERIES, DEPTH>(here_q, q, query0, p.queries, p.depth);
  float most[ROWS], sum[ROWS] = {}, answer[ROWS][COLUMNS] = {};
#pragma unroll
  for (int i = 0; i < ROWS; ++i) most[i] = LOWEST;
  const int end = seen(p, query0 + QUERIES - 1);
  for (int key0 = 0; key0 < end; key0 += KEYS) {
    // Everybody is done with the last tile.
    __syncthreads();
    bring<KEYS, DEPTH>(here_k, k, key0, p.keys, p.depth);
    bring<KEYS, DEPTH>(here_v, v, key0, p.keys, p.width);
    __syncthreads();
    float scores[ROWS][KEYS / 16] = {};
#pragma unroll 4
    for (int depth = 0; depth < DEPTH; ++depth) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i)
#pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) scores[i][j] += here_q[ty * ROWS + i][depth] * here_k[tx + 16 * j][depth];
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
      const int query = query0 + ty * ROWS + i, end_of_query = visible(p, query);
      float larger_most = most[i];
#pragma unroll
      for (int j = 0; j < KEYS / 16; ++j) {
        const int key = key0 + tx + 16 * j;
        scores[i][j] = inside(key, end_of_query) ? scores[i][j] * p.scale : LOWEST;
        larger_most = larger(larger_most, scores[i][j]);
      }
      // A query's sixteen threads are half a warp.
      for (int offset = 8; offset > 0; offset /= 2) larger_most = larger(larger_most, __shfl_xor_sync(ALL_LANES, larger_most, offset));
      const float shrink = expf(most[i] - larger_most);
      most[i] = larger_most;
      sum[i] *= shrink;
#pragma unroll
      for (int j = 0; j < KEYS / 16; ++j) {
        const float weight = scores[i][j] == LOWEST ? 0.0f : expf(scores[i][j] - larger_most);
        sum[i] += weight;
        weights[ty * ROWS + i][tx + 16 * j] = weight;
      }
#pragma unroll
      for (int j = 0; j < COLUMNS; ++j) answer[i][j] *= shrink;
    }
    __syncwarp();
#pragma unroll 4
    for (int key = 0; key < KEYS; ++key) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i) {
        const float weight = weights[ty * ROWS + i][key];
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) answer[i][j] += weight * here_v[key][tx + 16 * j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS; ++i) {
    for (int offset = 8; offset > 0; offset /= 2) sum[i] += __shfl_xor_sync(ALL_LANES, sum[i], offset);
    const int query = query0 + ty * ROWS + i;
    if (!inside(query, p.queries)) continue;
    const int64 row = head * p.queries + query;
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      const int column = tx + 16 * j;
      if (inside(column, p.width)) o[row * p.width + column] = narrow<INPUT>(answer[i][j] / sum[i]);
    }
    if (log_sum_exp && tx == 0) log_sum_exp[row] = most[i] + logf(sum[i]);
  }
}

#define ENTRY(NAME, QUERIES, DEPTH)                                                                             \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(                                                   \
      const INPUT* q, const INPUT* k, const INPUT* v, INPUT* o, float* log_sum_exp, int queries, int keys,      \
      int depth, int width, float scale, int causal) {                                                          \
    attention<QUERIES, DEPTH>(q, k, v, o, log_sum_exp, {queries, keys, depth, width, scale, causal});           \
  }

ENTRY(attention_simt_32, 64, 32)
ENTRY(attention_simt_64, 64, 64)
ENTRY(attention_simt_128, 32, 128)
