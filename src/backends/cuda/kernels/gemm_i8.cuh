// What both products of 8-bit integers share: tiles in shared memory, and zero points.
//
// D = (A - za)(B - zb): sums of a b, and where a zero point is not 0 also the sums of each line of both
// operands: sum (a - za)(b - zb) = sum a b - zb sum a - za sum b + k za zb. Integers wrap, and the answer
// fits 32 bits, so the order of sums is free.
#pragma once
#include "gemm.cuh"

constexpr int TILE = 64, DEPTH = 64, THREADS = 128;

// Lines of DEPTH bytes, whatever their order in memory: instructions take four neighbours in depth. Sixteen
// bytes more a line spread eight lines over all banks.
struct Lines {
  static constexpr int STRIDE = DEPTH + 16;
  unsigned char at[TILE * STRIDE];

  // Brings lines `line0..` and depths `depth0..`; zeros stand in for what is not there. `along`: neighbours in
  // memory are neighbours in depth; `vectors`: and rows in memory are whole vectors.
  __device__ __forceinline__ void bring(const unsigned char* from, int line0, int depth0, int lines, int depths, bool along, int vectors) {
    if (along && vectors) {
      for (int i = threadIdx.x; i < TILE * DEPTH / 16; i += THREADS) {
        const int line = i / (DEPTH / 16), depth = i % (DEPTH / 16) * 16;
        const bool here = inside(line0 + line, lines) && inside(depth0 + depth, depths);
        copy16_async(at + line * STRIDE + depth, from + (int64)(line0 + line) * depths + depth0 + depth, here ? 16 : 0);
      }
      return;
    }
    const int64 line_step = along ? depths : 1, depth_step = along ? 1 : lines;
    for (int i = threadIdx.x; i < TILE * DEPTH / 4; i += THREADS) {
      const int line = along ? i / (DEPTH / 4) : i % TILE, depth = (along ? i % (DEPTH / 4) : i / TILE) * 4;
      const bool line_here = inside(line0 + line, lines);
      const unsigned char* source = from + (line0 + line) * line_step + (depth0 + depth) * depth_step;
      unsigned word = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j)
        if (line_here && inside(depth0 + depth + j, depths)) word |= (unsigned)source[j * depth_step] << 8 * j;
      *(unsigned*)(at + line * STRIDE + depth) = word;
    }
  }

  __device__ __forceinline__ const unsigned* words(int line) const { return (const unsigned*)(at + line * STRIDE); }
};

struct Integers {
  const unsigned char *a, *b;
  int* d;
  int m, n, k, zero_a, zero_b;
  int along_a, along_b, vectors_a, vectors_b;
};

struct Memory {
  Lines a[2], b[2];
  int sums[2][TILE];  // of the lines of A and of B
};

// Runs through the depths: `multiply(a, b)` for each pair of tiles. A thread adds up one line as well.
template <bool SIGNED, class Multiply>
DEVICE void through_depths(const Integers& p, Memory& memory, const Tile& tile, const unsigned char* a, const unsigned char* b, Multiply multiply) {
  auto stage = [&](int number) {
    memory.a[number % 2].bring(a, tile.row * TILE, number * DEPTH, p.m, p.k, p.along_a, p.vectors_a);
    memory.b[number % 2].bring(b, tile.column * TILE, number * DEPTH, p.n, p.k, p.along_b, p.vectors_b);
    copies_commit();
  };
  const bool has_zeros = p.zero_a != 0 || p.zero_b != 0;
  const int line = threadIdx.x % TILE, operand = threadIdx.x / TILE, count = (p.k + DEPTH - 1) / DEPTH;
  int sum = 0;
  stage(0);
  for (int number = 0; number < count; ++number) {
    copies_wait<0>();
    // Everybody's copies are here, and everybody is done with the stage that is brought next.
    __syncthreads();
    if (number + 1 < count) stage(number + 1);
    multiply(memory.a[number % 2], memory.b[number % 2]);
    if (has_zeros) {
      const unsigned* words = operand ? memory.b[number % 2].words(line) : memory.a[number % 2].words(line);
      for (int i = 0; i < DEPTH / 4; ++i)
        sum = operand || SIGNED ? dot_i8((int)words[i], 0x01010101, sum) : dot_u8((int)words[i], 0x01010101, sum);
    }
  }
  memory.sums[operand][line] = sum;
  __syncthreads();
}

DEVICE void put(const Integers& p, const Memory& memory, const Tile& tile, int row, int column, int sum) {
  const int i = tile.row * TILE + row, j = tile.column * TILE + column;
  if (!inside(i, p.m) || !inside(j, p.n)) return;
  const int zeros = p.k * p.zero_a * p.zero_b - p.zero_b * memory.sums[0][row] - p.zero_a * memory.sums[1][column];
  p.d[(tile.batch * p.m + i) * p.n + j] = sum + zeros;
}

#define INTEGER_PARAMETERS                                                                                     \
  (const unsigned char* a, const unsigned char* b, int* d, int m, int n, int k, int64 stride_b, int zero_a,     \
   int zero_b, int along_a, int along_b, int vectors_a, int vectors_b)
#define INTEGERS {a, b, d, m, n, k, zero_a, zero_b, along_a, along_b, vectors_a, vectors_b}
