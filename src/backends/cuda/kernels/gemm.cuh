// What all products share: the order of tiles, and D = alpha sum + beta C in the type of D.
#pragma once
#include "common.cuh"

// Tiles are numbered so that blocks that run together share rows and columns: columns of GROUP tiles each.
struct Tile {
  int row, column;
  int64 batch;
};
DEVICE Tile tile_of(int64 block, int rows, int columns) {
  constexpr int GROUP = 8;
  const int64 tiles = (int64)rows * columns, batch = block / tiles, tile = block - batch * tiles;
  const int64 group = tile / ((int64)GROUP * columns), within = tile - group * GROUP * columns;
  const int height = rows - (int)group * GROUP < GROUP ? rows - (int)group * GROUP : GROUP;
  return {(int)(group * GROUP + within % height), (int)(within / height), batch};
}

// Types of C and D.
constexpr int AS_F32 = 0, AS_BF16 = 1, AS_F16 = 2;

struct Output {
  const void* c;
  void* d;
  float alpha, beta;
  int type;
};

template <class T>
DEVICE void put_as(const Output& out, int64 at, float sum) {
  float x = out.alpha * sum;
  if (out.beta != 0.0f) x += out.beta * widen(((const T*)out.c)[at]);
  ((T*)out.d)[at] = narrow<T>(x);
}
DEVICE void put(const Output& out, int64 at, float sum) {
  if (out.type == AS_F32) put_as<float>(out, at, sum);
  else if (out.type == AS_BF16) put_as<bf16>(out, at, sum);
  else put_as<f16>(out, at, sum);
}
