// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 128
//
// What the card can do at best, each in a loop that nothing else limits. Results go to `sink` under a condition
// that never holds and that the compiler cannot know, so that nothing is left out.
#define ENTRY(NAME) extern "C" __global__ void __launch_bounds__(256) NAME

// f32 multiply-adds in registers: CHAINS independent ones, because each waits for its own last result.
constexpr int CHAINS = 16;

ENTRY(probe_fma)(float* sink, int rounds, float a, float b) {
  float x[CHAINS];
  for (int i = 0; i < CHAINS; ++i) x[i] = threadIdx.x + i;
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) x[i] = fmaf(x[i], a, b);
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; ++i) sum += x[i];
  if (sum == -1.0f) sink[threadIdx.x] = sum;
}

// Tensor cores by mma.sync, the widest shape of each type; TILES independent accumulators of a warp.
constexpr int TILES = 8;

#if __CUDA_ARCH__ >= 800
#define MMA_FLOAT(NAME, TYPE)                                                                                 \
  ENTRY(NAME)(float* sink, int rounds, unsigned seed) {                                                       \
    unsigned a[4], b[2];                                                                                      \
    for (int i = 0; i < 4; ++i) a[i] = seed + threadIdx.x * 2654435761u + i;                                  \
    for (int i = 0; i < 2; ++i) b[i] = seed ^ (threadIdx.x * 40503u + i);                                     \
    float d[TILES][4] = {};                                                                                   \
    for (int round = 0; round < rounds; ++round) {                                                            \
      _Pragma("unroll") for (int i = 0; i < TILES; ++i)                                                       \
          asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 "                         \
                       "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                \
                       : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])                           \
                       : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }                                                                                                         \
    float sum = 0;                                                                                            \
    for (int i = 0; i < TILES; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];                             \
    if (sum == -1.0f) sink[threadIdx.x] = sum;                                                                \
  }
MMA_FLOAT(probe_mma_bf16, "bf16")
MMA_FLOAT(probe_mma_f16, "f16")

ENTRY(probe_mma_i8)(float* sink, int rounds, unsigned seed) {
  unsigned a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = seed + threadIdx.x * 2654435761u + i;
  for (int i = 0; i < 2; ++i) b[i] = seed ^ (threadIdx.x * 40503u + i);
  int d[TILES][4] = {};
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < TILES; ++i)
      asm volatile(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+r"(d[i][0]), "+r"(d[i][1]), "+r"(d[i][2]), "+r"(d[i][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
  int sum = 0;
  for (int i = 0; i < TILES; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  if (sum == 12345) sink[threadIdx.x] = sum;
}
#endif

// Reads `vectors` times 16 bytes, `rounds` times over: of a footprint within the last-level cache, or beyond it.
ENTRY(probe_read)(const uint4* x, float* sink, long long vectors, int rounds) {
  const long long step = (long long)gridDim.x * blockDim.x;
  uint4 all = make_uint4(0, 0, 0, 0);
  for (int round = 0; round < rounds; ++round) {
#pragma unroll 4
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors; i += step) {
      // Not by the first-level cache, which is another ceiling.
      uint4 v;
      asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(x + i));
      all.x ^= v.x, all.y ^= v.y, all.z ^= v.z, all.w ^= v.w;
    }
  }
  if ((all.x ^ all.y ^ all.z ^ all.w) == 0x9e3779b9u) sink[threadIdx.x] = 1.0f;
}

// Reads of shared memory, a warp's 512 bytes after another's.
ENTRY(probe_shared)(float* sink, int rounds) {
  __shared__ uint4 words[256];
  words[threadIdx.x] = make_uint4(threadIdx.x, rounds, 0, 1);
  __syncthreads();
  uint4 all = make_uint4(0, 0, 0, 0);
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const unsigned at = (unsigned)__cvta_generic_to_shared(words + (threadIdx.x + 32 * i) % 256);
      uint4 v;
      asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at));
      all.x ^= v.x, all.y ^= v.y, all.z ^= v.z, all.w ^= v.w;
    }
  }
  if ((all.x ^ all.y ^ all.z ^ all.w) == 0x9e3779b9u) sink[threadIdx.x] = 1.0f;
}

ENTRY(probe_copy)(const uint4* x, uint4* y, long long vectors) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors; i += step) y[i] = x[i];
}

// a = b + s c
ENTRY(probe_triad)(float4* a, const float4* b, const float4* c, float s, long long vectors) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors; i += step) {
    const float4 x = b[i], y = c[i];
    a[i] = make_float4(x.x + s * y.x, x.y + s * y.y, x.z + s * y.z, x.w + s * y.w);
  }
}

ENTRY(probe_nothing)() {}
