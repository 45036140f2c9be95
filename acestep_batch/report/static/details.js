// The panel of the current song: transport, waveform, and everything that is known about it.
const wide = matchMedia("(min-width: 60rem)");

function buildPlayer() {
  const slider = make("div", {
    id: "position", role: "slider", tabIndex: 0, "aria-label": "Position", "aria-valuemin": "0", "aria-valuemax": "0",
    "aria-valuenow": "0", onkeydown: positionKeys,
  });
  const button = (name, label, onclick) => make("button", { type: "button", className: name, "aria-label": label, onclick }, icon(name));
  const keepBox = make("input", {
    type: "checkbox", id: "keep", checked: state.keepPosition, onchange: () => { state.keepPosition = keepBox.checked; },
  });
  document.getElementById("player").append(
    make("div", { className: "bar" },
      make("div", { className: "now" },
        make("strong", { id: "now", dir: "auto" }, "No song chosen"),
        make("span", { id: "clock" }, "0:00 / 0:00")),
      slider,
      make("div", { className: "buttons" },
        button("previous", "Previous song", () => step(-1)),
        make("button", { type: "button", className: "play", "aria-label": "Play", onclick: () => toggle() }, icon("play")),
        button("next", "Next song", () => step(1)),
        make("span", { id: "current-star" }),
        make("label", { className: "check", title: "A switch to another song goes on where this one is" }, keepBox, "Keep position"),
        make("button", { type: "button", id: "open", "aria-label": "Details", "aria-expanded": "false", "aria-controls": "details", onclick: () => openDetails() }, icon("up"))),
      make("p", { id: "trouble", className: "error", hidden: true }, "This file is missing, or the browser does not know its format.")),
    make("div", { id: "details" }),
    audio,
  );
}

function positionKeys(event) {
  const keys = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -30, PageUp: 30 };
  if (!state.current || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in keys) skip(keys[event.key]);
  else if (event.key === "Home") seek(state.current, 0);
  else if (event.key === "End") seek(state.current, 1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

// On a narrow page the details lie folded under the transport.
function openDetails(open = !document.getElementById("player").classList.contains("open")) {
  document.getElementById("player").classList.toggle("open", open);
  document.getElementById("open").setAttribute("aria-expanded", String(open));
}

function showCurrent() {
  const song = state.current;
  document.getElementById("now").textContent = labelOf(song);
  document.getElementById("trouble").hidden = true;
  document.getElementById("position").replaceChildren(seekByPointer(pictureOf(song, [waveOf])));
  document.getElementById("current-star").replaceChildren(...(song.files.length ? [starButton(song)] : []));
  document.getElementById("details").replaceChildren(...detailsOf(song));
  for (const element of document.querySelectorAll(".song, .cell, tr")) {
    if (element.song) element.setAttribute("aria-current", String(element.song === song));
  }
  findHeads();
  showPlaying();
}

function detailsOf(song) {
  const parts = [];
  if (song.error) parts.push(make("p", { className: "error", dir: "auto" }, song.error));
  if (song.picture) parts.push(part("Mel spectrogram", seekByPointer(pictureOf(song, [spectrogramOf]))));
  if (!state.blind) {
    if (song.quality || song.reasons.length) parts.push(part("Quality", flagOf(song), listOf(song.reasons)));
    parts.push(part("Different from the others", pairs(settingsOf(song))));
    parts.push(part("Measured", pairs(resultsOf(song))));
  }
  parts.push(part("Prompt", longText(song.prompt, "Prompt")));
  if (song.lyrics) parts.push(part("Lyrics", longText(song.lyrics, "Lyrics")));
  if (song.files.length) parts.push(part("Note", noteOf(song)));
  if (!state.blind && song.files.length) parts.push(part("Files", filesOf(song)));
  if (!state.blind && song.notes.length) parts.push(part("Remarks of the run", listOf(song.notes)));
  return parts.filter((each) => each !== null);
}

function part(title, ...children) {
  const kept = children.filter((child) => child !== null);
  return kept.length ? make("section", {}, make("h2", {}, title), ...kept) : null;
}

function pairs(found) {
  if (!found.length) return null;
  return make("dl", {}, ...found.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value))));
}

function listOf(lines) {
  return lines.length ? make("ul", {}, ...lines.map((line) => make("li", { dir: "auto" }, line))) : null;
}

function longText(text, name) {
  if (!text) return make("p", { className: "muted" }, "none");
  return make("div", { className: "text", dir: "auto", tabIndex: 0, role: "region", "aria-label": name }, text);
}

function flagOf(song) {
  return make("span", { className: `flag ${song.quality}`, title: song.reasons.join("; ") }, song.quality);
}

function noteOf(song) {
  const field = make("textarea", {
    rows: 2, value: song.note, dir: "auto", "aria-label": `Note about ${labelOf(song)}`,
    placeholder: "Kept in this browser, exported with the star",
    oninput: () => {
      song.note = field.value;
      keepMark(song);
    },
  });
  return field;
}

function filesOf(song) {
  const link = ([name, address]) => [
    make("a", { href: address, dir: "auto" }, name), " ", make("a", { href: `${address}.json` }, "record")];
  return make("ul", { className: "files" }, ...song.files.map((file) => make("li", {}, ...link(file))));
}
