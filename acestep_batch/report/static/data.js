// The page's data, what is shown of it now, and pure functions over songs: cells, words, filters, order.
const page = JSON.parse(document.getElementById("page").textContent);
const columns = new Map(page.columns.map((column, index) => [column.name, { ...column, index }]));
const OWN_COLUMNS = new Map([
  ["starred", { name: "starred", number: false, setting: false, of: (song) => song.star }],
  ["note", { name: "note", number: false, setting: false, of: (song) => song.note || null }],
]);
const songs = page.songs.map((song, index) => ({
  ...song, index, star: false, note: "", blind: index + 1,
  prompt: page.texts[song.prompt], lyrics: page.texts[song.lyrics],
}));

const state = {
  view: page.grid ? "grid" : "songs",
  axes: page.grid ? [...page.grid] : ["", "", ""],
  show: columns.has("loudness_lufs") ? "loudness_lufs" : "",
  sort: "",
  down: false,
  query: "",
  filters: [],
  starred: false,
  blind: false,
  keepPosition: page.grid !== null,
  current: null,
  order: [],
};

function column(name) {
  return columns.get(name) ?? OWN_COLUMNS.get(name);
}

function cell(song, name) {
  const found = column(name);
  return found.of ? found.of(song) : song.values[found.index];
}

function words(value) {
  if (value === null || value === undefined || value.length === 0) return "–";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? value.join(" ") : String(value);
}

function clock(seconds, round = Math.floor) {
  const whole = Math.max(0, round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// What a song is called: hidden while listening is blind.
function nameOf(song) {
  return state.blind ? `Take ${song.blind}` : song.id;
}

// Whether prompts tell songs apart.
const promptsDiffer = new Set(songs.map((song) => song.prompt)).size > 1;

function labelOf(song) {
  return state.blind ? `Take ${song.blind}` : song.label;
}

// The settings that tell a song from the others, as [name, value].
function settingsOf(song) {
  return page.columns
    .map((each, index) => [each, song.values[index]])
    .filter(([each, value]) => each.setting && each.name !== "id" && each.name !== "row" && value !== null)
    .map(([each, value]) => [each.name, words(value)]);
}

function resultsOf(song) {
  return page.columns
    .map((each, index) => [each, song.values[index]])
    .filter(([each, value]) => !each.setting && each.name !== "quality" && value !== null)
    .map(([each, value]) => [each.name, words(value)]);
}

const TESTS = {
  contains: (value, wanted) => words(value).toLowerCase().includes(wanted.toLowerCase()),
  is: (value, wanted) => words(value).toLowerCase() === wanted.toLowerCase(),
  "is not": (value, wanted) => words(value).toLowerCase() !== wanted.toLowerCase(),
  "=": (value, wanted) => value === Number(wanted) || words(value) === wanted,
  "≥": (value, wanted) => value !== null && value >= Number(wanted),
  "≤": (value, wanted) => value !== null && value <= Number(wanted),
};

function testsFor(name) {
  return column(name).number ? ["≥", "≤", "="] : ["contains", "is", "is not"];
}

function matches(song) {
  if (state.starred && !song.star) return false;
  if (!state.filters.every((each) => TESTS[each.test](cell(song, each.name), each.value))) return false;
  const query = state.query.trim().toLowerCase();
  if (!query) return true;
  const texts = [state.blind ? nameOf(song) : song.label, song.prompt, song.lyrics, song.note];
  return texts.some((text) => text.toLowerCase().includes(query));
}

// What is unknown comes last, whichever way the rest goes.
function compareCells(one, other, down) {
  if (one === null || other === null) return (one === null) - (other === null);
  const found = typeof one === "number" && typeof other === "number"
    ? one - other
    : words(one).localeCompare(words(other), undefined, { numeric: true });
  return down ? -found : found;
}

function shownSongs() {
  const found = songs.filter(matches);
  if (state.blind) return found.sort((one, other) => one.blind - other.blind);
  if (!state.sort) return state.down ? found.reverse() : found;
  return found.sort((one, other) =>
    compareCells(cell(one, state.sort), cell(other, state.sort), state.down) || one.index - other.index);
}

// Numbers the songs anew, so that nothing is told by their order.
function shuffleBlind() {
  const numbers = songs.map((song, index) => index + 1);
  for (let last = numbers.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [numbers[last], numbers[other]] = [numbers[other], numbers[last]];
  }
  songs.forEach((song, index) => { song.blind = numbers[index]; });
}

// An element with properties, attributes (aria-*, data-*, role and such) and children; texts are always text.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const SHAPES = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6 4.5h4.2v15H6zM13.8 4.5H18v15h-4.2z",
  next: "M5 5v14l9-7zM16 5h3v14h-3z",
  previous: "M19 5v14l-9-7zM5 5h3v14H5z",
  star: "M12 2.8l2.8 6 6.5.8-4.8 4.5 1.3 6.5L12 17.4l-5.8 3.2 1.3-6.5L2.7 9.6l6.5-.8z",
  close: "M5.6 4.2L12 10.6l6.4-6.4 1.4 1.4L13.4 12l6.4 6.4-1.4 1.4L12 13.4l-6.4 6.4-1.4-1.4L10.6 12 4.2 5.6z",
  up: "M12 7l8 8.5-1.5 1.5L12 10l-6.5 7L4 15.5z",
};

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  drawing.append(path);
  return drawing;
}

function announce(text) {
  document.getElementById("status").textContent = text;
}
