// The keyboard, and the help that says so. Keys do nothing while a text is typed, and can be turned off.
const KEYS = [
  [["Space"], "play or pause", () => toggle()],
  [["n", "j"], "next song", () => step(1)],
  [["p", "k"], "previous song", () => step(-1)],
  [["ArrowRight"], "5 seconds on", () => skip(5)],
  [["ArrowLeft"], "5 seconds back", () => skip(-5)],
  [["s"], "star, or take the star away", () => state.current?.files.length && toggleStar(state.current)],
  [["a"], "keep the position when switching, or not", () => document.getElementById("keep").click()],
  [["b"], "blind: hide names, settings and measurements", () => toggleBlind()],
  [["d"], "fold the details in or out, on a narrow page", () => openDetails()],
  [["1"], "songs", () => showView("songs")],
  [["2"], "grid", () => page.grid && showView("grid")],
  [["3"], "table", () => showView("table")],
  [["/"], "search", () => document.getElementById("search").focus()],
  [["?"], "this help", () => openHelp()],
];
const NAMES = { ArrowRight: "→", ArrowLeft: "←" };
let keysOn = true;

function onKey(event) {
  if (!keysOn || event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  const target = event.target;
  const isTyping = target.matches("textarea, select, input:not([type=checkbox])");
  if (event.key === "Escape" && !isTyping) openDetails(false);
  if (event.key === "Escape" && target.id === "search") target.blur();
  if (isTyping) return;
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Space" && target.matches("button, a, summary, input")) return; // it presses them
  const found = KEYS.find(([names]) => names.includes(key));
  if (!found) return;
  event.preventDefault();
  found[2]();
}

function openHelp() {
  document.getElementById("help").showModal();
}

function buildHelp() {
  const dialog = document.getElementById("help");
  const rows = KEYS.map(([names, what]) => make("div", {},
    make("dt", {}, ...names.flatMap((name, index) => [index ? " " : "", make("kbd", {}, NAMES[name] ?? name)])), make("dd", {}, what)));
  const box = make("input", { type: "checkbox", checked: true, onchange: () => { keysOn = box.checked; } });
  dialog.append(
    make("h2", { id: "help-title" }, "Keys"),
    make("dl", {}, ...rows),
    make("label", { className: "check" }, box, "Keys are on"),
    make("p", {}, "A click on a waveform or a spectrogram seeks. Stars and notes stay in this browser; Export saves the starred songs as a manifest, which makes them again with "),
    make("p", {}, make("code", {}, "python -m acestep_batch manifest.path=FILE")),
    make("form", { method: "dialog" }, make("button", {}, "Close")),
  );
}
