// Drawings of the what-if section, in the classes and colours of those that src/report/draw made for the page as it opened.
// Texts become text nodes: nothing that came from outside is ever read as markup.
const draw = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const UNITS = 10;
  const DASHES = { solid: "", dashed: "70 40", dotted: "20 35" };
  const pen = document.createElement("canvas").getContext("2d");

  const width = (text, size = 11, weight = 400) => {
    pen.font = `${weight} ${size}px Inter, system-ui, sans-serif`;
    return pen.measureText(text).width;
  };
  const add = (parent, name, attributes, text) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const sheet = (wide, high) =>
    add(document.createDocumentFragment(), "svg", { width: wide, height: high, viewBox: `0 0 ${wide * UNITS} ${high * UNITS}` });
  const at = (value) => Math.round(value * UNITS);
  const line = (svg, points, colour, stroke = 1, dash = "solid") => {
    const d = points.map(([x, y], place) => `${place ? "L" : "M"}${at(x)} ${at(y)}`).join("");
    const dashes = DASHES[dash] ? { "stroke-dasharray": DASHES[dash] } : {};
    add(svg, "path", { d, fill: "none", stroke: `var(--${colour})`, "stroke-width": stroke * UNITS, ...dashes });
  };
  const rect = (svg, [left, top, right, bottom], colour) =>
    add(svg, "rect", { x: at(left), y: at(top), width: at(Math.max(right - left, 0)), height: at(bottom - top), fill: `var(--${colour})` });
  const text = (svg, words, [x, y], look = "n", anchor = "") =>
    add(svg, "text", { class: `${look} ${anchor} o`.replace("  ", " "), x: at(x), y: at(y) }, words);
  const shorten = (words, most, size = 11) => {
    let kept = words;
    while (kept && width(kept === words ? kept : `${kept}…`, size) > most) kept = kept.slice(0, -1);
    return kept === words ? words : kept && `${kept.trimEnd()}…`;
  };

  const marker = (svg, kind, [x, y], colour) => {
    const filled = kind === "disc" || kind === "square";
    const paint = { fill: `var(--${filled ? colour : "paper"})`, stroke: `var(--${colour})`, "stroke-width": 16 };
    if (kind === "disc" || kind === "ring") add(svg, "circle", { cx: at(x), cy: at(y), r: 40, ...paint });
    else add(svg, "rect", { x: at(x - 3.6), y: at(y - 3.6), width: 72, height: 72, ...paint });
  };

  // A logarithmic axis around what it shows.
  const range = (values) => {
    const usable = values.filter((value) => value >= 1e-100 && value < 1e100);
    if (!usable.length) return [1, 10];
    const [low, high] = [Math.min(...usable), Math.max(...usable)];
    const air = Math.max((high / low) ** 0.06, 1.12);
    return [low / air, high * air];
  };
  const share = ([low, high], value) => {
    const found = Math.log(value / low) / Math.log(high / low);
    return Number.isNaN(found) ? 0 : Math.min(Math.max(found, 0), 1);
  };
  const ticks = ([low, high], most) => {
    const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const powers = (digits, every) => {
      const found = [];
      for (let power = first; power <= last; power += 1) {
        if (power % every === 0) digits.forEach((digit) => found.push(Number(`${digit}e${power}`)));
      }
      return found.filter((tick) => tick >= low && tick <= high);
    };
    const tries = [[[1, 2, 3, 4, 5, 6, 7, 8, 9], 1], [[1, 2, 5], 1], [[1, 3], 1], [[1], 1], [[1], 2], [[1], 3], [[1], 6]];
    const fit = tries.map(([digits, every]) => powers(digits, every)).find((found) => found.length <= most);
    return fit || [];
  };
  const overlaps = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

  // Names beside points, right, left, above or below, where nothing else is.
  const beside = (svg, words, [x, y], area, taken) => {
    const wide = width(words);
    const starts = [[x + 8, y + 4], [x - 8 - wide, y + 4], [x - wide / 2, y - 8], [x - wide / 2, y + 17]];
    for (const [left, base] of starts) {
      const box = [left - 2, base - 11, left + wide + 2, base + 3];
      const inside = box[0] >= area[0] && box[2] <= area[2] && box[1] >= area[1] - 12 && box[3] <= area[3];
      if (inside && !taken.some((other) => overlaps(box, other))) {
        text(svg, words, [left, base]);
        taken.push(box);
        return;
      }
    }
  };

  // Two logarithmic axes. `lines`: { label, colour, dash, thin, points }; `dots`: { label, colour, kind, x, y, low, high }.
  const panel = (wide, { x, y, lines = [], dots = [], keys = [], band }) => {
    const high = Math.min(Math.max(wide * 0.5, 240), 400) + 62;
    const named = [...lines.filter((each) => each.label), ...keys];
    let [row, from] = [12, 0];
    const places = named.map(({ label }) => {
      const needs = 24 + width(label);
      if (from > 0 && from + needs > wide) [row, from] = [row + 18, 0];
      const place = [from, row];
      from += needs + 14;
      return place;
    });
    const head = named.length ? row + 8 : 0;
    const svg = sheet(wide, head + high);
    named.forEach(({ label, colour, dash, kind }, place) => {
      const [left, base] = places[place];
      if (kind) marker(svg, kind, [left + 9, base - 4], colour);
      else line(svg, [[left, base - 4], [left + 18, base - 4]], colour, 1.8, dash);
      text(svg, shorten(label, wide - left - 26), [left + 24, base]);
    });
    const xs = range([...lines.flatMap((each) => each.points.map((point) => point[0])), ...dots.map((dot) => dot.x)]);
    const ys = range([...lines.flatMap((each) => each.points.map((point) => point[1])), ...dots.flatMap((dot) => [dot.low, dot.y, dot.high])]);
    const marks = ticks(ys, 6);
    const left = Math.max(0, ...marks.map((tick) => width(y.show(tick)))) + 8;
    const area = [left, head + 20, wide - 8, head + high - 44];
    const place = (px, py) => [
      area[0] + share(xs, px) * (area[2] - area[0]),
      area[3] - share(ys, py) * (area[3] - area[1]),
    ];
    if (band) {
      const [[low], [most]] = [place(band.low, ys[0]), place(band.high, ys[0])];
      rect(svg, [low, area[1], most, area[3]], "band");
      const half = width(band.label) / 2;
      const middle = Math.min(Math.max((low + most) / 2, area[0] + half), area[2] - half);
      text(svg, band.label, [middle, area[1] + 12], "n", "m");
    }
    text(svg, y.label, [0, area[1] - 9]);
    marks.forEach((tick) => {
      const [, level] = place(xs[0], tick);
      line(svg, [[area[0], level], [area[2], level]], "grid");
      text(svg, y.show(tick), [area[0] - 6, level + 4], "n", "e");
    });
    let free = -Infinity;
    ticks(xs, Math.floor((area[2] - area[0]) / 60)).forEach((tick) => {
      const [middle] = place(tick, ys[0]);
      const half = width(x.show(tick)) / 2;
      line(svg, [[middle, area[3]], [middle, area[3] + 4]], "axis");
      if (middle - half > free) {
        text(svg, x.show(tick), [Math.min(middle, wide - half), area[3] + 16], "n", "m");
        free = middle + half + 7;
      }
    });
    line(svg, [[area[0], area[3]], [area[2], area[3]]], "axis");
    text(svg, shorten(x.label, area[2] - area[0]), [(area[0] + area[2]) / 2, area[3] + 33], "n", "m");
    lines.forEach(({ points, colour, dash, thin }) => line(svg, points.map((point) => place(...point)), colour, thin || 1.8, dash));
    const taken = dots.map((dot) => place(dot.x, dot.y)).map(([px, py]) => [px - 5, py - 5, px + 5, py + 5]);
    dots.forEach((dot) => {
      const [middle, low, most] = [place(dot.x, dot.y), place(dot.x, dot.low), place(dot.x, dot.high)];
      if (low[1] - most[1] > 8) line(svg, [low, most], dot.colour, 1.3);
      marker(svg, dot.kind, middle, dot.colour);
    });
    dots.forEach((dot) => beside(svg, dot.label, place(dot.x, dot.y), area, taken));
    return svg;
  };

  // Ranges as bars on a logarithmic axis: { label, value, low, high, colour }, and lines across: { at, label }.
  const ranges = (wide, { label, show, bars, lines }) => {
    const stacked = wide < 500;
    const pitch = stacked ? 35 : 19;
    const left = stacked ? 4 : Math.max(0, ...bars.map((bar) => width(bar.label, 12))) + 8;
    const right = stacked ? wide - 10 : wide - Math.max(0, ...bars.map((bar) => width(bar.value, 12))) - 16;
    const [top, bottom] = [36, 36 + bars.length * pitch + 6];
    const svg = sheet(wide, bottom + 38);
    const xs = range([...bars.flatMap((bar) => [bar.low, bar.high]), ...lines.map((each) => each.at)]);
    const across = (value) => left + share(xs, value) * (right - left);
    let free = -Infinity;
    ticks(xs, Math.max(Math.floor((right - left) / 62), 2)).forEach((tick) => {
      const [middle, half] = [across(tick), width(show(tick)) / 2];
      line(svg, [[middle, top], [middle, bottom]], "grid");
      if (middle - half > free) {
        text(svg, show(tick), [Math.min(Math.max(middle, half), wide - half), bottom + 14], "n", "m");
        free = middle + half + 6;
      }
    });
    lines.forEach((each, place) => {
      const half = width(each.label) / 2;
      line(svg, [[across(each.at), top], [across(each.at), bottom]], "axis", 1.2, "dashed");
      text(svg, each.label, [Math.min(Math.max(across(each.at), half), wide - half), place ? 28 : 12], "n", "m");
    });
    bars.forEach((bar, place) => {
      const y = top + 6 + place * pitch;
      const base = stacked ? y + 12 : y + 10;
      const from = stacked ? y + 16 : y;
      text(svg, bar.label, stacked ? [left, base] : [left - 8, base], "l", stacked ? "" : "e");
      const box = [across(bar.low), from, Math.max(across(bar.high), across(bar.low) + 1), from + 13];
      rect(svg, box, "band");
      line(svg, [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]], bar.colour, 1.4);
      if (stacked) text(svg, bar.value, [wide, base], "l", "e");
      else text(svg, bar.value, [box[2] + 6, base], "l");
    });
    text(svg, shorten(label, wide), [Math.max((left + right) / 2, width(label) / 2), bottom + 31], "n", "m");
    return svg;
  };

  return { panel, ranges };
})();
