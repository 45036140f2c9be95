// Waveforms and spectrograms: drawn when they come into view, with a playhead, and a click on them seeks.
const BARS = 256;
const pictures = new Set();

function peaksOf(song) {
  if (!song.bytes) song.bytes = Uint8Array.from(atob(song.peaks), (letter) => letter.charCodeAt(0));
  return song.bytes;
}

// The loudest peak of all songs fills the height, so that quiet songs show, and still look quieter than loud ones.
let loudest = 0;

function drawWave(canvas) {
  const bytes = peaksOf(canvas.song);
  if (!loudest) loudest = Math.max(1, ...songs.map((song) => peaksOf(song).reduce((most, level) => Math.max(most, level), 0)));
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (!width || !height || !bytes.length) return;
  canvas.width = width;
  canvas.height = height;
  const style = getComputedStyle(canvas);
  const pen = canvas.getContext("2d");
  const step = Math.max(1, Math.ceil((2.5 * ratio * BARS) / width));
  const bars = Math.floor(BARS / step);
  for (const [part, colour] of [[0, style.getPropertyValue("--wave")], [1, style.getPropertyValue("--wave-body")]]) {
    pen.fillStyle = colour;
    for (let bar = 0; bar < bars; bar += 1) {
      let level = 0;
      for (let each = bar * step; each < (bar + 1) * step; each += 1) level = Math.max(level, bytes[part * BARS + each]);
      const tall = Math.max(ratio, (level / loudest) * height);
      const left = Math.round((bar / bars) * width);
      const right = Math.round(((bar + 1) / bars) * width);
      pen.fillRect(left, (height - tall) / 2, Math.max(1, right - left - (right - left > 2 ? 1 : 0)), tall);
    }
  }
}

const sized = new ResizeObserver((entries) => entries.forEach((entry) => drawWave(entry.target)));
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) sized.observe(target);
    else {
      sized.unobserve(target);
      target.width = 0; // gives the memory back
    }
  }
}, { rootMargin: "200px" });

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.querySelectorAll("canvas.wave").forEach(drawWave);
});

function waveOf(song) {
  const canvas = make("canvas", { className: "wave", "aria-hidden": "true" });
  canvas.song = song;
  seen.observe(canvas);
  return canvas;
}

function spectrogramOf(song) {
  return make("img", { className: "mel", loading: "lazy", decoding: "async", alt: "", draggable: false, src: song.picture });
}

// The waveform, the spectrogram or both of a song under one playhead.
function pictureOf(song, kinds) {
  const head = make("div", { className: "head" });
  const picture = make("div", { className: "picture" }, ...kinds.map((kind) => kind(song)), head);
  picture.song = song;
  picture.head = head;
  return picture;
}

// Seeks where the pointer goes down, and follows it while it stays down.
function seekByPointer(picture) {
  const at = (event) => {
    const box = picture.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  picture.addEventListener("click", (event) => seek(picture.song, at(event)));
  picture.addEventListener("pointermove", (event) => {
    if (event.buttons === 1 && picture.song === state.current) seek(picture.song, at(event));
  });
  return picture;
}

// Finds the pictures of the song that is played; to be called when either has changed.
function findHeads() {
  pictures.clear();
  for (const picture of document.querySelectorAll(".picture")) {
    const isCurrent = picture.song === state.current;
    picture.classList.toggle("current", isCurrent);
    if (isCurrent) pictures.add(picture);
  }
  showPosition();
}
