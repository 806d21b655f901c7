// arch: sm_75
// registers: 128
// instructions: IDP
//
// D = (A - za)(B - zb) in 32-bit integers by dot products of four bytes, for cards whose tensor cores lack
// m16n8k32: a block makes 64 x 64 elements, a thread 8 x 4 of them.
#include "gemm_i8.cuh"

template <bool SIGNED>
DEVICE void gemm(const Integers& p, int64 stride_b) {
  SHARED_MEMORY(shared);
  Memory& memory = *(Memory*)shared;
  const Tile tile = tile_of(blockIdx.x, (p.m + TILE - 1) / TILE, (p.n + TILE - 1) / TILE);
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  int sums[8][4] = {};
  auto multiply = [&](const Lines& a, const Lines& b) {
#pragma unroll 4
    for (int word = 0; word < DEPTH / 4; ++word) {
      int x[8], y[4];
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = (int)a.words(ty + 8 * i)[word];
#pragma unroll
      for (int j = 0; j < 4; ++j) y[j] = (int)b.words(tx + 16 * j)[word];
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          sums[i][j] = SIGNED ? dot_i8(x[i], y[j], sums[i][j]) : dot_u8(x[i], y[j], sums[i][j]);
    }
  };
  through_depths<SIGNED>(p, memory, tile, p.a + tile.batch * p.m * p.k, p.b + tile.batch * stride_b, multiply);
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) put(p, memory, tile, ty + 8 * i, tx + 16 * j, sums[i][j]);
}

#define ENTRY(NAME, SIGNED) \
  extern "C" __global__ void __launch_bounds__(THREADS, 4) NAME INTEGER_PARAMETERS { gemm<SIGNED>(INTEGERS, stride_b); }

ENTRY(gemm_i8_dot_i8, true)
ENTRY(gemm_i8_dot_u8, false)
