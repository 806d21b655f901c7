// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
//
// Gradients of attention by its log-sum-exp (Dao, "FlashAttention-2", 2023, algorithm 2), by multiply-adds in f32:
//   P = exp(scale q k^T - lse), D = the sum of dy y in each row, dS = scale P (dy v^T - D)
//   dv = P^T dy, dk = dS^T q, dq = dS k
// One kernel has keys and goes through the queries, the other has queries and goes through the keys; both make the
// scores anew, and no sum depends on the order of blocks. 256 threads as 16 x 16; zeros stand in for what is not there.
#include "attention.cuh"

constexpr int KEYS = 32, THREADS = 256;

// What a block keeps in shared memory, and the head it is for.
template <int QUERIES, int DEPTH>
struct Head {
  float (*q)[DEPTH + 1], (*dy)[DEPTH + 1], (*k)[DEPTH + 1], (*v)[DEPTH + 1], (*weights)[KEYS + 1], (*slopes)[KEYS + 1];
  const INPUT *all_dy, *all_q, *all_k, *all_v, *all_y;
  const float* log_sum_exps;

  __device__ __forceinline__ Head(float* memory, int64 head, const INPUT* dy0, const INPUT* q0, const INPUT* k0,
                                  const INPUT* v0, const INPUT* y0, const float* lse0, const Attention& p) {
    q = (float(*)[DEPTH + 1])memory;
    dy = q + QUERIES;
    k = dy + QUERIES;
    v = k + KEYS;
    weights = (float(*)[KEYS + 1])(v + KEYS);
    slopes = weights + QUERIES;
    all_dy = dy0 + head * p.queries * p.width;
    all_y = y0 + head * p.queries * p.width;
    all_q = q0 + head * p.queries * p.depth;
    all_k = k0 + head * p.keys * p.depth;
    all_v = v0 + head * p.keys * p.width;
    log_sum_exps = lse0 + head * p.queries;
  }

  __device__ __forceinline__ void bring_queries(int query0, const Attention& p) {
    bring<QUERIES, DEPTH>(q, all_q, query0, p.queries, p.depth);
    bring<QUERIES, DEPTH>(dy, all_dy, query0, p.queries, p.width);
  }
  __device__ __forceinline__ void bring_keys(int key0, const Attention& p) {
    bring<KEYS, DEPTH>(k, all_k, key0, p.keys, p.depth);
    bring<KEYS, DEPTH>(v, all_v, key0, p.keys, p.width);
  }

  // P and dS of the tiles that are here. A thread row has every 16th query, a thread column every 16th key.
  __device__ __forceinline__ void score(int query0, int key0, const Attention& p) {
    constexpr int ROWS = QUERIES / 16;
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    float scores[ROWS][KEYS / 16] = {}, products[ROWS][KEYS / 16] = {};
#pragma unroll 4
    for (int at = 0; at < DEPTH; ++at) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i)
#pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) {
          scores[i][j] += q[ty + 16 * i][at] * k[tx + 16 * j][at];
          products[i][j] += dy[ty + 16 * i][at] * v[tx + 16 * j][at];
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
      const int query = query0 + ty + 16 * i;
      const bool here = inside(query, p.queries);
      float sum = 0.0f;
      if (here)
        for (int at = tx; at < p.width; at += 16) sum += dy[ty + 16 * i][at] * widen(all_y[(int64)query * p.width + at]);
      // A query's sixteen threads are half a warp.
      for (int offset = 8; offset > 0; offset /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
      const float log_sum_exp = here ? log_sum_exps[query] : 0.0f;
      const int end = visible(p, query);
#pragma unroll
      for (int j = 0; j < KEYS / 16; ++j) {
        const bool seen = here && inside(key0 + tx + 16 * j, end);
        const float weight = seen ? expf(p.scale * scores[i][j] - log_sum_exp) : 0.0f;
        weights[ty + 16 * i][tx + 16 * j] = weight;
        slopes[ty + 16 * i][tx + 16 * j] = p.scale * weight * (products[i][j] - sum);
      }
    }
  }
};

// dk and dv of KEYS keys.
template <int QUERIES, int DEPTH>
DEVICE void of_keys(Head<QUERIES, DEPTH> here, int64 head, int key0, INPUT* dk, INPUT* dv, const Attention& p) {
  constexpr int ROWS = KEYS / 16, COLUMNS = DEPTH / 16;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  float of_k[ROWS][COLUMNS] = {}, of_v[ROWS][COLUMNS] = {};
  here.bring_keys(key0, p);
  // Queries before the first that sees the first key add nothing.
  const int before = p.causal ? max(key0 - p.keys + p.queries, 0) : 0;
  for (int query0 = before / QUERIES * QUERIES; query0 < p.queries; query0 += QUERIES) {
    // Everybody is done with the last tile.
    __syncthreads();
    here.bring_queries(query0, p);
    __syncthreads();
    here.score(query0, key0, p);
    __syncthreads();
#pragma unroll 2
    for (int query = 0; query < QUERIES; ++query) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i) {
        const float weight = here.weights[query][ty * ROWS + i], slope = here.slopes[query][ty * ROWS + i];
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
          of_k[i][j] += slope * here.q[query][tx + 16 * j];
          of_v[i][j] += weight * here.dy[query][tx + 16 * j];
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS; ++i) {
    const int key = key0 + ty * ROWS + i;
    if (!inside(key, p.keys)) continue;
    const int64 row = head * p.keys + key;
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      const int column = tx + 16 * j;
      if (inside(column, p.depth)) dk[row * p.depth + column] = narrow<INPUT>(of_k[i][j]);
      if (inside(column, p.width)) dv[row * p.width + column] = narrow<INPUT>(of_v[i][j]);
    }
  }
}

// dq of QUERIES queries.
template <int QUERIES, int DEPTH>
DEVICE void of_queries(Head<QUERIES, DEPTH> here, int64 head, int query0, INPUT* dq, const Attention& p) {
  constexpr int ROWS = QUERIES / 16, COLUMNS = DEPTH / 16;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  float of_q[ROWS][COLUMNS] = {};
  here.bring_queries(query0, p);
  const int end = seen(p, query0 + QUERIES - 1);
  for (int key0 = 0; key0 < end; key0 += KEYS) {
    // Everybody is done with the last tile.
    __syncthreads();
    here.bring_keys(key0, p);
    __syncthreads();
    here.score(query0, key0, p);
    __syncthreads();
#pragma unroll 2
    for (int key = 0; key < KEYS; ++key) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i) {
        const float slope = here.slopes[ty * ROWS + i][key];
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) of_q[i][j] += slope * here.k[key][tx + 16 * j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS; ++i) {
    const int query = query0 + ty * ROWS + i;
    if (!inside(query, p.queries)) continue;
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      const int column = tx + 16 * j;
      if (inside(column, p.depth)) dq[(head * p.queries + query) * p.depth + column] = narrow<INPUT>(of_q[i][j]);
    }
  }
}

// `of_keys`: the block has keys, and writes dk and dv; otherwise queries, and dq.
template <bool OF_KEYS, int QUERIES, int DEPTH>
DEVICE void attention_grad(const INPUT* dy, const INPUT* q, const INPUT* k, const INPUT* v, const INPUT* y, const float* log_sum_exps, INPUT* first, INPUT* second, const Attention& p) {
  SHARED_MEMORY(memory);
  constexpr int OWN = OF_KEYS ? KEYS : QUERIES;
  const int tiles = ((OF_KEYS ? p.keys : p.queries) + OWN - 1) / OWN;
  const int64 head = blockIdx.x / tiles;
  const int own0 = (int)(blockIdx.x - head * tiles) * OWN;
  const Head<QUERIES, DEPTH> here((float*)memory, head, dy, q, k, v, y, log_sum_exps, p);
  if constexpr (OF_KEYS) {
    of_keys<QUERIES, DEPTH>(here, head, own0, first, second, p);
  } else {
    of_queries<QUERIES, DEPTH>(here, head, own0, first, p);
  }
}

#define ENTRY(NAME, OF_KEYS, QUERIES, DEPTH)                                                                     \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(                                                    \
      const INPUT* dy, const INPUT* q, const INPUT* k, const INPUT* v, const INPUT* y, const float* log_sum_exps, \
      INPUT* first, INPUT* second, int queries, int keys, int depth, int width, float scale, int causal) {       \
    attention_grad<OF_KEYS, QUERIES, DEPTH>(dy, q, k, v, y, log_sum_exps, first, second,                         \
                                            {queries, keys, depth, width, scale, causal});                       \
  }

ENTRY(attention_grad_keys_32, true, 32, 32)
ENTRY(attention_grad_keys_64, true, 32, 64)
ENTRY(attention_grad_keys_128, true, 16, 128)
ENTRY(attention_grad_queries_32, false, 32, 32)
ENTRY(attention_grad_queries_64, false, 32, 64)
ENTRY(attention_grad_queries_128, false, 16, 128)
