// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// Ops that answer element by element; arithmetic in f32. A thread answers for 16 bytes.
#include "common.cuh"

// The first element that a thread answers for.
template <class T>
DEVICE int64 first_of() {
  return ((int64)blockIdx.x * blockDim.x + threadIdx.x) * Vector<T>::WIDTH;
}

// z = answer(x, y, number of the element after the thread's first).
template <class T, class Answer>
DEVICE void map(const T* x, const T* y, T* z, int64 count, Answer answer) {
  constexpr int WIDTH = Vector<T>::WIDTH;
  const int64 first = first_of<T>();
  if (inside(first + WIDTH - 1, count)) {
    const Vector<T> a = *(const Vector<T>*)(x + first), b = *(const Vector<T>*)(y + first);
    Vector<T> c;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) c.at[i] = narrow<T>(answer(widen(a.at[i]), widen(b.at[i]), i));
    *(Vector<T>*)(z + first) = c;
  } else {
    for (int64 i = first; inside(i, count); ++i) z[i] = narrow<T>(answer(widen(x[i]), widen(y[i]), (int)(i - first)));
  }
}

// x/2 (1 + erf(x / sqrt 2)).
DEVICE float gelu_erf(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
DEVICE float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

// z = answer(x + the bias of its column); one division a thread finds the first column.
template <class T, class Answer>
DEVICE void biased(const T* x, const T* bias, T* z, int64 count, int64 columns, Answer answer) {
  const int64 first = first_of<T>() % columns;
  map(x, x, z, count, [=](float a, float, int i) {
    int64 column = first + i;
    while (column >= columns) column -= columns;
    return answer(a + widen(bias[column]));
  });
}

#define ENTRY(NAME, T) extern "C" __global__ void __launch_bounds__(256) NAME(const T* x, const T* y, T* z, int64 count, int64 columns, float scale)

#define ADD map(x, y, z, count, [](float a, float b, int) { return a + b; })
#define TRIAD map(x, y, z, count, [=](float a, float b, int) { return a + scale * b; })
#define GELU(FORM) map(x, x, z, count, [](float a, float, int) { return FORM(a); })
#define BIAS(FORM) biased(x, y, z, count, columns, [](float a) { return FORM(a); })

ENTRY(add_f32, float) { ADD; }
ENTRY(add_bf16, bf16) { ADD; }
ENTRY(add_f16, f16) { ADD; }
ENTRY(triad_f32, float) { TRIAD; }
ENTRY(triad_bf16, bf16) { TRIAD; }
ENTRY(triad_f16, f16) { TRIAD; }
ENTRY(bias_add_f32, float) { BIAS(); }
ENTRY(bias_add_bf16, bf16) { BIAS(); }
ENTRY(bias_add_f16, f16) { BIAS(); }
ENTRY(gelu_erf_f32, float) { GELU(gelu_erf); }
ENTRY(gelu_erf_bf16, bf16) { GELU(gelu_erf); }
ENTRY(gelu_erf_f16, f16) { GELU(gelu_erf); }
ENTRY(gelu_tanh_f32, float) { GELU(gelu_tanh); }
ENTRY(gelu_tanh_bf16, bf16) { GELU(gelu_tanh); }
ENTRY(gelu_tanh_f16, f16) { GELU(gelu_tanh); }
ENTRY(bias_gelu_erf_f32, float) { BIAS(gelu_erf); }
ENTRY(bias_gelu_erf_bf16, bf16) { BIAS(gelu_erf); }
ENTRY(bias_gelu_erf_f16, f16) { BIAS(gelu_erf); }
ENTRY(bias_gelu_tanh_f32, float) { BIAS(gelu_tanh); }
ENTRY(bias_gelu_tanh_bf16, bf16) { BIAS(gelu_tanh); }
ENTRY(bias_gelu_tanh_f16, f16) { BIAS(gelu_tanh); }
