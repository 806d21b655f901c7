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
