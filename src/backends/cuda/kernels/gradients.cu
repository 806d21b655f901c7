// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// Gradients that are answered element by element: dx = dy slope(x), where x is the forward pass's argument or, for
// relu and tanh, its answer.
#include "map.cuh"

DEVICE float relu_slope(float y) { return y > 0.0f ? 1.0f : 0.0f; }
DEVICE float tanh_slope(float y) { return 1.0f - y * y; }
// (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi).
DEVICE float gelu_erf_slope(float x) {
  return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}
// (1 + t) / 2 + x/2 (1 - t^2) u', with t = tanh(u) and u = sqrt(2/pi) (x + 0.044715 x^3).
DEVICE float gelu_tanh_slope(float x) {
  const float t = tanhf(0.79788456f * (x + 0.044715f * x * x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 0.134145f * x * x);
}

#define ENTRY(NAME, T) extern "C" __global__ void __launch_bounds__(256) NAME(const T* dy, const T* x, const T* bias, T* dx, int64 count, int64 columns)

#define EACH(SLOPE) map(dy, x, dx, count, [](float a, float b, int) { return a * SLOPE(b); })
#define BIASED(SLOPE) biased(dy, x, bias, dx, count, columns, [](float a, float b, float bias) { return a * SLOPE(b + bias); })

ENTRY(relu_grad_f32, float) { EACH(relu_slope); }
ENTRY(relu_grad_bf16, bf16) { EACH(relu_slope); }
ENTRY(relu_grad_f16, f16) { EACH(relu_slope); }
ENTRY(tanh_grad_f32, float) { EACH(tanh_slope); }
ENTRY(tanh_grad_bf16, bf16) { EACH(tanh_slope); }
ENTRY(tanh_grad_f16, f16) { EACH(tanh_slope); }
ENTRY(gelu_grad_erf_f32, float) { EACH(gelu_erf_slope); }
ENTRY(gelu_grad_erf_bf16, bf16) { EACH(gelu_erf_slope); }
ENTRY(gelu_grad_erf_f16, f16) { EACH(gelu_erf_slope); }
ENTRY(gelu_grad_tanh_f32, float) { EACH(gelu_tanh_slope); }
ENTRY(gelu_grad_tanh_bf16, bf16) { EACH(gelu_tanh_slope); }
ENTRY(gelu_grad_tanh_f16, f16) { EACH(gelu_tanh_slope); }
ENTRY(bias_gelu_grad_erf_f32, float) { BIASED(gelu_erf_slope); }
ENTRY(bias_gelu_grad_erf_bf16, bf16) { BIASED(gelu_erf_slope); }
ENTRY(bias_gelu_grad_erf_f16, f16) { BIASED(gelu_erf_slope); }
ENTRY(bias_gelu_grad_tanh_f32, float) { BIASED(gelu_tanh_slope); }
ENTRY(bias_gelu_grad_tanh_bf16, bf16) { BIASED(gelu_tanh_slope); }
ENTRY(bias_gelu_grad_tanh_f16, f16) { BIASED(gelu_tanh_slope); }
