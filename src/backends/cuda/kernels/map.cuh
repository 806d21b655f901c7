// What element-wise kernels share: arithmetic in f32, a thread for 16 bytes.
#pragma once
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

// z = answer(x, y, the bias of its column); one division a thread finds the first column.
template <class T, class Answer>
DEVICE void biased(const T* x, const T* y, const T* bias, T* z, int64 count, int64 columns, Answer answer) {
  const int64 first = first_of<T>() % columns;
  map(x, y, z, count, [=](float a, float b, int i) {
    int64 column = first + i;
    while (column >= columns) column -= columns;
    return answer(a, b, widen(bias[column]));
  });
}
