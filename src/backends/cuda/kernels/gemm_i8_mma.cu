// arch: sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
// instructions: IMMA LDGSTS LDSM
//
// D = (A - za)(B - zb) in 32-bit integers by tensor cores: a block makes 64 x 64 elements, each of its four
// warps 32 x 32.
#include "gemm_i8.cuh"

template <bool SIGNED>
DEVICE void gemm(const Integers& p, int64 stride_b) {
  SHARED_MEMORY(shared);
  Memory& memory = *(Memory*)shared;
  const Tile tile = tile_of(blockIdx.x, (p.m + TILE - 1) / TILE, (p.n + TILE - 1) / TILE);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  int sums[2][4][4] = {};
  // Matrices of 8 lines and 16 bytes: as fragments of 8-bit elements lie, so do those of 16 bits.
  auto multiply = [&](const Lines& a, const Lines& b) {
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth += 32) {
      unsigned x[2][4], y[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        load_matrices(x[i], a.at + (warp_row + 16 * i + lane % 16) * Lines::STRIDE + depth + lane / 16 * 16);
        load_matrices(y[i], b.at + (warp_column + 16 * i + lane / 16 * 8 + lane % 8) * Lines::STRIDE + depth + lane / 8 % 2 * 16);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if constexpr (SIGNED) mma_i8(sums[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
          else mma_u8(sums[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
        }
    }
  };
  through_depths<SIGNED>(p, memory, tile, p.a + tile.batch * p.m * p.k, p.b + tile.batch * stride_b, multiply);
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        put(p, memory, tile, warp_row + 16 * i + lane / 4 + part / 2 * 8, warp_column + 8 * j + lane % 4 * 2 + part % 2, sums[i][j][part]);
}

#define ENTRY(NAME, SIGNED) \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME INTEGER_PARAMETERS { gemm<SIGNED>(INTEGERS, stride_b); }

ENTRY(gemm_i8_mma_i8, true)
ENTRY(gemm_i8_mma_u8, false)
