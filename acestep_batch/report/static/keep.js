// Stars and notes: kept in the browser, one item for each song, and exported as a manifest that makes the songs again.
const STORE = "acestep_batch/song/";
let stored = true;

function loadMarks() {
  for (const song of songs) {
    try {
      const found = JSON.parse(localStorage.getItem(STORE + song.key) ?? "{}");
      song.star = found.star === true;
      song.note = typeof found.note === "string" ? found.note : "";
    } catch (error) {
      if (error instanceof SyntaxError) continue;
      stored = false;
      return;
    }
  }
}

function keepMark(song) {
  if (!stored) return;
  try {
    if (song.star || song.note) localStorage.setItem(STORE + song.key, JSON.stringify({ star: song.star, note: song.note }));
    else localStorage.removeItem(STORE + song.key);
  } catch {
    stored = false;
    showNotice();
  }
}

function showNotice() {
  const notice = document.getElementById("notice");
  notice.hidden = stored;
  notice.textContent = "This browser keeps nothing for this page: export your stars before you close it.";
}

function toggleStar(song) {
  song.star = !song.star;
  keepMark(song);
  showStar(song);
  showTools();
  if (state.starred) render();
  announce(`${labelOf(song)} ${song.star ? "starred" : "no longer starred"}`);
}

// The stars of a song, wherever they are shown.
function showStar(song) {
  for (const button of document.querySelectorAll(".star")) {
    if (button.song === song) button.setAttribute("aria-pressed", String(song.star));
  }
  for (const element of document.querySelectorAll(".cell, .song")) {
    if (element.song === song) element.classList.toggle("starred", song.star);
  }
}

function starButton(song) {
  const button = make("button", {
    type: "button", className: "star", "aria-label": `Star ${labelOf(song)}`, "aria-pressed": String(song.star),
    onclick: () => toggleStar(button.song),
  }, icon("star"));
  button.song = song;
  return button;
}

// A manifest row for each starred song, every parameter and the seed as they were. Ids are unique, whatever their case.
function picks() {
  const taken = new Set();
  return songs.filter((song) => song.star).map((song) => {
    let id = song.id;
    for (let number = 2; taken.has(id.toLowerCase()); number += 1) id = `${song.id}_${number}`;
    taken.add(id.toLowerCase());
    const made = { identity: song.identity, from: song.label, ...(song.note ? { note: song.note } : {}) };
    return { id, prompt: song.prompt, lyrics: song.lyrics, ...page.common, ...song.own, record: made };
  });
}

function exportPicks() {
  const rows = picks();
  const text = `${JSON.stringify({ songs: rows }, null, 2)}\n`;
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = page.title.replace(/[^\p{L}\p{N}]+/gu, "_").slice(0, 60);
  make("a", { href: address, download: `${name}_picks.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  announce(`${counted(rows.length, "song")} exported`);
}

// Another window of this or of another report may star the same songs.
function followOtherWindows() {
  window.addEventListener("storage", (event) => {
    const song = songs.find((each) => STORE + each.key === event.key);
    if (!song) return;
    loadMarks();
    showStar(song);
    showTools();
  });
}
