// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 48
//
// Ops that answer element by element.
#include "map.cuh"

// x/2 (1 + erf(x / sqrt 2)).
DEVICE float gelu_erf(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
DEVICE float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

DEVICE float relu(float x) { return x > 0.0f ? x : 0.0f; }

#define ENTRY(NAME, T) extern "C" __global__ void __launch_bounds__(256) NAME(const T* x, const T* y, T* z, int64 count, int64 columns, float scale)

#define ADD map(x, y, z, count, [](float a, float b, int) { return a + b; })
#define TRIAD map(x, y, z, count, [=](float a, float b, int) { return a + scale * b; })
#define BIAS(FORM) biased(x, x, y, z, count, columns, [](float a, float, float bias) { return FORM(a + bias); })
#define MAP(FORM) map(x, x, z, count, [](float a, float, int) { return FORM(a); })
#define SCALE map(x, x, z, count, [=](float a, float, int) { return scale * a; })

ENTRY(add_f32, float) { ADD; }
ENTRY(add_bf16, bf16) { ADD; }
ENTRY(add_f16, f16) { ADD; }
ENTRY(triad_f32, float) { TRIAD; }
ENTRY(triad_bf16, bf16) { TRIAD; }
ENTRY(triad_f16, f16) { TRIAD; }
ENTRY(bias_add_f32, float) { BIAS(); }
ENTRY(bias_add_bf16, bf16) { BIAS(); }
ENTRY(bias_add_f16, f16) { BIAS(); }
ENTRY(gelu_erf_f32, float) { MAP(gelu_erf); }
ENTRY(gelu_erf_bf16, bf16) { MAP(gelu_erf); }
ENTRY(gelu_erf_f16, f16) { MAP(gelu_erf); }
ENTRY(gelu_tanh_f32, float) { MAP(gelu_tanh); }
ENTRY(gelu_tanh_bf16, bf16) { MAP(gelu_tanh); }
ENTRY(gelu_tanh_f16, f16) { MAP(gelu_tanh); }
ENTRY(bias_gelu_erf_f32, float) { BIAS(gelu_erf); }
ENTRY(bias_gelu_erf_bf16, bf16) { BIAS(gelu_erf); }
ENTRY(bias_gelu_erf_f16, f16) { BIAS(gelu_erf); }
ENTRY(bias_gelu_tanh_f32, float) { BIAS(gelu_tanh); }
ENTRY(bias_gelu_tanh_bf16, bf16) { BIAS(gelu_tanh); }
ENTRY(bias_gelu_tanh_f16, f16) { BIAS(gelu_tanh); }
ENTRY(relu_f32, float) { MAP(relu); }
ENTRY(relu_bf16, bf16) { MAP(relu); }
ENTRY(relu_f16, f16) { MAP(relu); }
ENTRY(bias_relu_f32, float) { BIAS(relu); }
ENTRY(bias_relu_bf16, bf16) { BIAS(relu); }
ENTRY(bias_relu_f16, f16) { BIAS(relu); }
ENTRY(tanh_f32, float) { MAP(tanhf); }
ENTRY(tanh_bf16, bf16) { MAP(tanhf); }
ENTRY(tanh_f16, f16) { MAP(tanhf); }
ENTRY(scale_f32, float) { SCALE; }
ENTRY(scale_bf16, bf16) { SCALE; }
ENTRY(scale_f16, f16) { SCALE; }
