// Builds the page, and shows the songs again whenever what is asked of them has changed.
function render() {
  const shown = shownSongs();
  const views = { songs: renderSongs, table: renderTable, grid: renderGrid };
  const view = shown.length ? views[state.view](shown) : make("p", { className: "muted none" }, "No song is like that.");
  document.body.classList.toggle("blind", state.blind);
  document.getElementById("songs").replaceChildren(view);
  if (!shown.length) state.order = [];
  showTools();
  showSummary(shown);
  showPlaying();
  findHeads();
}

function showSummary(shown) {
  const made = songs.filter((song) => song.files.length);
  const failed = songs.length - made.length;
  const total = made.reduce((sum, song) => sum + song.duration, 0);
  const part = shown.length < songs.length ? `${shown.length} of ${counted(songs.length, "song")}` : counted(songs.length, "song");
  const text = `${part} · ${clock(total, Math.round)}${failed ? ` · ${failed} not made` : ""}`;
  const place = document.getElementById("summary");
  if (place.textContent && place.textContent !== text) announce(`${part} shown`);
  place.textContent = text;
}

function showAbout() {
  const about = document.getElementById("about");
  about.hidden = !page.facts.length && !Object.keys(page.common).length;
  const shared = Object.entries(page.common).map(([name, value]) => [name, words(value)]);
  const [facts, settings] = [pairs(page.facts), pairs(shared)];
  about.querySelector("dl").replaceWith(...[facts, settings && make("h2", {}, "What all songs share"), settings].filter(Boolean));
}

// The panel beside the songs begins where the tools end, which stay in sight and may take several lines.
function followTools() {
  const tools = document.getElementById("tools");
  new ResizeObserver(() => document.documentElement.style.setProperty("--tools", `${tools.offsetHeight}px`)).observe(tools);
}

// Brings the element of a song into view, in whichever view it is.
function reveal(song) {
  for (const element of document.querySelectorAll(".song, .cell, tr")) {
    if (element.song === song) element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

loadMarks();
followOtherWindows();
listenToAudio();
buildPlayer();
buildTools();
followTools();
buildHelp();
showAbout();
showNotice();
render();
const first = state.order.find((song) => song.files.length) ?? songs[0];
if (first) choose(first);
document.addEventListener("keydown", onKey);
document.documentElement.dataset.ready = "true";
