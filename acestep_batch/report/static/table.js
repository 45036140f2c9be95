// The table: every column, sorted by a click on its name.
function renderTable(shown) {
  const names = [...page.columns.map((each) => each.name), ...OWN_COLUMNS.keys()];
  state.order = shown;
  const head = make("tr", {}, make("th", { className: "stick" }, make("span", { className: "unseen" }, "Play")), ...names.map(headerCell));
  const body = shown.map((song) => tableRow(song, names));
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of the songs" },
    make("table", { className: "cells" }, make("thead", {}, head), make("tbody", {}, ...body)));
}

function headerCell(name) {
  const isSorted = state.sort === name;
  const button = make("button", { type: "button", onclick: () => sortBy(name, isSorted && !state.down) }, name,
    make("span", { "aria-hidden": "true" }, isSorted ? (state.down ? " ↓" : " ↑") : ""));
  return make("th", { scope: "col", "aria-sort": isSorted ? (state.down ? "descending" : "ascending") : "none" }, button);
}

function tableRow(song, names) {
  const play = make("button", { type: "button", className: "play", disabled: !song.files.length, onclick: () => toggle(song) });
  play.song = song;
  const cells = names.map((name) => {
    const value = cell(song, name);
    if (name === "id") {
      return make("th", { scope: "row" }, make("button", { type: "button", className: "title", dir: "auto", onclick: () => { choose(song); openDetails(true); } }, words(value)));
    }
    if (name === "quality" && song.quality) return make("td", {}, flagOf(song));
    if (name === "starred") return make("td", {}, ...(song.files.length ? [starButton(song)] : []));
    return make("td", { className: column(name).number ? "number" : "", dir: "auto", title: words(value) }, words(value));
  });
  const row = make("tr", { "aria-current": String(song === state.current) }, make("td", { className: "stick" }, play), ...cells);
  row.song = song;
  return row;
}
