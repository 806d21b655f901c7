// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 32
//
// y = x in another type; a thread answers for four elements.
#include "common.cuh"

template <class In, class Out>
DEVICE void cast(const In* x, Out* y, int64 count) {
  const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (inside(first + 3, count)) {
    const Pack<In, 4> from = *(const Pack<In, 4>*)(x + first);
    Pack<Out, 4> to;
#pragma unroll
    for (int i = 0; i < 4; ++i) to.at[i] = narrow<Out>(widen(from.at[i]));
    *(Pack<Out, 4>*)(y + first) = to;
  } else {
    for (int64 i = first; inside(i, count); ++i) y[i] = narrow<Out>(widen(x[i]));
  }
}

#define ENTRY(NAME, IN, OUT) \
  extern "C" __global__ void __launch_bounds__(256) NAME(const IN* x, OUT* y, int64 count) { cast<IN, OUT>(x, y, count); }

ENTRY(cast_f32_bf16, float, bf16)
ENTRY(cast_f32_f16, float, f16)
ENTRY(cast_bf16_f32, bf16, float)
ENTRY(cast_bf16_f16, bf16, f16)
ENTRY(cast_f16_f32, f16, float)
ENTRY(cast_f16_bf16, f16, bf16)
