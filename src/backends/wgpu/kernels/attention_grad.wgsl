// Gradients of attention by its log-sum-exp (Dao, "FlashAttention-2", 2023, algorithm 2), by multiply-adds in f32:
//   P = exp(scale q k^T - lse), D = the sum of dy y in each row, dS = scale P (dy v^T - D)
//   dv = P^T dy, dk = dS^T q, dq = dS k
// One entry has keys and goes through the queries, the other has queries and goes through the keys; both make the scores
// anew, and no sum depends on the order of workgroups. Zeros stand in for what is not there.
struct Numbers { queries: u32, keys: u32, depth: u32, width: u32, heads: u32, causal: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> dy: array<X>;
@group(0) @binding(1) var<storage, read> q: array<X>;
@group(0) @binding(2) var<storage, read> k: array<X>;
@group(0) @binding(3) var<storage, read> v: array<X>;
@group(0) @binding(4) var<storage, read> y: array<X>;
@group(0) @binding(5) var<storage, read> log_sum_exps: array<f32>;
@group(0) @binding(6) var<storage, read_write> dq: array<X>;
@group(0) @binding(7) var<storage, read_write> dk: array<X>;
@group(0) @binding(8) var<storage, read_write> dv: array<X>;
@group(0) @binding(9) var<uniform> numbers: Numbers;

const STEP: u32 = DEPTH + 1u;
var<workgroup> here_q: array<f32, QUERIES * STEP>;
var<workgroup> here_dy: array<f32, QUERIES * STEP>;
var<workgroup> here_k: array<f32, KEYS * STEP>;
var<workgroup> here_v: array<f32, KEYS * STEP>;
var<workgroup> weights: array<f32, QUERIES * KEYS>;
var<workgroup> slopes: array<f32, QUERIES * KEYS>;
var<workgroup> products: array<f32, QUERIES>;

fn visible(query: u32) -> u32 {
  if (numbers.causal > 0u) { return query + 1u + numbers.keys - numbers.queries; }
  return numbers.keys;
}

fn bring_queries(head: u32, query0: u32, lane: u32) {
  for (var i = lane; i < QUERIES * DEPTH; i += GROUP) {
    let row = query0 + i / DEPTH;
    let column = i % DEPTH;
    let first = head * numbers.queries + row;
    var value = 0.0;
    var slope = 0.0;
    if (row < numbers.queries && column < numbers.depth) { value = f32(q[first * numbers.depth + column]); }
    if (row < numbers.queries && column < numbers.width) { slope = f32(dy[first * numbers.width + column]); }
    here_q[i / DEPTH * STEP + column] = value;
    here_dy[i / DEPTH * STEP + column] = slope;
  }
  if (lane < QUERIES) {
    var sum = 0.0;
    let row = query0 + lane;
    let first = (head * numbers.queries + row) * numbers.width;
    if (row < numbers.queries) {
      for (var column = 0u; column < numbers.width; column += 1u) {
        sum = fma(f32(dy[first + column]), f32(y[first + column]), sum);
      }
    }
    products[lane] = sum;
  }
}

fn bring_keys(head: u32, key0: u32, lane: u32) {
  for (var i = lane; i < KEYS * DEPTH; i += GROUP) {
    let row = key0 + i / DEPTH;
    let column = i % DEPTH;
    let first = head * numbers.keys + row;
    var key = 0.0;
    var value = 0.0;
    if (row < numbers.keys && column < numbers.depth) { key = f32(k[first * numbers.depth + column]); }
    if (row < numbers.keys && column < numbers.width) { value = f32(v[first * numbers.width + column]); }
    here_k[i / DEPTH * STEP + column] = key;
    here_v[i / DEPTH * STEP + column] = value;
  }
}

// P and dS of the tiles that are here.
fn score(head: u32, query0: u32, key0: u32, lane: u32) {
  for (var i = lane; i < QUERIES * KEYS; i += GROUP) {
    let own = i / KEYS * STEP;
    let other = i % KEYS * STEP;
    var s = 0.0;
    var of_value = 0.0;
    for (var at = 0u; at < DEPTH; at += 1u) {
      s = fma(here_q[own + at], here_k[other + at], s);
      of_value = fma(here_dy[own + at], here_v[other + at], of_value);
    }
    let query = query0 + i / KEYS;
    let key = key0 + i % KEYS;
    var weight = 0.0;
    if (query < numbers.queries && key < numbers.keys && key < visible(query)) {
      weight = exp(numbers.scale * s - log_sum_exps[head * numbers.queries + query]);
    }
    weights[i] = weight;
    slopes[i] = numbers.scale * weight * (of_value - products[i / KEYS]);
  }
}

const EACH_KEY: u32 = KEYS * DEPTH / GROUP;
const EACH_QUERY: u32 = QUERIES * DEPTH / GROUP;

// dk and dv of KEYS keys.
@compute @workgroup_size(GROUP)
fn of_keys(thread: Thread) {
  let tiles = (numbers.keys + KEYS - 1u) / KEYS;
  let head = group_number(thread) / tiles;
  if (head >= numbers.heads) { return; }
  let key0 = group_number(thread) % tiles * KEYS;
  let lane = thread.lane;
  let own = lane / (GROUP / KEYS);
  let column0 = lane % (GROUP / KEYS);
  var of_k: array<f32, EACH_KEY>;
  var of_v: array<f32, EACH_KEY>;
  bring_keys(head, key0, lane);
  for (var query0 = 0u; query0 < numbers.queries; query0 += QUERIES) {
    // Everybody is done with the last tile.
    workgroupBarrier();
    bring_queries(head, query0, lane);
    workgroupBarrier();
    score(head, query0, key0, lane);
    workgroupBarrier();
    for (var query = 0u; query < QUERIES; query += 1u) {
      let weight = weights[query * KEYS + own];
      let slope = slopes[query * KEYS + own];
      for (var j = 0u; j < EACH_KEY; j += 1u) {
        let at = query * STEP + column0 + j * (GROUP / KEYS);
        of_k[j] = fma(slope, here_q[at], of_k[j]);
        of_v[j] = fma(weight, here_dy[at], of_v[j]);
      }
    }
  }
  if (key0 + own >= numbers.keys) { return; }
  let row = head * numbers.keys + key0 + own;
  for (var j = 0u; j < EACH_KEY; j += 1u) {
    let column = column0 + j * (GROUP / KEYS);
    if (column < numbers.depth) { dk[row * numbers.depth + column] = X(of_k[j]); }
    if (column < numbers.width) { dv[row * numbers.width + column] = X(of_v[j]); }
  }
}

// dq of QUERIES queries.
@compute @workgroup_size(GROUP)
fn of_queries(thread: Thread) {
  let tiles = (numbers.queries + QUERIES - 1u) / QUERIES;
  let head = group_number(thread) / tiles;
  if (head >= numbers.heads) { return; }
  let query0 = group_number(thread) % tiles * QUERIES;
  let lane = thread.lane;
  let own = lane / (GROUP / QUERIES);
  let column0 = lane % (GROUP / QUERIES);
  var of_q: array<f32, EACH_QUERY>;
  bring_queries(head, query0, lane);
  let end = min(visible(query0 + QUERIES - 1u), numbers.keys);
  for (var key0 = 0u; key0 < end; key0 += KEYS) {
    // Everybody is done with the last tile.
    workgroupBarrier();
    bring_keys(head, key0, lane);
    workgroupBarrier();
    score(head, query0, key0, lane);
    workgroupBarrier();
    for (var key = 0u; key < KEYS; key += 1u) {
      let slope = slopes[own * KEYS + key];
      for (var j = 0u; j < EACH_QUERY; j += 1u) {
        of_q[j] = fma(slope, here_k[key * STEP + column0 + j * (GROUP / QUERIES)], of_q[j]);
      }
    }
  }
  if (query0 + own >= numbers.queries) { return; }
  for (var j = 0u; j < EACH_QUERY; j += 1u) {
    let column = column0 + j * (GROUP / QUERIES);
    if (column < numbers.depth) { dq[(head * numbers.queries + query0 + own) * numbers.depth + column] = X(of_q[j]); }
  }
}
