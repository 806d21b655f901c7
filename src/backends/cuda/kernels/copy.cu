// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 32
//
// y = x, bit for bit: a thread copies 16 bytes, the last one what is left.
#include "common.cuh"

#define ENTRY(NAME) extern "C" __global__ void __launch_bounds__(256) NAME

ENTRY(copy_bytes)(const unsigned char* x, unsigned char* y, int64 bytes) {
  const int64 at = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 16;
  if (inside(at + 15, bytes)) {
    *(Vector<unsigned char>*)(y + at) = *(const Vector<unsigned char>*)(x + at);
  } else {
    for (int64 i = at; inside(i, bytes); ++i) y[i] = x[i];
  }
}
