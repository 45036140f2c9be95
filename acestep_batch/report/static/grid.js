// The grid: songs laid out on two settings, in parts by a third; a click plays, and a switch keeps the position.
function valuesOf(name, shown) {
  if (!name) return [null];
  const found = [...new Set(shown.map((song) => cell(song, name)))];
  if (!state.blind) return column(name).number ? found.sort((one, other) => compareCells(one, other, false)) : inOrderMade(name, found);
  const first = new Map(found.map((value) => [value, Math.min(...songs.filter((song) => cell(song, name) === value).map((song) => song.blind))]));
  return found.sort((one, other) => first.get(one) - first.get(other));
}

// Texts keep the order in which the songs were made, whichever way those are sorted now.
function inOrderMade(name, found) {
  const made = new Map();
  for (const song of songs) if (!made.has(cell(song, name))) made.set(cell(song, name), made.size);
  return found.sort((one, other) => made.get(one) - made.get(other));
}

function headingOf(name, value, index) {
  if (!name) return "";
  return state.blind ? String.fromCodePoint(65 + (index % 26)) + (index >= 26 ? Math.floor(index / 26) : "") : words(value);
}

function partName(name, value, index) {
  if (state.blind) return `Part ${headingOf(name, value, index)}`;
  return ["id", "row", "run"].includes(name) ? words(value) : `${name} ${words(value)}`;
}

function renderGrid(shown) {
  const [down, across, group] = state.axes;
  const kept = new Map();
  for (const song of shown) {
    const place = JSON.stringify([group, down, across].map((name) => (name ? cell(song, name) : null)));
    kept.set(place, [...(kept.get(place) ?? []), song]);
  }
  state.order = [];
  const parts = valuesOf(group, shown).map((value, index) => {
    const own = group ? shown.filter((song) => cell(song, group) === value) : shown;
    return make("section", { className: "part" },
      group ? make("h2", { dir: "auto" }, partName(group, value, index)) : null,
      gridTable(own, value, kept, index));
  });
  return make("div", { className: "grid" }, ...parts);
}

function gridTable(own, group, kept, number) {
  const [down, across] = state.axes;
  const columnValues = valuesOf(across, own);
  const names = state.blind ? [] : [`${down} ↓`, ...(across ? [`${across} →`] : [])];
  const corner = make("th", { className: "stick" }, ...names.map((name) => make("div", { title: name }, name)));
  const head = make("tr", {}, corner, ...columnValues.map((value, index) => make("th", { scope: "col", dir: "auto" }, headingOf(across, value, index))));
  const body = valuesOf(down, own).map((value, index) => make("tr", {},
    make("th", { scope: "row", className: "stick", dir: "auto" }, headingOf(down, value, index)),
    ...columnValues.map((other) => {
      const inside = kept.get(JSON.stringify([group, value, other])) ?? [];
      state.order.push(...inside);
      return make("td", {}, ...inside.map(gridCell));
    })));
  const table = make("table", { className: "matrix" }, make("thead", {}, head), make("tbody", {}, ...body));
  table.style.minWidth = `${9.5 + 7 * columnValues.length}rem`;
  return make("div", { className: "scroll", role: "region", tabIndex: 0, "aria-label": `Grid ${state.axes[2] ? partName(state.axes[2], group, number) : ""}` },
    table);
}

function gridCell(song) {
  const isMade = song.files.length > 0;
  const shown = state.show && !state.blind ? words(cell(song, state.show)) : state.blind ? nameOf(song) : "";
  const flag = song.quality && song.quality !== "ok" && !state.blind ? flagOf(song) : null;
  const button = make("button", {
    type: "button", className: "cell", disabled: !isMade, "aria-label": labelOf(song), title: labelOf(song),
    "aria-pressed": String(isPlaying(song)), "aria-current": String(song === state.current), onclick: () => toggle(song),
  },
  song.picture ? pictureOf(song, [waveOf, spectrogramOf]) : make("span", { className: "empty" }, song.error ? "failed" : "no picture"),
  make("span", { className: "mark", "aria-hidden": "true" }, icon("star")),
  flag || shown ? make("span", { className: "caption" }, make("span", { className: "value" }, shown), flag) : null);
  button.song = song;
  button.classList.toggle("starred", song.star);
  return button;
}
