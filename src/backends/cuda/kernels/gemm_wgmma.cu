// arch: sm_90a
// registers: 168
// instructions: HGMMA UTMALDG
//
// D = alpha op(A) op(B) + beta C from 16-bit elements by Hopper's tensor cores, which read shared memory themselves,
// sums in f32. A block makes HEIGHT x WIDTH elements of D: two groups of four warps multiply, 64 rows each; one thread
// more has the tensor memory accelerator bring tiles of DEPTH, STAGES of them ahead. Where the operands end it brings
// zeros.
#include "gemm.cuh"
#include "hopper.cuh"

constexpr int HEIGHT = 128, DEPTH = 64, GROUPS = 2, THREADS = 128 * (GROUPS + 1);
// Elements and bytes of a row in shared memory, over which the accelerator swizzles.
constexpr int ROW = 64, ROW_BYTES = 128;

template <bool ACROSS_A, bool ACROSS_B, int COLUMNS>
DEVICE void multiply(float (&c)[COLUMNS][4], unsigned long long a, unsigned long long b) {
  if constexpr (SAME<INPUT, bf16>) product_bf16<ACROSS_A, ACROSS_B>(c, a, b);
  else product_f16<ACROSS_A, ACROSS_B>(c, a, b);
}

// An operand's tile: a row of DEPTH for each line where neighbours in memory are neighbours in depth (ALONG), else
// for each group of ROW lines a row of them for each depth.
template <int LINES, bool ALONG>
struct Operand {
  static constexpr int BYTES = LINES * DEPTH * sizeof(INPUT), GROUP_BYTES = DEPTH * ROW_BYTES;

  static __device__ __forceinline__ void bring(unsigned char* to, const TensorMap& map, int line0, int depth0, int batch, Barrier* here) {
    if constexpr (ALONG) {
      tile_async(to, map, depth0, line0, batch, here);
    } else {
      for (int line = 0; line < LINES; line += ROW)
        tile_async(to + line / ROW * GROUP_BYTES, map, line0 + line, depth0, batch, here);
    }
  }
  // Lines from `line` on, a multiple of ROW, and 16 depths from `depth` on.
  static __device__ __forceinline__ unsigned long long at(const unsigned char* tile, int line, int depth) {
    const int byte = ALONG ? line * ROW_BYTES + depth * (int)sizeof(INPUT) : line / ROW * GROUP_BYTES + depth * ROW_BYTES;
    return operand_at(tile + byte, GROUP_BYTES, 8 * ROW_BYTES);
  }
};

// Sixteen rows of sums, which lie `STRIDE` apart, to D: neighbours write neighbours, in vectors where rows of D are
// whole ones.
template <class T, int WIDTH, int STRIDE>
DEVICE void store(const Output& out, const float* sums, int64 first, int row0, int column0, int m, int n) {
  constexpr int PART = 8;
  const bool vectors = n % PART == 0;
#pragma unroll 1
  for (int at = threadIdx.x % 32 * PART; at < 16 * WIDTH; at += 32 * PART) {
    const int row = row0 + at / WIDTH, column = column0 + at % WIDTH;
    const float* from = sums + at / WIDTH * STRIDE + at % WIDTH;
    const int64 to = first + (int64)row * n + column;
    if (!inside(row, m)) continue;
    if (vectors && out.beta == 0.0f) {
      if (!inside(column, n)) continue;
      Pack<T, PART> part;
#pragma unroll
      for (int i = 0; i < PART; ++i) part.at[i] = narrow<T>(out.alpha * from[i]);
      *(Pack<T, PART>*)((T*)out.d + to) = part;
    } else {
      for (int i = 0; i < PART; ++i)
        if (inside(column + i, n)) put_as<T>(out, to + i, from[i]);
    }
  }
}

template <int WIDTH, int STAGES, bool TRANS_A, bool TRANS_B>
DEVICE void gemm(const TensorMap& a, const TensorMap& b, const Output& out, int m, int n, int k, int shared_b) {
  using A = Operand<HEIGHT, !TRANS_A>;
  using B = Operand<WIDTH, TRANS_B>;
  constexpr int STAGE = A::BYTES + B::BYTES, COLUMNS = WIDTH / 8, STRIDE = WIDTH + 8;
  SHARED_MEMORY(memory);
  Barrier* const full = (Barrier*)(memory + STAGES * STAGE);
  Barrier* const empty = full + STAGES;
  const Tile tile = tile_of(blockIdx.x, (m + HEIGHT - 1) / HEIGHT, (n + WIDTH - 1) / WIDTH);
  const int row0 = tile.row * HEIGHT, column0 = tile.column * WIDTH;
  const int group = threadIdx.x / 128, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int count = (k + DEPTH - 1) / DEPTH;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < STAGES; ++stage) {
      barrier_init(full + stage, 1);
      barrier_init(empty + stage, 4 * GROUPS);
    }
    barriers_ready();
  }
  __syncthreads();
  float sums[COLUMNS][4] = {};
  if (threadIdx.x == 128 * GROUPS) {
#pragma unroll 1
    for (int number = 0; number < count; ++number) {
      const int stage = number % STAGES;
      unsigned char* const to = memory + stage * STAGE;
      barrier_wait(empty + stage, number / STAGES % 2 ^ 1);
      barrier_expect(full + stage, STAGE);
      A::bring(to, a, row0, number * DEPTH, (int)tile.batch, full + stage);
      B::bring(to + A::BYTES, b, column0, number * DEPTH, shared_b ? 0 : (int)tile.batch, full + stage);
    }
  } else if (group < GROUPS) {
#pragma unroll 1
    for (int number = 0; number < count; ++number) {
      const int stage = number % STAGES;
      const unsigned char* const from = memory + stage * STAGE;
      barrier_wait(full + stage, number / STAGES % 2);
      products_begin();
#pragma unroll
      for (int depth = 0; depth < DEPTH; depth += 16)
        multiply<TRANS_A, !TRANS_B>(sums, A::at(from, 64 * group, depth), B::at(from + A::BYTES, 0, depth));
      products_commit();
      // One batch is on its way while the stage of the one before is given back.
      products_wait<1>();
      if (number > 0 && lane == 0) barrier_arrive(empty + (number - 1) % STAGES);
    }
    products_wait<0>();
  }
  // Everybody is done with the stages, which take the sums of each warp's sixteen rows.
  __syncthreads();
  if (group == GROUPS) return;
  float* const rows = (float*)memory + warp * 16 * STRIDE;
#pragma unroll
  for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
    for (int part = 0; part < 2; ++part)
      *(Pack<float, 2>*)(rows + (lane / 4 + 8 * part) * STRIDE + 8 * j + lane % 4 * 2) = {sums[j][2 * part], sums[j][2 * part + 1]};
  __syncwarp();
  const int64 first = tile.batch * m * n;
  if (out.type == AS_F32) store<float, WIDTH, STRIDE>(out, rows, first, row0 + 16 * warp, column0, m, n);
  else if (out.type == AS_BF16) store<bf16, WIDTH, STRIDE>(out, rows, first, row0 + 16 * warp, column0, m, n);
  else store<f16, WIDTH, STRIDE>(out, rows, first, row0 + 16 * warp, column0, m, n);
}

#define ENTRY(NAME, WIDTH, STAGES, TRANS_A, TRANS_B)                                                             \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(TENSOR_MAP(a), TENSOR_MAP(b), const void* c,        \
                                                             void* d, int m, int n, int k, int shared_b,         \
                                                             float alpha, float beta, int type) {                \
    gemm<WIDTH, STAGES, TRANS_A, TRANS_B>(a, b, {c, d, alpha, beta, type}, m, n, k, shared_b);                   \
  }

ENTRY(gemm_wgmma_nn_256, 256, 4, false, false)
ENTRY(gemm_wgmma_nt_256, 256, 4, false, true)
ENTRY(gemm_wgmma_tn_256, 256, 4, true, false)
ENTRY(gemm_wgmma_tt_256, 256, 4, true, true)
ENTRY(gemm_wgmma_nn_128, 128, 5, false, false)
ENTRY(gemm_wgmma_nt_128, 128, 5, false, true)
ENTRY(gemm_wgmma_tn_128, 128, 5, true, false)
ENTRY(gemm_wgmma_tt_128, 128, 5, true, true)
