// arch: sm_90a
// registers: 168
//
// What Hopper's tensor cores can do at best: products of both groups of a block on operands that stay in shared memory,
// in a loop that nothing else limits.
#include "common.cuh"
#include "hopper.cuh"

// 64 lines of one operand and 256 of the other, in rows of 128 bytes.
constexpr int LINES = 64, COLUMNS = 256, ROW_BYTES = 128;

DEVICE void multiply(float (&c)[32][4], unsigned long long a, unsigned long long b, bf16) { product_bf16<false, false>(c, a, b); }
DEVICE void multiply(float (&c)[32][4], unsigned long long a, unsigned long long b, f16) { product_f16<false, false>(c, a, b); }
DEVICE void multiply(int (&c)[32][4], unsigned long long a, unsigned long long b, signed char) { product_i8(c, a, b); }

template <class Element, class Sum>
DEVICE void probe(float* sink, int rounds, unsigned seed) {
  SHARED_MEMORY(memory);
  for (int i = threadIdx.x; i < (LINES + COLUMNS) * ROW_BYTES / 4; i += blockDim.x)
    ((unsigned*)memory)[i] = (seed + i) * 2654435761u & 0xbfffbfffu;
  operands_ready();
  __syncthreads();
  Sum c[32][4] = {};
#pragma unroll 1
  for (int round = 0; round < rounds; ++round) {
    products_begin();
#pragma unroll
    for (int part = 0; part < 4; ++part)
      multiply(c, operand_at(memory + 32 * part, 0, 8 * ROW_BYTES), operand_at(memory + LINES * ROW_BYTES + 32 * part, 0, 8 * ROW_BYTES), Element{});
    products_commit();
    products_wait<1>();
  }
  products_wait<0>();
  Sum sum = 0;
#pragma unroll
  for (int i = 0; i < 32; ++i) sum += c[i][0] + c[i][1] + c[i][2] + c[i][3];
  // A condition that never holds, and that the compiler cannot know.
  if (sum == (Sum)-12345) sink[threadIdx.x] = 1.0f;
}

#define ENTRY(NAME, ELEMENT, SUM) \
  extern "C" __global__ void __launch_bounds__(256) NAME(float* sink, int rounds, unsigned seed) { probe<ELEMENT, SUM>(sink, rounds, seed); }

ENTRY(probe_wgmma_bf16, bf16, float)
ENTRY(probe_wgmma_f16, f16, float)
ENTRY(probe_wgmma_i8, signed char, int)
