// One step of an optimizer, in place, F at a time: state in f32, gradients in V.
struct Numbers {
  count: u32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, rate: f32, correct2: f32, eps: f32, decay: f32,
}
@group(0) @binding(0) var<storage, read_write> p: array<F>;
@group(0) @binding(1) var<storage, read> g: array<V>;
@group(0) @binding(2) var<storage, read_write> m: array<F>;
@group(0) @binding(3) var<storage, read_write> v: array<F>;
@group(0) @binding(4) var<uniform> numbers: Numbers;

// m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; p' = p - decay p - rate m' / (sqrt(v' correct2) + eps):
// `rate` holds the correction of m' as well, `correct2` is 1 / (1 - beta2^t), `decay` the rate times the weight decay.
@compute @workgroup_size(GROUP)
fn adamw(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let grad = F(g[i]);
  let first = numbers.beta1 * m[i] + numbers.rest1 * grad;
  let second = numbers.beta2 * v[i] + numbers.rest2 * grad * grad;
  m[i] = first;
  v[i] = second;
  p[i] = p[i] - numbers.decay * p[i] - numbers.rate * first / (sqrt(second * numbers.correct2) + numbers.eps);
}
