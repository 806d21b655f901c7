// arch: sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 200
// instructions: HMMA LDGSTS LDSM
//
// Attention on 16-bit elements by tensor cores, sums and softmax in f32. A block has 64 queries, a warp 16 of
// them; 64 keys a tile, of which the next arrives while one is multiplied. Weights are rounded to INPUT
// before they meet v. Depths and widths up to DEPTH; zeros stand in.
#include "attention.cuh"

constexpr int QUERIES = 64, KEYS = 64, THREADS = 128;

DEVICE void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (SAME<INPUT, bf16>) mma_bf16(c, a, b0, b1);
  else mma_f16(c, a, b0, b1);
}
DEVICE unsigned pair(float low, float high) {
  return narrow<INPUT>(low).bits | (unsigned)narrow<INPUT>(high).bits << 16;
}
// Sum or maximum over the four lanes that share a row of a fragment.
DEVICE float quad_max(float x) {
  for (int offset = 2; offset > 0; offset /= 2) x = larger(x, __shfl_xor_sync(ALL_LANES, x, offset));
  return x;
}
DEVICE float quad_sum(float x) {
  for (int offset = 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
  return x;
}

// 64 rows of DEPTH elements; eight more a row spread eight rows over all banks.
template <int DEPTH>
struct Rows {
  static constexpr int STRIDE = DEPTH + 8, WIDTH = 8;
  INPUT at[64 * STRIDE];

  // Brings rows `row0..` of `columns` elements, in vectors where they are whole vectors.
  __device__ __forceinline__ void bring(const INPUT* from, int row0, int rows, int columns) {
    const bool vectors = columns % WIDTH == 0;
    for (int i = threadIdx.x; i < 64 * DEPTH / WIDTH; i += THREADS) {
      const int row = i / (DEPTH / WIDTH), column = i % (DEPTH / WIDTH) * WIDTH;
      const INPUT* source = from + (int64)(row0 + row) * columns + column;
      INPUT* target = at + row * STRIDE + column;
      const bool row_here = inside(row0 + row, rows);
      if (vectors) {
        copy16_async(target, source, row_here && inside(column, columns) ? 16 : 0);
      } else {
        Vector<INPUT> vector;
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) vector.at[j] = row_here && inside(column + j, columns) ? source[j] : INPUT{0};
        *(Vector<INPUT>*)target = vector;
      }
    }
  }
};

template <int DEPTH>
DEVICE void attention(const INPUT* q, const INPUT* k, const INPUT* v, INPUT* o, float* log_sum_exp, Attention p) {
  constexpr int STRIDE = Rows<DEPTH>::STRIDE, STEPS = DEPTH / 16, COLUMNS = DEPTH / 8;
  SHARED_MEMORY(memory);
  Rows<DEPTH>* here_q = (Rows<DEPTH>*)memory;
  Rows<DEPTH>* here_k = here_q + 1;  // two tiles
  Rows<DEPTH>* here_v = here_k + 2;  // two tiles
  const int tiles = (p.queries + QUERIES - 1) / QUERIES;
  const int64 head = blockIdx.x / tiles;
  const int query0 = (int)(blockIdx.x - head * tiles) * QUERIES;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  q += head * p.queries * p.depth;
  k += head * p.keys * p.depth;
  v += head * p.keys * p.width;
  auto tile = [&](int number) {
    here_k[number % 2].bring(k, number * KEYS, p.keys, p.depth);
    here_v[number % 2].bring(v, number * KEYS, p.keys, p.width);
    copies_commit();
  };

  here_q->bring(q, query0, p.queries, p.depth);
  tile(0);
  unsigned x[STEPS][4];
  float most[2] = {LOWEST, LOWEST}, sum[2] = {}, answer[COLUMNS][4] = {};
  const int count = (seen(p, query0 + QUERIES - 1) + KEYS - 1) / KEYS;
  for (int number = 0; number < count; ++number) {
    copies_wait<0>();
    // Everybody's copies are here, and everybody is done with the tile that is brought next.
    __syncthreads();
    if (number + 1 < count) tile(number + 1);
    const INPUT* tile_k = here_k[number % 2].at;
    const INPUT* tile_v = here_v[number % 2].at;
    if (number == 0) {
#pragma unroll
      for (int step = 0; step < STEPS; ++step) load_matrices(x[step], here_q->at + (warp * 16 + lane % 16) * STRIDE + step * 16 + lane / 16 * 8);
    }
    float scores[KEYS / 8][4] = {};
#pragma unroll
    for (int j = 0; j < KEYS / 16; ++j)
#pragma unroll
      for (int step = 0; step < STEPS; ++step) {
        unsigned y[4];
        load_matrices(y, tile_k + (j * 16 + lane / 16 * 8 + lane % 8) * STRIDE + step * 16 + lane / 8 % 2 * 8);
        multiply(scores[2 * j], x[step], y[0], y[1]);
        multiply(scores[2 * j + 1], x[step], y[2], y[3]);
      }
    // A lane holds two rows of scores: eight apart, two neighbours of each eight keys.
    float shrink[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int end_of_query = visible(p, query0 + warp * 16 + lane / 4 + half * 8);
      float larger_most = most[half];
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int key = number * KEYS + j * 8 + lane % 4 * 2 + i;
          float& score = scores[j][half * 2 + i];
          score = inside(key, end_of_query) ? score * p.scale : LOWEST;
          larger_most = larger(larger_most, score);
        }
      larger_most = quad_max(larger_most);
      shrink[half] = expf(most[half] - larger_most);
      most[half] = larger_most;
      sum[half] *= shrink[half];
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& score = scores[j][half * 2 + i];
          score = score == LOWEST ? 0.0f : expf(score - larger_most);
          sum[half] += score;
        }
    }
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
      for (int part = 0; part < 4; ++part) answer[j][part] *= shrink[part / 2];
    // Two neighbouring tiles of scores are one fragment of weights.
#pragma unroll
    for (int step = 0; step < KEYS / 16; ++step) {
      const float(&left)[4] = scores[2 * step], (&right)[4] = scores[2 * step + 1];
      const unsigned w[4] = {pair(left[0], left[1]), pair(left[2], left[3]), pair(right[0], right[1]), pair(right[2], right[3])};
#pragma unroll
      for (int j = 0; j < COLUMNS / 2; ++j) {
        unsigned y[4];
        load_matrices_transposed(y, tile_v + (step * 16 + lane % 16) * STRIDE + j * 16 + lane / 16 * 8);
        multiply(answer[2 * j], w, y[0], y[1]);
        multiply(answer[2 * j + 1], w, y[2], y[3]);
      }
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float total = quad_sum(sum[half]);
    const int query = query0 + warp * 16 + lane / 4 + half * 8;
    if (!inside(query, p.queries)) continue;
    const int64 row = head * p.queries + query;
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int column = j * 8 + lane % 4 * 2 + i;
        if (inside(column, p.width)) o[row * p.width + column] = narrow<INPUT>(answer[j][half * 2 + i] / total);
      }
    if (log_sum_exp && lane % 4 == 0) log_sum_exp[row] = most[half] + logf(total);
  }
}

#define ENTRY(NAME, DEPTH)                                                                                      \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(                                                   \
      const INPUT* q, const INPUT* k, const INPUT* v, INPUT* o, float* log_sum_exp, int queries, int keys,      \
      int depth, int width, float scale, int causal) {                                                          \
    attention<DEPTH>(q, k, v, o, log_sum_exp, {queries, keys, depth, width, scale, causal});                    \
  }

ENTRY(attention_mma_32, 32)
ENTRY(attention_mma_64, 64)
ENTRY(attention_mma_128, 128)
