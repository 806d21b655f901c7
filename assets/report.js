"use strict";
(() => {
  const table = document.getElementById("cells");
  const tools = document.getElementById("tools");
  if (!table || !tools) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  // What a row leaves empty is what stands above it.
  const names = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent.trim() === "Point") + 1;
  rows.slice(1).forEach((row, at) => {
    for (let column = 0; column < names; column += 1) {
      if (!row.cells[column].textContent) row.cells[column].textContent = rows[at].cells[column].textContent;
    }
  });
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const scale = { n: 1e-9, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
  // A number with its prefix, where the prefix is followed by a unit: 1.5 ms, 20 GB/s, 97 %, 3.1×.
  const value = (text) => {
    const found = /^([\d.]+)(?:e([+-]?\d+))?\s*([nµmkMGTP](?=[A-Za-z]))?/.exec(text.replace("−", "-"));
    return found ? Number(found[1] + (found[2] ? "e" + found[2] : "")) * (scale[found[3]] || 1) : NaN;
  };
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return x === y || Number.isNaN(x) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };

  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent.trim();
      const sorted = [...rows].sort((a, b) => (down ? order(key(b), key(a)) : order(key(a), key(b))));
      sorted.forEach((row) => row.classList.remove("g"));
      body.append(...sorted);
    });
  });

  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word));
      count += row.hidden ? 0 : 1;
    });
    shown.textContent = count + " of " + rows.length + " rows";
  };
  filter.addEventListener("input", apply);

  // Text that a spreadsheet would take for a formula is preceded by an apostrophe.
  const field = (text) => {
    const inert = /^\s*[=+\-@]/.test(text) ? "'" + text : text;
    return /[",;\n]/.test(inert) ? '"' + inert.replaceAll('"', '""') + '"' : inert;
  };
  const line = (row) => [...row.cells].map((cell) => field(cell.textContent.trim())).join(",");
  const csv = () => [table.tHead.rows[0], ...[...body.rows].filter((row) => !row.hidden)].map(line).join("\n") + "\n";
  document.getElementById("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(csv());
      shown.textContent = "copied";
    } catch {
      const area = document.createElement("textarea");
      area.value = csv();
      document.body.append(area);
      area.select();
      shown.textContent = document.execCommand("copy") ? "copied" : "the browser refused: use cells.csv";
      area.remove();
    }
  });

  tools.hidden = false;
  apply();
})();
