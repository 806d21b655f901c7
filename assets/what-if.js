// What a job costs on each candidate while the reader turns what only the reader knows: src/advise/what_if.rs, function
// for function, on top of the cost model. Pure, without a document; a browser holds it to Rust.
const whatIf = (() => {
  const TURNED = ["kwh", "utilisation", "years", "volume"];
  const POINTS = 48;
  const STEPS = 3;
  const MOST = 12;

  // `at` is { candidates, a, b, settings: { kwh, utilisation, years, price, volume } }.
  const pair = (at, places) => {
    const { kwh, utilisation, years, price, volume } = at.settings;
    const whole = { a: at.candidates[places[0]].offer, b: at.candidates[places[1]].offer, volume, years };
    const scaled = places.reduce((made, place, which) => {
      if (place !== at.b) return made;
      const side = which ? "b" : "a";
      return cost.withFactor(made, { factor: "price", side }, cost.price(made[side]) * price);
    }, whole);
    return Object.entries({ kwh, utilisation, years }).reduce(
      (made, [factor, value]) => cost.withFactor(made, { factor }, value),
      scaled,
    );
  };
  const swings = (at, place, side) =>
    at.candidates[place].swings
      .filter((swing) => !TURNED.includes(swing.factor))
      .map((swing) => {
        const by = swing.factor === "price" && place === at.b ? at.settings.price : 1;
        return { factor: swing.factor, side, low: swing.low * by, high: swing.high * by };
      })
      .slice(0, MOST / 2);

  const costs = (at, place) => {
    const both = pair(at, [place, place]);
    const own = swings(at, place, "a");
    return {
      unit: cost.spread(both, { unit: "a" }, own),
      month: cost.spread(both, { month: "a" }, own),
      machines: cost.answer(both, { machines: "a" }),
      hourly: cost.hourly(both.a),
    };
  };
  const turned = ({ kwh, utilisation, years }) =>
    [["kwh", kwh, Infinity], ["utilisation", utilisation, 1], ["years", years, 100]].map(([factor, value, most]) => ({
      factor,
      low: value / 2,
      high: Math.min(2 * value, most),
    }));
  const duel = (at) => {
    const both = pair(at, [at.a, at.b]);
    const own = [...swings(at, at.a, "a"), ...swings(at, at.b, "b")];
    const [a, b] = [costs(at, at.a).month, costs(at, at.b).month];
    return {
      volume: cost.spread(both, "break_even_volume", own),
      month: both.b.way.owned ? cost.spread(both, "break_even_month", own) : null,
      flip: cost.spread(both, "flip_price", own),
      worth: cost.spread(both, "worth", own),
      cheaper: b.high < a.low ? "b" : a.high < b.low ? "a" : null,
      tornado: cost.tornado(both, "worth", [...own, ...turned(at.settings)]),
    };
  };

  const volumes = (at, [low, high]) => {
    const both = pair(at, [at.a, at.b]);
    const even = Array.from({ length: POINTS + 1 }, (_, point) => 10 ** (low + ((high - low) * point) / POINTS));
    const [least, most] = [even[0], even[POINTS]];
    const steps = [both.a, both.b].flatMap((offer) => {
      const capacity = cost.capacity(offer);
      return Array.from({ length: STEPS }, (_, count) => (count + 1) * capacity)
        .flatMap((full) => [full * (1 - 1e-9), full * (1 + 1e-9)])
        .filter((volume) => volume >= least && volume <= most);
    });
    return [...even, ...steps].sort((x, y) => x - y);
  };
  const curve = (at, place, all) => {
    const both = pair(at, [place, place]);
    // No line depends on the volume: those of all corners serve every point.
    const lines = [both, ...cost.corners(both, swings(at, place, "a"))].map((corner) => cost.line(corner.a));
    return all.map((volume) => {
      const found = lines.map((line) => cost.monthOf(line, volume) / volume);
      return { low: Math.min(...found), centre: found[0], high: Math.max(...found) };
    });
  };

  const frontier = (all) => {
    const beats = (other, one) =>
      other.unit.centre <= one.unit.centre &&
      other.hourly >= one.hourly &&
      (other.unit.centre < one.unit.centre || other.hourly > one.hourly);
    const left = all.map((_, place) => place).filter((place) => !all.some((other) => beats(other, all[place])));
    return left.sort((x, y) => all[x].hourly - all[y].hourly);
  };

  return { costs, curve, duel, frontier, volumes };
})();
