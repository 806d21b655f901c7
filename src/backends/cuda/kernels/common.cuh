// What all kernels share: element types, vectors of 16 bytes, bounds, sums over threads.
#pragma once
#include "ptx.cuh"

using int64 = long long;

// Whether element `index` is one of `extent`: every bounds check is a call of this.
DEVICE bool inside(int64 index, int64 extent) { return index < extent; }

// 16-bit types as their bits: no header of the toolkit is needed.
struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

DEVICE float widen(float x) { return x; }
DEVICE float widen(bf16 x) { return __int_as_float((int)x.bits << 16); }
DEVICE float widen(f16 x) { return f16_to_float(x.bits); }

template <class A, class B>
constexpr bool SAME = false;
template <class A>
constexpr bool SAME<A, A> = true;

// Rounds to nearest, ties to even.
template <class T>
DEVICE T narrow(float x) {
  if constexpr (SAME<T, float>) {
    return x;
  } else if constexpr (SAME<T, f16>) {
    return {float_to_f16(x)};
  } else {
    const unsigned bits = (unsigned)__float_as_int(x);
    // A NaN whose upper half is empty would round to infinity.
    if (x != x) return {(unsigned short)(bits >> 16 | 0x40u)};
    return {(unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
  }
}

// What one memory instruction moves at best.
template <class T>
struct __align__(16) Vector {
  static constexpr int WIDTH = 16 / sizeof(T);
  T at[WIDTH];
};

// `WIDTH` elements that are read or written together.
template <class T, int WIDTH>
struct __align__(sizeof(T) * WIDTH) Pack {
  T at[WIDTH];
};

constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr float LOWEST = -3.402823466e38f;

DEVICE float larger(float a, float b) { return a > b ? a : b; }
DEVICE float lane_sum(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
  return x;
}
DEVICE float lane_max(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x = larger(x, __shfl_xor_sync(ALL_LANES, x, offset));
  return x;
}

// Sum or maximum over the threads of a block along x, in every one of them. One warp needs no memory;
// more leave their parts in `parts`, one a warp, which all have left before the next use.
template <bool MAX>
DEVICE float row_reduce(float x, float* parts) {
  x = MAX ? lane_max(x) : lane_sum(x);
  const int warps = blockDim.x / 32;
  if (warps == 1) return x;
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = parts[0];
  for (int warp = 1; warp < warps; ++warp) x = MAX ? larger(x, parts[warp]) : x + parts[warp];
  return x;
}
