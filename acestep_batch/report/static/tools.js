// What stands above the songs: search, filters, order, the view and its axes, blind listening, export.
function buildTools() {
  const tab = (view, label) => make("button", { type: "button", "data-view": view, onclick: () => showView(view) }, label);
  const search = make("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search ids, prompts, lyrics and notes", oninput: () => { state.query = search.value; render(); } });
  document.getElementById("tools").append(
    make("div", { className: "tabs", role: "group", "aria-label": "View" }, tab("songs", "Songs"), ...(page.grid ? [tab("grid", "Grid")] : []), tab("table", "Table")),
    search,
    make("span", { id: "order" }),
    make("button", { type: "button", id: "add-filter", "aria-expanded": "false", "aria-controls": "filter", onclick: () => openFilter() }, "Filter"),
    make("button", { type: "button", id: "starred", "aria-pressed": "false", onclick: () => { state.starred = !state.starred; render(); } }, "Starred"),
    make("button", { type: "button", id: "blind", "aria-pressed": "false", title: "Hide names, settings and measurements", onclick: toggleBlind }, "Blind"),
    make("button", { type: "button", id: "export", onclick: exportPicks }, "Export"),
    make("button", { type: "button", id: "keys", "aria-label": "Keys and help", onclick: openHelp }, "?"),
    make("form", { id: "filter", hidden: true, onsubmit: addFilter }),
    make("div", { id: "filters" }),
    make("div", { id: "axes" }),
  );
}

function picker(label, chosen, options, onchange) {
  const select = make("select", { "aria-label": label }, ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  select.addEventListener("change", () => onchange(select.value));
  return make("label", { className: "picker" }, make("span", {}, label), select);
}

function columnOptions() {
  return [...page.columns.map((each) => each.name), ...OWN_COLUMNS.keys()].map((name) => [name, name]);
}

// Brings everything above the songs up to date.
function showTools() {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
    button.disabled = state.blind && button.dataset.view === "table";
  }
  document.getElementById("starred").setAttribute("aria-pressed", String(state.starred));
  document.getElementById("blind").setAttribute("aria-pressed", String(state.blind));
  const stars = songs.filter((song) => song.star).length;
  const button = document.getElementById("export");
  button.disabled = stars === 0;
  button.textContent = stars ? `Export ${stars}` : "Export";
  button.title = stars ? "Save a manifest that makes the starred songs again" : "Star a song first";
  document.getElementById("order").replaceChildren(...(state.blind ? [] : [
    picker("Sort", state.sort, [["", "as made"], ...columnOptions()], (name) => sortBy(name, false)),
    make("button", { type: "button", id: "direction", "aria-label": state.down ? "Descending" : "Ascending", onclick: () => sortBy(state.sort, !state.down) }, state.down ? "↓" : "↑"),
  ]));
  document.getElementById("filters").replaceChildren(...state.filters.map((each) => make("button", {
    type: "button", className: "chip", "aria-label": `Remove the filter ${each.name} ${each.test} ${each.value}`,
    onclick: () => { state.filters = state.filters.filter((other) => other !== each); render(); },
  }, `${each.name} ${each.test} ${each.value}`, icon("close"))));
  showAxes();
}

function showAxes() {
  const place = document.getElementById("axes");
  place.replaceChildren();
  if (state.view !== "grid" || state.blind) return;
  const axis = (label, number, none) => picker(label, state.axes[number], [...none, ...page.axes.map((name) => [name, name])], (name) => {
    const other = state.axes.indexOf(name);
    if (name && other >= 0) state.axes[other] = state.axes[number]; // two axes change places
    state.axes[number] = name;
    render();
  });
  const numbers = page.columns.filter((each) => each.number).map((each) => [each.name, each.name]);
  place.append(axis("Down", 0, []), axis("Across", 1, [["", "–"]]), axis("Parts", 2, [["", "–"]]),
    picker("Show", state.show, [["", "–"], ...numbers], (name) => { state.show = name; render(); }));
}

function sortBy(name, down) {
  state.sort = name;
  state.down = down;
  render();
  announce(name ? `Sorted by ${name}, ${down ? "descending" : "ascending"}` : "In the order in which they were made");
}

function showView(view) {
  if (view === "table" && state.blind) return;
  state.view = view;
  render();
}

function toggleBlind() {
  state.blind = !state.blind;
  if (state.blind) shuffleBlind();
  if (state.view === "table") state.view = "songs";
  refreshRows();
  render();
  if (state.current) showCurrent();
  announce(state.blind ? "Names, settings and measurements are hidden" : "Names are shown again");
}

function openFilter(open = document.getElementById("filter").hidden) {
  const form = document.getElementById("filter");
  form.hidden = !open;
  document.getElementById("add-filter").setAttribute("aria-expanded", String(open));
  if (!open) return;
  const [first] = columnOptions();
  fillFilter(form, first[0]);
  form.querySelector("select").focus();
}

function fillFilter(form, name) {
  const values = [...new Set(songs.map((song) => words(cell(song, name))))].slice(0, 200);
  const field = make("input", { name: "value", required: true, "aria-label": "Value", autocomplete: "off", inputMode: column(name).number ? "decimal" : "text" });
  field.setAttribute("list", "values");
  form.replaceChildren(
    picker("Column", name, columnOptions(), (other) => { fillFilter(form, other); form.querySelector("select").focus(); }),
    picker("Test", "", testsFor(name).map((test) => [test, test]), () => {}),
    field,
    make("datalist", { id: "values" }, ...values.map((value) => make("option", { value }))),
    make("button", { type: "submit" }, "Add"),
  );
}

function addFilter(event) {
  event.preventDefault();
  const form = document.getElementById("filter");
  const [name, test] = [...form.querySelectorAll("select")].map((select) => select.value);
  const value = form.elements.value.value.trim();
  if (column(name).number && Number.isNaN(Number(value))) {
    form.elements.value.setCustomValidity("A number, please");
    form.reportValidity();
    form.elements.value.setCustomValidity("");
    return;
  }
  state.filters.push({ name, test, value });
  openFilter(false);
  render();
}
