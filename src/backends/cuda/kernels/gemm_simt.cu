// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// arch INPUT=bf16: sm_75
// arch INPUT=f16: sm_75
// registers: 168
//
// D = alpha op(A) op(B) + beta C by multiply-adds in f32.
#include "simt.cuh"

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

template <class T, int TILE, bool TRANS_A, bool TRANS_B>
DEVICE void gemm(const T* a, const T* b, Output out, int m, int n, int k, int64 stride_b, int vectors_a, int vectors_b) {
  const Tile tile = tile_of(blockIdx.x, (m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
  const int row0 = tile.row * TILE, column0 = tile.column * TILE;
  a += tile.batch * m * k;
  b += tile.batch * stride_b;
  auto both = [&](int number, Stage<TILE>& stage_a, Stage<TILE>& stage_b) {
    bring<T, TILE, !TRANS_A>(stage_a, a, row0, number * DEPTH, m, k, vectors_a);
    bring<T, TILE, TRANS_B>(stage_b, b, column0, number * DEPTH, n, k, vectors_b);
  };
  auto keep = [&](int row, int column, float sum) { put(out, (tile.batch * m + row) * n + column, sum); };
  multiply<TILE>((k + DEPTH - 1) / DEPTH, row0, column0, m, n, both, keep);
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
