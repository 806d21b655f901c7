// Functions of models and their slopes, of one element or of four.

// e^(-x^2/2)
fn bell(x: F) -> F { return exp(x * x * -0.5); }

// (1 - erf(x / sqrt 2)) / 2 for x >= 0 to 1.5e-7, where e^(-x^2/2) is known: Abramowitz and Stegun, 7.1.26.
fn erf_tail(x: F, bell: F) -> F {
  let t = 1.0 / (x * (0.3275911 * 0.70710678) + 1.0);
  let polynomial = fma(fma(fma(fma(F(0.5307027), t, F(-0.726576)), t, F(0.7107069)), t, F(-0.14224837)), t, F(0.1274148));
  return t * polynomial * bell;
}

// (1 - tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 = 1 / (1 + e^(2 ..)) for x >= 0.
fn tanh_tail(x: F) -> F {
  let double = x * (x * x * (0.044715 * 1.5957691) + 1.5957691);
  return 1.0 / (exp(min(double, F(80.0))) + 1.0);
}

// gelu(x) = max(x, 0) - |x| q(|x|), where q falls from 1/2 to 0: no difference cancels.
fn gelu_erf(x: F) -> F {
  let size = min(abs(x), F(9.0));
  return max(x, F(0.0)) - size * erf_tail(size, bell(size));
}
fn gelu_tanh(x: F) -> F {
  let size = min(abs(x), F(9.0));
  return max(x, F(0.0)) - size * tanh_tail(size);
}

// Slopes: d(|x|) below 0 and 1 - d(|x|) above, where d goes from 1/2 to 0.
fn gelu_erf_slope(x: F) -> F {
  let size = min(abs(x), F(9.0));
  let b = bell(size);
  let d = erf_tail(size, b) - size * b * 0.39894228;
  return select(d, 1.0 - d, x > F(0.0));
}
fn gelu_tanh_slope(x: F) -> F {
  let size = min(abs(x), F(9.0));
  let q = tanh_tail(size);
  let slope = size * size * (0.134145 * 0.7978846) + 0.7978846;
  let d = q - 2.0 * size * q * (1.0 - q) * slope;
  return select(d, 1.0 - d, x > F(0.0));
}

// tanh(x): the odd polynomial of the Cephes library's tanhf up to 0.625, from there on 1 - 2 / (e^(2x) + 1), whose
// difference does not cancel. Beyond 10 the answer is 1, and the exponential stays finite.
fn tangent(x: F) -> F {
  let size = abs(x);
  let square = size * size;
  let odd = fma(fma(fma(fma(F(-0.0057049887), square, F(0.020639088)), square, F(-0.053739715)), square, F(0.13331442)), square, F(-0.3333328));
  let near = fma(square * odd, size, size);
  let far = 1.0 - 2.0 / (exp(2.0 * min(size, F(10.0))) + 1.0);
  let value = select(far, near, size < F(0.625));
  return select(-value, value, x > F(0.0));
}
