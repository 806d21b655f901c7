// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// One step of an optimizer. State in f32, gradients in G; outputs may be the inputs' buffers. Where `p16` is
// not null, the new parameters go there too, rounded to bf16. A thread answers for four parameters.
#include "common.cuh"



// Calls `step(part, i, width)` for the thread's parameters, four at once or, at the end, one by one.
template <class Step>
DEVICE void for_parameters(int64 count, Step step) {
  const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (inside(first + 3, count)) {
    step.template at<4>(first);
  } else {
    for (int64 i = first; inside(i, count); ++i) step.template at<1>(i);
  }
}

// m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2;
// p' = kept p - rate m' / (sqrt(v' correct2) + eps): `rate` holds the correction of m' as well, `correct2` is
// 1 / (1 - beta2^t), and `kept` 1 - rate weight_decay.
template <class G>
struct Adamw {
  const float *p, *m, *v;
  const G* g;
  float *new_p, *new_m, *new_v;
  bf16* p16;
  float beta1, rest1, beta2, rest2, rate, correct2, eps, decay;

  template <int WIDTH>
  __device__ __forceinline__ void at(int64 i) const {
    using Floats = Pack<float, WIDTH>;
    Floats p4 = *(const Floats*)(p + i), m4 = *(const Floats*)(m + i), v4 = *(const Floats*)(v + i);
    const Pack<G, WIDTH> g4 = *(const Pack<G, WIDTH>*)(g + i);
    Pack<bf16, WIDTH> narrow4;
#pragma unroll
    for (int j = 0; j < WIDTH; ++j) {
      const float grad = widen(g4.at[j]);
      m4.at[j] = beta1 * m4.at[j] + rest1 * grad;
      v4.at[j] = beta2 * v4.at[j] + rest2 * grad * grad;
      p4.at[j] = p4.at[j] - decay * p4.at[j] - rate * m4.at[j] / (sqrtf(v4.at[j] * correct2) + eps);
      narrow4.at[j] = narrow<bf16>(p4.at[j]);
    }
    *(Floats*)(new_p + i) = p4;
    *(Floats*)(new_m + i) = m4;
    *(Floats*)(new_v + i) = v4;
    if (p16) *(Pack<bf16, WIDTH>*)(p16 + i) = narrow4;
  }
};

// v' = momentum v + (g + weight_decay p); p' = p - rate v'.
template <class G>
struct Sgd {
  const float *p, *v;
  const G* g;
  float *new_p, *new_v;
  bf16* p16;
  float rate, momentum, decay;

  template <int WIDTH>
  __device__ __forceinline__ void at(int64 i) const {
    using Floats = Pack<float, WIDTH>;
    Floats p4 = *(const Floats*)(p + i), v4 = *(const Floats*)(v + i);
    const Pack<G, WIDTH> g4 = *(const Pack<G, WIDTH>*)(g + i);
    Pack<bf16, WIDTH> narrow4;
#pragma unroll
    for (int j = 0; j < WIDTH; ++j) {
      v4.at[j] = momentum * v4.at[j] + (widen(g4.at[j]) + decay * p4.at[j]);
      p4.at[j] -= rate * v4.at[j];
      narrow4.at[j] = narrow<bf16>(p4.at[j]);
    }
    *(Floats*)(new_p + i) = p4;
    *(Floats*)(new_v + i) = v4;
    if (p16) *(Pack<bf16, WIDTH>*)(p16 + i) = narrow4;
  }
};

#define ENTRY_OF(NAME) extern "C" __global__ void __launch_bounds__(256) NAME
#define ADAMW_PARAMETERS(G) (const float* p, const G* g, const float* m, const float* v, float* new_p, float* new_m, float* new_v, bf16* p16, int64 count, float beta1, float rest1, float beta2, float rest2, float rate, float correct2, float eps, float decay)
#define ADAMW(G) for_parameters(count, Adamw<G>{p, m, v, g, new_p, new_m, new_v, p16, beta1, rest1, beta2, rest2, rate, correct2, eps, decay})
#define SGD_PARAMETERS(G) (const float* p, const G* g, const float* v, float* new_p, float* new_v, bf16* p16, int64 count, float rate, float momentum, float decay)
#define SGD(G) for_parameters(count, Sgd<G>{p, v, g, new_p, new_v, p16, rate, momentum, decay})
#define ENTRY(NAME, PARAMETERS) ENTRY_OF(NAME) PARAMETERS

ENTRY(adamw_f32, ADAMW_PARAMETERS(float)) { ADAMW(float); }
ENTRY(adamw_bf16, ADAMW_PARAMETERS(bf16)) { ADAMW(bf16); }
ENTRY(adamw_f16, ADAMW_PARAMETERS(f16)) { ADAMW(f16); }
ENTRY(sgd_f32, SGD_PARAMETERS(float)) { SGD(float); }
ENTRY(sgd_bf16, SGD_PARAMETERS(bf16)) { SGD(bf16); }
ENTRY(sgd_f16, SGD_PARAMETERS(f16)) { SGD(f16); }
