"use strict";
// The cost model of src/cost, function for function, for the page's what-if sliders: pure, without a document.
// Both are held to the vectors in tests/money/vectors.json.
const cost = (() => {
  const MONTH_HOURS = 730;
  const STEPS = 10000;
  const MOST = 12;
  const DEAREST = 1e12;

  const refuse = (sentence) => {
    throw new RangeError(sentence);
  };
  const checked = (what, value, fits, want) =>
    typeof value === "number" && fits(value) ? value : refuse(`${value} is no ${what}: give ${want}`);

  // What each number can be, as in src/cost/quantity.rs.
  const share = (x) => x > 0 && x <= 1;
  const between = (low, high) => (x) => x >= low && x <= high;
  const above = (high) => (x) => x > 0 && x <= high;
  const utilisation = (x) => checked("utilisation", x, share, "a share of hours above 0 and up to 1");
  const part = (x) => checked("share of a machine", x, share, "a part above 0 and up to 1");
  const years = (x) => checked("time of use in years", x, above(100), "years above 0 and up to 100");
  const loss = (x) => checked("yearly loss of value", x, between(0, 1), "a share between 0 and 1");
  const rate = (x) =>
    checked("yearly rate of interest", x, between(0, 10), "a rate between 0 and 10 (0.05 is 5 %)");
  const pue = (x) => checked("PUE", x, between(1, 10), "a ratio between 1 and 10");
  const watts = (x) => checked("power in watts", x, between(0, 1e9), "watts from 0 on");
  const seconds = (x) => checked("time of an execution in seconds", x, above(1e12), "seconds above 0");
  const units = (x) => checked("number of units of an execution", x, above(1e30), "a number above 0");
  const volume = (x) => checked("volume of units a month", x, between(0, 1e30), "a number from 0 on");
  const often = (x) => checked("number of interruptions an hour", x, between(0, 1e6), "a number from 0 on");
  const duration = (x) => checked("duration in hours", x, between(0, 1e6), "hours from 0 on");
  const spacing = (x) => checked("number of hours between checkpoints", x, above(1e6), "hours above 0");
  const size = (x) => checked("size in GB or GB/s", x, above(1e12), "a number above 0");

  const priceOf = (what, money) => {
    checked(what, money.amount, above(DEAREST), "an amount above 0 (leave out what has no price)");
    return money;
  };
  const partOf = (what, money) => {
    checked(what, money.amount, between(0, DEAREST), "an amount from 0 on");
    return money;
  };
  const times = (money, factor) => ({ ...money, amount: money.amount * factor });
  const same = (a, b) => {
    if (a.currency !== b.currency) {
      refuse(
        `amounts in ${a.currency} and ${b.currency} cannot be added or compared: give all prices in one ` +
          "currency, converted on a day that you name",
      );
    }
  };
  const sum = (amounts) => {
    amounts.forEach((money) => same(amounts[0], money));
    return { ...amounts[0], amount: amounts.reduce((all, money) => all + money.amount, 0) };
  };

  const bill = (b) =>
    sum([
      priceOf("price of a device", b.device),
      times(partOf("price of a host", b.host), part(b.host_share)),
      partOf("price of memory modules", b.modules),
      partOf("price of a power supply", b.supply),
    ]);

  const resale = (w) => (1 - loss(w.loss)) ** years(w.years);
  const monthlyInterest = (w) => rate(w.interest) / 12;
  const recovery = (w) => {
    const [months, interest] = [12 * years(w.years), monthlyInterest(w)];
    return interest === 0 ? 1 / months : interest / -Math.expm1(-months * Math.log1p(interest));
  };
  const writeoff = (w, capital) => {
    const sold = capital.amount * resale(w);
    return { ...capital, amount: (capital.amount - sold) * recovery(w) + sold * monthlyInterest(w) };
  };

  const energyHour = (tariff, draw) =>
    times(partOf("price of a kWh", tariff.kwh), (draw / 1000) * pue(tariff.pue));
  const powerOf = (owned) => {
    if (!owned.power) return { busy: 0, idle: 0 };
    const { busy, idle } = owned.power;
    if (watts(idle) > watts(busy)) {
      refuse(`a machine draws no more idle (${idle} W) than busy (${busy} W): exchange the two numbers`);
    }
    return owned.power;
  };

  const capitalMonth = (owned) => writeoff(owned.writeoff, bill(owned.bill));
  const runningMonth = (owned) =>
    sum([
      partOf("price of hosting", owned.hosting),
      times(energyHour(owned.tariff, powerOf(owned).idle), MONTH_HOURS),
    ]);
  const standingMonth = (owned) => sum([capitalMonth(owned), runningMonth(owned)]);
  const workingHour = (owned) => energyHour(owned.tariff, powerOf(owned).busy - powerOf(owned).idle);
  const ownedHour = (owned, used) =>
    sum([times(standingMonth(owned), 1 / MONTH_HOURS), times(workingHour(owned), utilisation(used))]);

  const stretch = (rented) => {
    const i = rented.interruptions;
    if (!i) return 1;
    const best = Math.sqrt((2 * duration(i.checkpoint)) / often(i.often));
    const every = i.every === null || i.every === undefined ? best : spacing(i.every);
    const saving = i.checkpoint > 0 && Number.isFinite(every) ? i.checkpoint / every : 0;
    const lost = i.often > 0 ? i.often * (every / 2 + duration(i.restart)) : 0;
    return 1 + saving + lost;
  };
  const paidHour = (rented) => {
    if (rented.contract === "reserved" && rented.billing === "used") {
      refuse("a reserved rent is paid whether used or not: give it the billing `whole`");
    }
    return times(priceOf("price of an hour", rented.hour), part(rented.share));
  };

  const unitsAnHour = (offer) => {
    const longer = offer.way.rented ? stretch(offer.way.rented) : 1;
    return (3600 * units(offer.pace.units)) / (seconds(offer.pace.seconds) * longer);
  };
  const line = (offer) => {
    const { owned, rented } = offer.way;
    const paid = owned ? null : paidHour(rented);
    const whole = rented && rented.billing === "whole";
    const standing = owned ? standingMonth(owned) : times(paid, whole ? MONTH_HOURS : 0);
    const hour = owned ? workingHour(owned) : times(paid, whole ? 0 : 1);
    same(standing, hour);
    const speed = unitsAnHour(offer);
    return {
      standing,
      each: times(hour, 1 / speed),
      capacity: MONTH_HOURS * utilisation(offer.utilisation) * speed,
      always: Boolean(owned),
    };
  };
  const machines = (l, wanted) => Math.max(Math.ceil(wanted / l.capacity), l.always || wanted > 0 ? 1 : 0);
  const unit = (offer) => {
    const l = line(offer);
    return { ...l.each, amount: l.standing.amount / l.capacity + l.each.amount };
  };
  const busyHour = (offer) => times(unit(offer), unitsAnHour(offer));
  const monthOf = (l, wanted) => machines(l, volume(wanted)) * l.standing.amount + wanted * l.each.amount;
  const month = (offer, wanted) => {
    const l = line(offer);
    return { ...l.each, amount: monthOf(l, wanted) };
  };

  const breakEvenVolume = (pair) => {
    const [a, b] = [line(pair.a), line(pair.b)];
    same(a.standing, b.standing);
    const slope = a.each.amount - b.each.amount;
    let [machinesA, machinesB, start] = [1, 1, 0];
    for (let step = 0; step < STEPS; step += 1) {
      const [endA, endB] = [machinesA * a.capacity, machinesB * b.capacity];
      const end = Math.min(endA, endB);
      const more = machinesB * b.standing.amount - machinesA * a.standing.amount;
      if (more <= slope * start) return start;
      if (slope > 0 && more / slope <= end) return more / slope;
      machinesA += endA <= end ? 1 : 0;
      machinesB += endB <= end ? 1 : 0;
      start = end;
    }
    return Infinity;
  };
  const breakEvenMonth = (pair) => {
    const owned = ownedOf(pair.b, "a break-even month", "what B costs to buy");
    const l = line(pair.b);
    const count = machines(l, volume(pair.volume));
    const paid = bill(owned.bill).amount * count;
    const [running, goingOn] = [runningMonth(owned), month(pair.a, pair.volume)];
    same(running, goingOn);
    const saving = goingOn.amount - (count * running.amount + pair.volume * l.each.amount);
    const interest = monthlyInterest(owned.writeoff);
    if (saving <= 0 || paid * interest >= saving) return Infinity;
    return interest === 0 ? paid / saving : -Math.log1p((-paid * interest) / saving) / Math.log1p(interest);
  };
  const speedUp = (pair) => unitsAnHour(pair.b) / unitsAnHour(pair.a);
  const priceRatio = (pair) => {
    const [a, b] = [busyHour(pair.a), busyHour(pair.b)];
    same(a, b);
    return b.amount / a.amount;
  };
  const offerPrice = (offer) => (offer.way.owned ? offer.way.owned.bill.device : offer.way.rented.hour);
  const priced = (offer, money) => {
    const { owned, rented } = offer.way;
    const way = owned
      ? { owned: { ...owned, bill: { ...owned.bill, device: money } } }
      : { rented: { ...rented, hour: money } };
    return { ...offer, way };
  };
  const flipPrice = (pair) => {
    const [target, price] = [unit(pair.a), offerPrice(pair.b)];
    const [once, twice] = [unit(pair.b), unit(priced(pair.b, times(price, 2)))];
    same(target, once);
    const slope = (twice.amount - once.amount) / price.amount;
    return price.amount + (target.amount - once.amount) / slope;
  };

  const ownedOf = (offer, what, lacks = "what it costs to buy") =>
    offer.way.owned ||
    refuse(`${what} is asked for, and the offer does not say ${lacks}: add it, or ask something else`);
  const perMemory = (offer, key) => {
    const { owned, rented } = offer.way;
    if (!offer.memory) {
      refuse("a price of memory is asked for, and the offer does not say its GB and GB/s: add it, or ask something else");
    }
    return (owned ? bill(owned.bill) : paidHour(rented)).amount / size(offer.memory[key]);
  };

  // Questions about one side take its offer and the pair; the others take the pair.
  const ofSide = {
    capital: (o) => bill(ownedOf(o, "a purchase price").bill).amount,
    resale: (o) => resale(ownedOf(o, "a resale value").writeoff),
    capital_month: (o) => capitalMonth(ownedOf(o, "a month's loss of value")).amount,
    owned_hour: (o) => ownedHour(ownedOf(o, "an owned hour"), o.utilisation).amount,
    busy_hour: (o) => busyHour(o).amount,
    unit: (o) => unit(o).amount,
    month: (o, pair) => month(o, pair.volume).amount,
    machines: (o, pair) => machines(line(o), volume(pair.volume)),
    total: (o, pair) => month(o, pair.volume).amount * 12 * years(pair.years),
    per_gb: (o) => perMemory(o, "gb"),
    per_gb_s: (o) => perMemory(o, "gb_s"),
  };
  const ofPair = {
    break_even_volume: breakEvenVolume,
    break_even_month: breakEvenMonth,
    speed_up: speedUp,
    price_ratio: priceRatio,
    worth: (pair) => speedUp(pair) / priceRatio(pair),
    flip_price: flipPrice,
  };
  // A question is a word, or a word with a side: "worth", {"unit": "b"}.
  const answer = (pair, question) => {
    if (typeof question === "string") return ofPair[question](pair);
    const [[word, side]] = Object.entries(question);
    return ofSide[word](pair[side], pair);
  };

  const setters = {
    host: (owned, value) => ({ ...owned, bill: { ...owned.bill, host: { ...owned.bill.host, amount: value } } }),
    modules: (owned, value) => ({
      ...owned,
      bill: { ...owned.bill, modules: { ...owned.bill.modules, amount: value } },
    }),
    hosting: (owned, value) => ({ ...owned, hosting: { ...owned.hosting, amount: value } }),
    kwh: (owned, value) => ({ ...owned, tariff: { ...owned.tariff, kwh: { ...owned.tariff.kwh, amount: value } } }),
    pue: (owned, value) => ({ ...owned, tariff: { ...owned.tariff, pue: pue(value) } }),
    busy: (owned, value) => ({ ...owned, power: owned.power && { ...owned.power, busy: watts(value) } }),
    years: (owned, value) => ({ ...owned, writeoff: { ...owned.writeoff, years: years(value) } }),
    loss: (owned, value) => ({ ...owned, writeoff: { ...owned.writeoff, loss: loss(value) } }),
    interest: (owned, value) => ({ ...owned, writeoff: { ...owned.writeoff, interest: rate(value) } }),
  };
  const offerWith = (offer, factor, value) => {
    if (factor === "seconds") return { ...offer, pace: { ...offer.pace, seconds: seconds(value) } };
    if (factor === "utilisation") return { ...offer, utilisation: utilisation(value) };
    if (factor === "price") return priced(offer, { ...offerPrice(offer), amount: value });
    return offer.way.owned ? { ...offer, way: { owned: setters[factor](offer.way.owned, value) } } : offer;
  };
  const withFactor = (pair, swing, value) => {
    if (swing.factor === "volume") return { ...pair, volume: volume(value) };
    const of = (side) => (swing.side && swing.side !== side ? pair[side] : offerWith(pair[side], swing.factor, value));
    return { ...pair, a: of("a"), b: of("b") };
  };

  // The pair with every factor at one of its ends, in all ways.
  const corners = (pair, swings) => {
    if (swings.length > MOST) {
      refuse(`${swings.length} factors that swing have too many corners: keep the ${MOST} that matter most`);
    }
    return swings.reduce(
      (made, swing) => made.flatMap((at) => [withFactor(at, swing, swing.low), withFactor(at, swing, swing.high)]),
      [pair],
    );
  };
  const spread = (pair, question, swings) => {
    const centre = answer(pair, question);
    const found = corners(pair, swings).map((at) => answer(at, question));
    return { low: Math.min(centre, ...found), centre, high: Math.max(centre, ...found) };
  };
  const width = (bar) => (bar.low === bar.high ? 0 : Math.abs(bar.high - bar.low));
  const tornado = (pair, question, swings) => {
    const at = (swing, value) => answer(withFactor(pair, swing, value), question);
    const bars = swings.map((swing) => ({ swing, low: at(swing, swing.low), high: at(swing, swing.high) }));
    const wider = (a, b) => (width(a) === width(b) ? 0 : width(b) - width(a));
    return bars.sort(wider);
  };

  const capacity = (offer) => line(offer).capacity;
  const price = (offer) => offerPrice(offer).amount;
  return { answer, capacity, corners, hourly: unitsAnHour, line, monthOf, price, spread, tornado, withFactor };
})();
