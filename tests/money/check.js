"use strict";
// Holds the page's cost model to the vectors: a sentence for each that it misses.
const check = (model, data) => {
  const close = (got, want) => {
    if (want === null) return got === Infinity;
    return Math.abs(got - want) <= 1e-9 * Math.abs(want);
  };
  const misses = (v) => {
    const pair = { a: data.offers[v.a], b: data.offers[v.b], volume: v.volume, years: v.years };
    if ("refuse" in v) {
      try {
        return [`answered ${model.answer(pair, v.question)}`];
      } catch (error) {
        return error.message.includes(v.refuse) ? [] : [error.message];
      }
    }
    if ("spread" in v) {
      const got = model.spread(pair, v.question, v.swings);
      return [got.low, got.centre, got.high].flatMap((x, at) => (close(x, v.spread[at]) ? [] : [`${x}`]));
    }
    if ("tornado" in v) {
      const bars = model.tornado(pair, v.question, v.swings);
      const fits = (bar, [factor, low, high]) =>
        bar.swing.factor === factor && close(bar.low, low) && close(bar.high, high);
      return bars.flatMap((bar, at) => (fits(bar, v.tornado[at]) ? [] : [JSON.stringify(bar)]));
    }
    const got = model.answer(pair, v.question);
    return close(got, v.value) ? [] : [`${got}`];
  };
  return data.vectors.flatMap((v, at) => misses(v).map((said) => `vector ${at}: ${said} for ${JSON.stringify(v)}`));
};
