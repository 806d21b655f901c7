// The what-if controls: what is turned is computed again by what-if.js, said in the words of src/report/what_if.rs, drawn
// by draw.js, and kept in the address, so that an answer can be sent to somebody else.
(() => {
  const form = document.getElementById("turn");
  if (!form) return;
  const jobs = JSON.parse(form.dataset.jobs);
  const SIGNS = { USD: "$", EUR: "€", GBP: "£" };
  const LOOKS = [{ colour: "s0", dash: "solid" }, { colour: "s1", dash: "dashed" }];
  const BASES = {
    measured: { kind: "disc", colour: "s0" },
    "estimated from measured roofs": { kind: "ring", colour: "s3" },
    "estimated from datasheets": { kind: "frame", colour: "s1" },
  };
  const FACTORS = {
    price: "price",
    host: "host",
    modules: "memory modules",
    hosting: "hosting",
    kwh: "electricity",
    pue: "building's overhead",
    busy: "watts at work",
    utilisation: "hours with work",
    years: "years of use",
    loss: "loss of value",
    interest: "interest",
    seconds: "time of an execution",
  };
  const $ = (id) => document.getElementById(id);

  // Numbers as src/units.rs and src/catalog/price.rs write them.
  const power = (value) => Math.floor(Math.log10(Math.abs(value)));
  const round = (value, digits) => {
    if (!value || !Number.isFinite(value)) return value;
    const scale = 10 ** (digits - 1 - power(value));
    return Math.round(value * scale) / scale;
  };
  const significant = (value, digits) => {
    if (!value || !Number.isFinite(value)) return `${value}`;
    const rounded = round(value, digits);
    return rounded.toFixed(Math.max(digits - 1 - power(rounded), 0));
  };
  const WORDS = [[1e12, " trillion"], [1e9, " billion"], [1e6, " million"], [1e3, " thousand"]];
  const count = (value) => {
    const [scale, word] = WORDS.find(([least]) => round(value, 3) >= least) || [1, ""];
    return significant(value / scale, 3) + word;
  };
  const times = (value) => `${significant(value, 3)}×`;
  const prefixed = (value) => {
    const found = [[1e15, " P"], [1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]].find(([least]) => value >= least);
    const [scale, prefix] = found || [1, ""];
    return `${Number((value / scale).toPrecision(3))}${prefix}`;
  };
  const grouped = (value) => value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
  const money = (amount, sign) => {
    const size = Math.abs(amount);
    if (size >= 1000) return sign + grouped(amount);
    if (size >= 1 || size === 0) return sign + amount.toFixed(2);
    return sign + (size >= 1e-4 ? significant(amount, 3) : amount.toExponential(2));
  };
  const ends = (interval, show) =>
    interval.low === interval.high
      ? show(interval.centre)
      : `${show(interval.centre)} (${show(interval.low)}–${show(interval.high)})`;
  const scaled = (interval, by) => ({ low: interval.low * by, centre: interval.centre * by, high: interval.high * by });
  const never = (show) => (value) => (value === Infinity ? "never" : show(value));
  const numbers = ({ low, centre, high }) => [low, centre, high].map(never(String)).join(" ");
  const named = (swing) => `${FACTORS[swing.factor]}, ${swing.side ? swing.side.toUpperCase() : "half to twice"}`;

  // What is turned: the settings that the page opened with, until something moves.
  const opened = (number) => ({ job: number, a: jobs[number].a, b: jobs[number].b, ...jobs[number].settings });
  let state = opened(0);
  let drawn = 0;

  // How a slider's number becomes a setting, back, and what is read out.
  const SLIDERS = {
    kwh: { to: (x) => x, from: (x) => x, say: (x, job) => `${money(x, SIGNS[job.currency])}` },
    utilisation: { to: (x) => x / 100, from: (x) => x * 100, say: (x) => `${Math.round(x * 100)} %` },
    years: { to: (x) => x, from: (x) => x, say: (x) => `${x} ${x === 1 ? "year" : "years"}` },
    price: { to: (x) => x / 100, from: (x) => x * 100, say: (x) => `${Math.round(x * 100)} %` },
    volume: { to: (x) => 10 ** x, from: Math.log10, say: (x, job) => `${count(x)} ${job.units}` },
  };
  const KEYS = ["job", "a", "b", ...Object.keys(SLIDERS)];

  const answer = () => {
    const job = jobs[state.job];
    const { kwh, utilisation, years, price, volume } = state;
    const at = { candidates: job.candidates, a: state.a, b: state.b, settings: { kwh, utilisation, years, price, volume } };
    return { job, at, costs: job.candidates.map((_, place) => whatIf.costs(at, place)), duel: whatIf.duel(at) };
  };

  const say = ({ job, at, costs, duel }) => {
    const sign = SIGNS[job.currency];
    const [a, b] = [job.candidates[at.a].name, job.candidates[at.b].name];
    const amount = (interval) => ends(interval, (value) => money(value, sign));
    const volume = (value) => `${count(value)} ${job.units}`;
    const call = duel.cheaper
      ? `${duel.cheaper === "a" ? a : b} is cheaper.`
      : "their ranges overlap, so nobody can tell which is cheaper.";
    $("verdict").textContent =
      `For ${volume(at.settings.volume)} a month, ${b} costs ${amount(costs[at.b].month)} ` +
      `and ${a} ${amount(costs[at.a].month)}: ${call}`;

    const { owned, rented } = job.candidates[at.b].offer.way;
    const now = (owned ? owned.bill.device.amount : rented.hour.amount) * at.settings.price;
    const from = (interval, show) => `${show(interval.low)} to ${show(interval.high)}`;
    const priced = (value) => (value < 0 ? "none" : money(value, sign));
    const months = never((value) => significant(value, 3));
    const figures = {
      volume: [never(count)(duel.volume.centre), `${job.units} a month, from which on ${b} costs no more than ${a}`, from(duel.volume, never(count))],
      month: [
        duel.month ? months(duel.month.centre) : "none",
        `months until buying ${b} has cost less than going on with ${a}`,
        duel.month ? from(duel.month, months) : `${b} is rented: nothing has to be paid back`,
      ],
      flip: [
        priced(duel.flip.centre),
        `${owned ? "price" : "an hour"} of ${b} at which a unit costs as much on both`,
        `${from(duel.flip, priced)}; it is ${money(now, sign)}`,
      ],
      worth: [times(duel.worth.centre), `worth of ${b}: speed-up over price ratio; above 1 it pays`, from(duel.worth, times)],
    };
    for (const box of $("duel").children) {
      const [value, label, note] = figures[box.dataset.q];
      box.dataset.v = duel[box.dataset.q] ? numbers(duel[box.dataset.q]) : "";
      box.querySelector(".value").textContent = value;
      box.querySelector("dt").textContent = label;
      box.querySelector(".note").textContent = note;
    }
    const rows = $("candidates").tBodies[0].rows;
    costs.forEach((cost, place) => {
      const cells = rows[place].cells;
      cells[0].textContent = place === at.a ? "A" : place === at.b ? "B" : "";
      cells[2].dataset.v = numbers(cost.unit);
      cells[2].textContent = amount(scaled(cost.unit, job.per[0]));
      cells[3].dataset.v = numbers(cost.month);
      cells[3].textContent = amount(cost.month);
      cells[4].textContent = count(cost.machines);
    });
  };

  // Puts a drawing for each width, a finding and rows of numbers into a figure.
  const show = (id, finding, paint, rows) => {
    const figure = $(id);
    if (!figure) return;
    figure.querySelector("h3").textContent = finding;
    for (const [name, wide] of [["wide", 920], ["narrow", 350]]) {
      const svg = paint(wide);
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", finding);
      figure.querySelector(`.${name}`).replaceChildren(svg);
    }
    const body = figure.querySelector("tbody");
    if (body) body.replaceChildren(...rows.map((row) => filled(row)));
  };
  const filled = (texts) => {
    const row = document.createElement("tr");
    texts.forEach((text) => (row.insertCell().textContent = text));
    return row;
  };

  const drawVolume = ({ job, at, duel }) => {
    const sign = SIGNS[job.currency];
    const volumes = whatIf.volumes(at, job.ends);
    const sides = [at.a, at.b];
    const curves = sides.map((place) => whatIf.curve(at, place, volumes));
    const per = job.per[0];
    const along = (curve, end) => curve.map((point, place) => [volumes[place], point[end] * per]);
    const lines = curves.flatMap((curve, side) => [
      { ...LOOKS[side], label: job.candidates[sides[side]].name, points: along(curve, "centre") },
      { ...LOOKS[side], dash: "dotted", points: along(curve, "low") },
      { ...LOOKS[side], dash: "dotted", points: along(curve, "high") },
    ]);
    const [a, b] = sides.map((place) => job.candidates[place].name);
    const { low, centre, high } = duel.volume;
    const finding =
      centre === Infinity ? `${b} never costs less than ${a}`
      : centre === 0 ? `${b} costs no more than ${a} at any volume`
      : `From ${count(centre)} ${job.units} a month on, ${b} costs no more than ${a}`;
    const axes = {
      x: { label: `${job.units} a month`, show: prefixed },
      y: { label: `$ per ${job.perUnit}`, show: (value) => sign + Number(value.toPrecision(3)) },
    };
    const text = (point) => ends(scaled(point, per), (value) => money(value, sign));
    const rows = volumes.map((volume, place) => [count(volume), text(curves[0][place]), text(curves[1][place])]);
    const band = high > volumes[0] ? { low, high, label: "break-even" } : undefined;
    const paint = (wide) => draw.panel(wide, { ...axes, lines, band });
    show("what-if-volume", finding, paint, rows.filter((_, place) => place % 8 === 0));
    const heads = $("what-if-volume").querySelectorAll("th");
    [`${job.units} a month`, a, b].forEach((name, place) => heads[place] && (heads[place].textContent = name));
  };

  const drawSpeed = ({ job, costs }) => {
    const sign = SIGNS[job.currency];
    const per = job.per[0];
    const best = whatIf.frontier(costs);
    const [cheapest, fastest] = [job.candidates[best[0]].name, job.candidates[best[best.length - 1]].name];
    const finding = best.length === 1
      ? `${fastest} is the cheapest and the fastest`
      : `${cheapest} is the cheapest, ${fastest} the fastest; ${best.length} of ${costs.length} are beaten by nobody in both`;
    const dots = costs.map(({ hourly, unit }, place) => {
      const { low, centre, high } = scaled(unit, per);
      return { ...BASES[job.candidates[place].basis], label: job.candidates[place].name, x: hourly, y: centre, low, high };
    });
    const keys = Object.entries(BASES)
      .filter(([basis]) => job.candidates.some((candidate) => candidate.basis === basis))
      .map(([label, look]) => ({ label, ...look }));
    const lines = [{ colour: "axis", dash: "dashed", thin: 1.4, points: best.map((place) => [dots[place].x, dots[place].y]) }];
    const axes = {
      x: { label: `${job.units} in an hour of work`, show: prefixed },
      y: { label: `$ per ${job.perUnit}`, show: (value) => sign + Number(value.toPrecision(3)) },
    };
    const rows = costs.map((cost, place) => [
      job.candidates[place].name,
      count(cost.hourly),
      ends(scaled(cost.unit, per), (value) => money(value, sign)),
      best.includes(place) ? "no" : "yes",
    ]);
    show("what-if-speed", finding, (wide) => draw.panel(wide, { ...axes, lines, dots, keys }), rows);
  };

  const drawMoves = ({ job, at, duel }) => {
    const sways = duel.tornado.filter((bar) => bar.low !== bar.high);
    const bars = sways.map(({ swing, low, high }) => {
      const [least, most] = [Math.min(low, high), Math.max(low, high)];
      const colour = swing.side ? LOOKS[swing.side === "a" ? 0 : 1].colour : "s6";
      return { label: named(swing), low: least, high: most, colour, value: `${times(least)} to ${times(most)}` };
    });
    if (!bars.length) return;
    const crossing = bars.filter((bar) => bar.low < 1 && bar.high > 1).length;
    const finding = `What moves the answer most: ${bars[0].label}; ${crossing} of ${bars.length} alone could turn it`;
    const lines = [{ at: 1, label: "as dear as each other" }, { at: duel.worth.centre, label: "now" }];
    const label = `worth of B, ${job.candidates[at.b].name}`;
    const tick = (value) => `${Number(value.toPrecision(3))}×`;
    const rows = sways.map(({ swing }, place) =>
      [bars[place].label, significant(swing.low, 3), significant(swing.high, 3), bars[place].value]);
    show("what-if-moves", finding, (wide) => draw.ranges(wide, { label, show: tick, bars, lines }), rows);
  };

  const compute = () => {
    const all = answer();
    say(all);
    drawVolume(all);
    drawSpeed(all);
    drawMoves(all);
    drawn += 1;
    form.dataset.drawn = drawn;
  };

  // Options and rows of another job.
  const option = (select, names) => {
    const options = names.map((name, place) => {
      const made = document.createElement("option");
      [made.value, made.textContent] = [String(place), name];
      return made;
    });
    $(select).replaceChildren(...options);
  };
  const lay = () => {
    const job = jobs[state.job];
    const names = job.candidates.map((candidate) => candidate.name);
    option("a", names);
    option("b", names);
    $("volume").min = job.ends[0];
    $("volume").max = job.ends[1];
    const rows = job.candidates.map(({ name, cells }) => filled(["", name, "", "", "", ...cells]));
    rows.forEach((row) => {
      row.cells[4].className = "r";
      const [basis, badge] = [row.cells[6], document.createElement("b")];
      badge.className = basis.textContent === "measured" ? "b measured" : "b datasheet";
      badge.textContent = basis.textContent;
      basis.replaceChildren(badge);
    });
    const table = $("candidates");
    table.tBodies[0].replaceChildren(...rows);
    table.tHead.rows[0].cells[2].textContent = `$ per ${job.perUnit}`;
    const assumed = job.assumed.map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    });
    $("assumed").replaceChildren(...assumed);
  };

  const reflect = () => {
    const job = jobs[state.job];
    for (const key of ["job", "a", "b"]) $(key).value = String(state[key]);
    for (const [key, { from, say: words }] of Object.entries(SLIDERS)) {
      const [input, said] = [$(key), words(state[key], job)];
      input.value = from(state[key]);
      input.setAttribute("aria-valuetext", said);
      document.querySelector(`output[for="${key}"]`).textContent = said;
    }
  };
  const remember = () => {
    const start = opened(state.job);
    const moved = KEYS.filter((key) => (key === "job" ? state.job > 0 : state[key] !== start[key]));
    const words = moved.map((key) => `${key}=${SLIDERS[key] ? $(key).value : state[key]}`);
    const place = words.length ? `#${words.join("&")}` : location.pathname + location.search;
    history.replaceState(null, "", place);
  };

  // The state that an address asks for; what it cannot ask for is left as it was.
  const read = (hash) => {
    const words = new URLSearchParams(hash.slice(1));
    const whole = (key, most) => {
      const value = Number(words.get(key) ?? NaN);
      return Number.isInteger(value) && value >= 0 && value < most ? value : null;
    };
    const asked = opened(whole("job", jobs.length) ?? 0);
    const most = jobs[asked.job].candidates.length;
    asked.a = whole("a", most) ?? asked.a;
    asked.b = whole("b", most) ?? asked.b;
    for (const [key, { to }] of Object.entries(SLIDERS)) {
      const value = words.has(key) && words.get(key) !== "" ? Number(words.get(key)) : NaN;
      const { min, max } = key === "volume" ? { min: jobs[asked.job].ends[0], max: jobs[asked.job].ends[1] } : $(key);
      if (Number.isFinite(value)) asked[key] = to(Math.min(Math.max(value, Number(min)), Number(max)));
    }
    return asked;
  };
  const follow = () => {
    if (!location.hash.includes("=")) return;
    const before = state.job;
    state = read(location.hash);
    if (state.job !== before) lay();
    reflect();
    compute();
  };

  form.addEventListener("input", ({ target }) => {
    const slider = SLIDERS[target.id];
    if (target.id === "job") {
      state = opened(Number(target.value));
      lay();
    } else {
      state[target.id] = slider ? slider.to(target.valueAsNumber) : Number(target.value);
    }
    reflect();
    remember();
    compute();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => {
    state = opened(0);
    lay();
    reflect();
    remember();
    compute();
  });
  addEventListener("hashchange", follow);

  option("job", jobs.map((job) => job.subject));
  ["a", "b"].forEach((side) => option(side, jobs[0].candidates.map((candidate) => candidate.name)));
  reflect();
  form.hidden = false;
  follow();
})();
