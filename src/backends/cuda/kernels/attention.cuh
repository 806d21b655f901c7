// What all attentions share: o = softmax(scale q k^T) v without ever holding all scores (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018; Dao and others, "FlashAttention", 2022).
//
// A block has QUERIES queries of one head and goes through the keys by tiles. For each query it keeps the
// largest score m so far, the sum l of exp(s - m), and the weighted sum of v; a larger m scales both down.
#pragma once
#include "common.cuh"

struct Attention {
  int queries, keys, depth, width;
  float scale;
  int causal;
};

// Keys that a query sees.
DEVICE int visible(const Attention& p, int query) { return p.causal ? query + 1 + p.keys - p.queries : p.keys; }
// Keys that any of the queries up to `last` sees.
DEVICE int seen(const Attention& p, int last) {
  const int most = visible(p, last);
  return most < p.keys ? most : p.keys;
}

// Rows of `columns` elements from `from`, in f32, to rows of DEPTH + 1: the odd step spreads rows over banks.
template <int ROWS, int DEPTH, class T>
DEVICE void bring(float (*to)[DEPTH + 1], const T* from, int row0, int rows, int columns) {
  for (int i = threadIdx.x; i < ROWS * DEPTH; i += blockDim.x) {
    const int row = i / DEPTH, column = i % DEPTH;
    const bool here = inside(row0 + row, rows) && inside(column, columns);
    to[row][column] = here ? widen(from[(int64)(row0 + row) * columns + column]) : 0.0f;
  }
}
