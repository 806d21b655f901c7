// arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100
// registers: 64
//
// The same elements elsewhere, bit for bit: in another order, or rows written into matrices. Elements are counted in
// words of 2, 4 or 16 bytes, the largest that runs and rows are whole numbers of; a thread moves one.
#include "common.cuh"

// Up to eight buffers, one after another, each of `each` words.
template <class T>
struct Pieces {
  T* of[8];
};

// The buffer with a word, without an array in local memory.
template <class T>
DEVICE T* piece(const Pieces<T>& pieces, int number) {
  T* found = pieces.of[0];
#pragma unroll
  for (int i = 1; i < 8; ++i)
    if (i == number) found = pieces.of[i];
  return found;
}

// Axes of the answer, in runs: extents, and how far apart neighbours were.
struct Axes {
  int extents[6];
  int64 strides[6];
};

template <class T>
DEVICE void rearrange(const Pieces<const T>& x, const Pieces<T>& y, int64 count, int64 each_x, int64 each_y, int64 len, const Axes& axes) {
  const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
  if (!inside(at, count)) return;
  int64 run = at / len, source = 0;
#pragma unroll
  for (int axis = 5; axis >= 0; --axis) {
    source += run % axes.extents[axis] * axes.strides[axis];
    run /= axes.extents[axis];
  }
  const int64 from = source * len + at % len;
  piece(y, at / each_y)[at % each_y] = piece(x, from / each_x)[from % each_x];
}

// Rows `first` on of each matrix of `rows` rows come from r, which has `fresh` for each; a row is `columns` words.
// Where x is y, the others are where they belong.
template <class T>
DEVICE void put_rows(const T* x, const T* r, T* y, int64 count, int64 rows, int64 fresh, int64 columns, int64 first) {
  const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
  if (!inside(at, count)) return;
  const int64 row = at / columns % rows - first, matrix = at / columns / rows;
  if (row >= 0 && row < fresh)
    y[at] = r[(matrix * fresh + row) * columns + at % columns];
  else if (x != y)
    y[at] = x[at];
}

struct __align__(16) Word16 { unsigned at[4]; };

#define ENTRY(NAME, ...) extern "C" __global__ void __launch_bounds__(256) NAME(__VA_ARGS__)
#define EIGHT(T, P) T *P##0, T *P##1, T *P##2, T *P##3, T *P##4, T *P##5, T *P##6, T *P##7
#define ALL(P) {{P##0, P##1, P##2, P##3, P##4, P##5, P##6, P##7}}
#define ARGUMENTS \
  int64 count, int64 each_x, int64 each_y, int64 len, int e0, int e1, int e2, int e3, int e4, int e5, int64 s0, \
      int64 s1, int64 s2, int64 s3, int64 s4, int64 s5
#define AXES {{e0, e1, e2, e3, e4, e5}, {s0, s1, s2, s3, s4, s5}}
#define SIZES int64 count, int64 rows, int64 fresh, int64 columns, int64 first

ENTRY(rearrange_2, EIGHT(const unsigned short, x), EIGHT(unsigned short, y), ARGUMENTS) { rearrange<unsigned short>(ALL(x), ALL(y), count, each_x, each_y, len, AXES); }
ENTRY(rearrange_4, EIGHT(const unsigned, x), EIGHT(unsigned, y), ARGUMENTS) { rearrange<unsigned>(ALL(x), ALL(y), count, each_x, each_y, len, AXES); }
ENTRY(rearrange_16, EIGHT(const Word16, x), EIGHT(Word16, y), ARGUMENTS) { rearrange<Word16>(ALL(x), ALL(y), count, each_x, each_y, len, AXES); }
ENTRY(put_rows_2, const unsigned short* x, const unsigned short* r, unsigned short* y, SIZES) { put_rows(x, r, y, count, rows, fresh, columns, first); }
ENTRY(put_rows_4, const unsigned* x, const unsigned* r, unsigned* y, SIZES) { put_rows(x, r, y, count, rows, fresh, columns, first); }
ENTRY(put_rows_16, const Word16* x, const Word16* r, Word16* y, SIZES) { put_rows(x, r, y, count, rows, fresh, columns, first); }
