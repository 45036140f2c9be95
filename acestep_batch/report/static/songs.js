// The list: a row for each song, built once and put in order as asked; rows out of sight cost no layout.
function songRow(song) {
  if (song.row) return song.row;
  const row = make("li", { className: "song" });
  row.song = song;
  song.row = row;
  fillRow(row);
  return row;
}

function fillRow(row) {
  const song = row.song;
  const isMade = song.files.length > 0;
  const play = make("button", { type: "button", className: "play", disabled: !isMade, onclick: () => toggle(song) });
  play.song = song;
  const title = make("button", { type: "button", className: "title", dir: "auto", onclick: () => { choose(song); openDetails(true); } }, nameOf(song));
  const chips = state.blind ? [] : settingsOf(song).filter(([name]) => page.telling.includes(name)).map(([name, value]) => make("span", { className: "chip", dir: "auto" }, `${name} ${value}`));
  const facts = state.blind ? [] : headlines(song).map((text) => make("span", {}, text));
  if (song.quality && !state.blind) facts.push(flagOf(song));
  row.classList.toggle("starred", song.star);
  row.setAttribute("aria-current", String(song === state.current));
  row.replaceChildren(
    play,
    make("div", { className: "name" }, title, ...chips,
      promptsDiffer && song.prompt ? make("p", { className: "prompt", dir: "auto" }, song.prompt.slice(0, 300)) : null),
    make("div", { className: "facts" }, ...facts, make("span", { className: "length" }, isMade ? clock(song.duration, Math.round) : "–")),
    isMade ? starButton(song) : make("span"),
    song.error
      ? make("p", { className: "error", dir: "auto" }, song.error)
      : song.picture
        ? seekByPointer(pictureOf(song, [waveOf, spectrogramOf]))
        : make("p", { className: "muted" }, isMade ? "No picture: the file could not be read." : "No audio."),
  );
}

// The one or two numbers that a list should tell, where they were measured.
function headlines(song) {
  return [["loudness_lufs", "LUFS"], ["true_peak_dbtp", "dBTP"]]
    .filter(([name]) => columns.has(name) && cell(song, name) !== null)
    .map(([name, unit]) => `${Number(cell(song, name)).toFixed(1)} ${unit}`);
}

function renderSongs(shown) {
  const rows = shown.map(songRow);
  state.order = shown;
  return make("ol", { className: "list" }, ...rows);
}

// Rows are built once; this brings them up to date after what they show has changed.
function refreshRows() {
  for (const song of songs) if (song.row) fillRow(song.row);
}
