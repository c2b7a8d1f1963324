"use strict";
(() => {
  const PAGE = 100;
  const { rows, threshold, texts } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const body = document.querySelector("#worklist tbody");
  const state = { label: "", quality: "", words: [], key: "rank", down: true, first: 0, found: rows };

  // Values reach the page as text nodes and attributes only, never as markup.
  function make(name, options = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(options)) {
      if (key === "class") node.className = value;
      else if (key === "style") Object.assign(node.style, value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function svg(name, options, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(options)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function thumbnail(row) {
    if (!row.picture) return "";
    const picture = make("img", { src: row.picture, loading: "lazy", decoding: "async", alt: "" });
    const crop = make("span", { class: "crop" }, picture);
    return make("a", { href: row.page || row.picture, tabindex: "-1", "aria-hidden": "true" }, crop);
  }

  function gauge(row) {
    const level = make("i", { style: { width: `${100 * row.score}%` } });
    level.className = row.score >= threshold ? "above" : "";
    return make("span", { class: "gauge" }, level, make("u", { style: { left: `${100 * threshold}%` } }));
  }

  function profile(row) {
    const wide = 132, high = 30, step = Math.min(wide / row.profile.length, 12);
    const bars = row.profile.map((share, at) => {
      const tall = Math.max(1, share * high);
      const kind = share >= threshold ? "bar above" : "bar";
      const width = Math.max(0.8, step - (step > 3 ? 1 : 0));
      return svg("rect", { class: kind, x: at * step, y: high - tall, width, height: tall });
    });
    const line = high * (1 - threshold);
    const limit = svg("line", { class: "threshold", x1: 0, x2: wide, y1: line, y2: line });
    const label = `Probability of ${row.slices} slices, the highest is slice ${row.highest}`;
    return svg("svg", { class: "plot", width: wide, height: high, role: "img", "aria-label": label }, ...bars, limit);
  }

  function tag(code) {
    const chip = make("span", { class: `tag ${code === "phantom" ? "phantom" : ""}`, title: texts.quality[code] || code });
    chip.append(code.replaceAll("_", " "));
    return chip;
  }

  function result(row) {
    const cell = make("td", { class: "result" }, make("span", { class: `tag ${row.standing}` }, texts.label[row.label]));
    for (const text of row.details) cell.append(make("small", {}, text));
    return cell;
  }

  function line(row) {
    const details = [row.id, row.kind];
    if (row.covered) details.push(row.covered);
    if (row.duplicate_of) details.push(`same content as ${row.duplicate_of}`);
    const scan = make("th", { scope: "row", class: "scan" }, make("a", { href: row.page || row.report }, row.path));
    scan.append(make("small", {}, details.join(" · ")));
    return make(
      "tr", {},
      make("td", {}, thumbnail(row)),
      make("td", { class: "score" }, make("b", {}, row.score.toFixed(3)), gauge(row)),
      result(row),
      scan,
      make("td", {}, profile(row)),
      make("td", { class: "slice" }, `${row.highest} of ${row.slices}`),
      make("td", {}, make("div", { class: "tags" }, ...row.quality.map(tag))),
      make("td", {}, make("a", { href: row.report, "aria-label": `Report of ${row.path}` }, "JSON")),
    );
  }

  function matches(row) {
    if (state.label && row.label !== state.label) return false;
    if (state.quality && !row.quality.includes(state.quality)) return false;
    return state.words.every((word) => row.text.includes(word));
  }

  function compare(one, other) {
    const [a, b] = [one[state.key], other[state.key]];
    const order = a < b ? -1 : a > b ? 1 : other.rank - one.rank;
    return state.down ? -order : order;
  }

  function find() {
    state.found = rows.filter(matches).sort(compare);
    state.first = 0;
    show();
  }

  function show() {
    const { found, first } = state;
    const last = Math.min(first + PAGE, found.length);
    body.replaceChildren(...found.slice(first, last).map(line));
    byId("found").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} scans`;
    byId("place").textContent = found.length ? `${first + 1}–${last}` : "";
    byId("previous").disabled = first === 0;
    byId("next").disabled = last >= found.length;
    byId("nothing").hidden = found.length > 0;
  }

  function turn(by) {
    state.first += by;
    show();
    byId("worklist").scrollIntoView({ block: "start" });
  }

  function sortBy(button) {
    const key = button.dataset.key;
    state.down = key === state.key ? !state.down : key !== "path";
    state.key = key;
    for (const head of document.querySelectorAll("#worklist th[aria-sort]")) head.setAttribute("aria-sort", "none");
    button.closest("th").setAttribute("aria-sort", state.down ? "descending" : "ascending");
    find();
  }

  function filterBy(button) {
    state.label = button.dataset.label;
    for (const other of document.querySelectorAll(".counts button")) other.setAttribute("aria-pressed", other === button);
    find();
  }

  rows.forEach((row, place) => {
    row.rank = rows.length - place;
    row.text = [row.path, row.id, row.kind, row.duplicate_of, ...row.quality].join(" ").toLowerCase();
  });
  for (const code of [...new Set(rows.flatMap((row) => row.quality))].sort()) {
    byId("quality").append(make("option", { value: code }, code.replaceAll("_", " ")));
  }
  byId("search").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    find();
  });
  byId("quality").addEventListener("change", (event) => { state.quality = event.target.value; find(); });
  byId("previous").addEventListener("click", () => turn(-PAGE));
  byId("next").addEventListener("click", () => turn(PAGE));
  for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sortBy(button));
  for (const button of document.querySelectorAll(".counts button")) button.addEventListener("click", () => filterBy(button));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select")) return;
    event.preventDefault();
    byId("search").focus();
  });
  find();
})();
