// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// Rows of a table by their ids, and the gradient of the table. A warp has a row, or a block where rows are long.
#include "common.cuh"

template <class T, int WIDTH>
DEVICE void embedding(const T* table, const int* ids, T* y, int64 rows, int64 columns) {
  using Few = Pack<T, WIDTH>;
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const T* from = table + ids[row] * columns;
#pragma unroll 1
  for (int64 column = threadIdx.x * WIDTH; inside(column, columns); column += blockDim.x * WIDTH)
    *(Few*)(y + row * columns + column) = *(const Few*)(from + column);
}

// The first row of dy with an id adds up all that have it, upwards, so that an answer never changes; the table holds
// zeros before.
template <class T>
DEVICE void embedding_grad(const T* dy, const int* ids, float* dtable, int64 rows, int64 columns) {
  const int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
  if (!inside(row, rows)) return;
  const int id = ids[row];
#pragma unroll 1
  for (int64 other = 0; other < row; ++other)
    if (ids[other] == id) return;
#pragma unroll 1
  for (int64 column = threadIdx.x; inside(column, columns); column += blockDim.x) {
    float sum = 0.0f;
#pragma unroll 1
    for (int64 other = row; other < rows; ++other)
      if (ids[other] == id) sum += widen(dy[other * columns + column]);
    dtable[id * columns + column] = sum;
  }
}

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(512) NAME(__VA_ARGS__)

ENTRY(embedding_f32_x1, const float* table, const int* ids, float* y, int64 rows, int64 columns) { embedding<float, 1>(table, ids, y, rows, columns); }
ENTRY(embedding_f32_x4, const float* table, const int* ids, float* y, int64 rows, int64 columns) { embedding<float, 4>(table, ids, y, rows, columns); }
ENTRY(embedding_bf16_x1, const bf16* table, const int* ids, bf16* y, int64 rows, int64 columns) { embedding<bf16, 1>(table, ids, y, rows, columns); }
ENTRY(embedding_bf16_x4, const bf16* table, const int* ids, bf16* y, int64 rows, int64 columns) { embedding<bf16, 4>(table, ids, y, rows, columns); }
ENTRY(embedding_f16_x1, const f16* table, const int* ids, f16* y, int64 rows, int64 columns) { embedding<f16, 1>(table, ids, y, rows, columns); }
ENTRY(embedding_f16_x4, const f16* table, const int* ids, f16* y, int64 rows, int64 columns) { embedding<f16, 4>(table, ids, y, rows, columns); }
ENTRY(embedding_grad_f32, const float* dy, const int* ids, float* dtable, int64 rows, int64 columns) { embedding_grad<float>(dy, ids, dtable, rows, columns); }
ENTRY(embedding_grad_bf16, const bf16* dy, const int* ids, float* dtable, int64 rows, int64 columns) { embedding_grad<bf16>(dy, ids, dtable, rows, columns); }
ENTRY(embedding_grad_f16, const f16* dy, const int* ids, float* dtable, int64 rows, int64 columns) { embedding_grad<f16>(dy, ids, dtable, rows, columns); }

ENTRY(zeros, float* y, int64 count) {
  const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
  if (inside(at, count)) y[at] = 0.0f;
}
