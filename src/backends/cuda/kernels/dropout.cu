// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// y = x / (1 - rate) where an element stays, else 0. Whether it stays is drawn by its number (SplitMix64), so that a
// mask is the same on every backend and in the backward pass.
#include "map.cuh"

using uint64 = unsigned long long;
constexpr uint64 GAMMA = 0x9E3779B97F4A7C15ull;

DEVICE uint64 mix(uint64 z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

template <class T>
DEVICE void dropout(const T* x, const int* step, T* y, int64 count, int64 seed, unsigned threshold, float factor) {
  const uint64 key = mix((uint64)seed + ((uint64)(unsigned)*step + 1) * GAMMA);
  const int64 first = first_of<T>();
  map(x, x, y, count, [=](float a, float, int i) {
    const bool stays = (unsigned)(mix(key + (uint64)(first + i + 1) * GAMMA) >> 40) >= threshold;
    return stays ? a * factor : 0.0f;
  });
}

#define ENTRY(NAME, T)                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) NAME(const T* x, const int* step, T* y, int64 count,        \
                                                         int64 seed, unsigned threshold, float factor) {        \
    dropout<T>(x, step, y, count, seed, threshold, factor);                                                     \
  }

ENTRY(dropout_f32, float)
ENTRY(dropout_bf16, bf16)
ENTRY(dropout_f16, f16)
