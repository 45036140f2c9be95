// The player: one audio element for all songs, so that hundreds cost nothing; a switch can keep the position.
const audio = make("audio", { preload: "none" });
const TYPES = { wav: "audio/wav", flac: "audio/flac", mp3: "audio/mpeg", ogg: "audio/ogg", opus: "audio/ogg; codecs=opus" };
let loaded = null; // the song that the audio element holds
let startAt = 0; // where the current song begins when it is loaded, in seconds

function fileOf(song) {
  const canPlay = ([name]) => audio.canPlayType(TYPES[name.split(".").pop().toLowerCase()] ?? "") !== "";
  return song.files.find(canPlay) ?? song.files[0];
}

function durationOf(song) {
  return loaded === song && Number.isFinite(audio.duration) ? audio.duration : song.duration;
}

function position() {
  return loaded === state.current && audio.readyState > 0 ? audio.currentTime : startAt;
}

function isPlaying(song = state.current) {
  return song !== null && loaded === song && !audio.paused;
}

// Makes a song the current one without playing it.
function choose(song, at = 0) {
  if (song === state.current) return;
  if (!audio.paused) audio.pause();
  state.current = song;
  startAt = Math.min(at, Math.max(0, song.duration - 0.05));
  showCurrent();
}

function play(song, at = null) {
  if (!song || !song.files.length) return;
  const from = at ?? (state.keepPosition && state.current ? position() : 0);
  if (song !== state.current) choose(song, from);
  else if (at !== null) startAt = at;
  if (loaded !== song) {
    loaded = song;
    audio.src = fileOf(song)[1];
  } else if (at !== null) {
    audio.currentTime = at;
  }
  audio.play().catch((error) => {
    if (error.name !== "AbortError") announce(`${labelOf(song)} cannot be played: ${error.message}`);
  });
}

function toggle(song = state.current) {
  if (isPlaying(song)) audio.pause();
  else play(song ?? state.order[0]);
}

// Goes to a share of a song, and plays it if it was not the current one.
function seek(song, share) {
  if (!song.files.length) return;
  const at = Math.min(share * durationOf(song), Math.max(0, durationOf(song) - 0.02));
  if (song !== state.current) play(song, at);
  else if (loaded === song && audio.readyState > 0) audio.currentTime = at;
  else startAt = at;
  showPosition();
}

function skip(seconds) {
  if (state.current) seek(state.current, (position() + seconds < 0 ? 0 : position() + seconds) / durationOf(state.current));
}

// The next or previous song in the order in which they are shown.
function step(by) {
  const order = state.order.filter((song) => song.files.length);
  if (!order.length) return;
  const place = order.indexOf(state.current);
  const next = order[place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length];
  if (audio.paused) choose(next, state.keepPosition ? position() : 0);
  else play(next);
  reveal(next);
}

function showPosition() {
  if (!state.current) return;
  const length = durationOf(state.current);
  const at = Math.min(position(), length);
  const share = `${length ? (100 * at) / length : 0}%`;
  for (const picture of pictures) picture.head.style.width = share;
  const text = `${clock(at)} of ${clock(length, Math.round)}`;
  const slider = document.getElementById("position");
  document.getElementById("clock").textContent = `${clock(at)} / ${clock(length, Math.round)}`;
  slider.setAttribute("aria-valuemax", String(Math.round(length)));
  slider.setAttribute("aria-valuenow", String(Math.round(at)));
  slider.setAttribute("aria-valuetext", text);
}

function follow() {
  showPosition();
  if (!audio.paused) requestAnimationFrame(follow);
}

function listenToAudio() {
  audio.addEventListener("loadedmetadata", () => {
    if (startAt > 0) audio.currentTime = Math.min(startAt, Math.max(0, audio.duration - 0.05));
    showPosition();
  });
  audio.addEventListener("play", () => {
    showPlaying();
    announce(`Playing ${labelOf(state.current)}`);
    follow();
  });
  audio.addEventListener("pause", showPlaying);
  audio.addEventListener("seeked", showPosition);
  audio.addEventListener("ended", () => {
    startAt = 0;
    const order = state.order.filter((song) => song.files.length);
    const next = order[order.indexOf(state.current) + 1];
    if (next) {
      play(next, 0);
      reveal(next);
    } else showPlaying();
  });
  audio.addEventListener("error", () => {
    if (!audio.error || !state.current) return;
    document.querySelectorAll(".song").forEach((row) => row.classList.toggle("broken", row.classList.contains("broken") || row.song === loaded));
    document.getElementById("trouble").hidden = false;
    announce(`${labelOf(state.current)} cannot be played: its file is missing, or this browser does not know its format`);
    loaded = null;
    showPlaying();
  });
}

// Every button that plays shows whether its song does.
function showPlaying() {
  for (const button of document.querySelectorAll(".play")) {
    const song = button.song ?? state.current;
    const playing = isPlaying(song);
    if (button.classList.contains("on") !== playing || !button.firstChild) {
      button.classList.toggle("on", playing);
      button.replaceChildren(icon(playing ? "pause" : "play"));
    }
    const what = button.song ? ` ${labelOf(button.song)}` : "";
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"}${what}`);
  }
  for (const element of document.querySelectorAll(".cell")) {
    element.classList.toggle("on", isPlaying(element.song));
    element.setAttribute("aria-pressed", String(isPlaying(element.song)));
  }
  showPosition();
}
