// The paper. Undo needs the strokes one by one, so they are kept as points and drawn again.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const small = document.createElement("canvas");
small.width = canvas.width / 2;
small.height = canvas.height / 2;
const thickness = element.querySelector("input[type=range]");
const chosen = element.querySelector("input[type=file]");
const spoken = element.querySelector(".spoken");
const buttons = Object.fromEntries(
  [...element.querySelectorAll("[data-do]")].map((button) => [button.dataset.do, button]),
);
const MAX_UPLOAD = Number("@MAX_UPLOAD@");
const shown = element.querySelector(".answer");
const REST = 500; // milliseconds
const PAUSE = 120; // milliseconds between pictures of an unfinished stroke: its end must not wait
let items = []; // strokes, and at most one picture, which is the first
let stroke = null;
let waiting = false; // for an answer
let changed = false; // while it was waited for
let rest = 0;
let sentAt = 0;

function paint() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = "#000";
  for (const item of items) {
    if (item.picture) {
      pen.drawImage(item.picture, ...item.place);
      continue;
    }
    pen.lineWidth = item.width;
    pen.beginPath();
    pen.moveTo(...item.points[0]);
    for (const point of item.points) pen.lineTo(...point);
    pen.stroke();
  }
  buttons.undo.disabled = buttons.clear.disabled = items.length === 0;
}

// A quarter of the pixels is plenty for a digit, and read four times as fast.
function describe() {
  if (items.length === 0) return { kind: "blank" };
  if (items[0].file) return items[0].file;
  const brush = small.getContext("2d", { willReadFrequently: true });
  brush.clearRect(0, 0, small.width, small.height);
  brush.drawImage(canvas, 0, 0, small.width, small.height);
  return { kind: "drawing", name: "", data: small.toDataURL("image/png") };
}

// One picture travels at a time. What was drawn meanwhile is sent when the answer is here.
async function send() {
  changed = true;
  sentAt = performance.now();
  if (waiting) return;
  waiting = true;
  canvas.dataset.state = "waiting";
  while (changed) {
    changed = false;
    try {
      shown.innerHTML = await server.answer(describe());
    } catch {
      shown.textContent = "The program does not answer. Start it again and reload the page.";
    }
  }
  waiting = false;
  canvas.dataset.state = "answered";
  speak();
}

// Screen readers hear the number once the drawing rests, not at each point of a stroke.
function speak() {
  clearTimeout(rest);
  rest = setTimeout(() => {
    spoken.textContent = (shown.querySelector(".numbers") ?? shown).textContent.trim();
  }, REST);
}

function change(next) {
  items = next;
  paint();
  send();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * canvas.width) / box.width,
    ((event.clientY - box.top) * canvas.height) / box.height,
  ];
}

canvas.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  stroke = { width: Number(thickness.value), points: [place(event)] };
  items = [...items.filter((item) => !item.file), stroke]; // a drawing replaces a photo
  paint();
});

canvas.addEventListener("pointermove", (event) => {
  if (!stroke || !event.isPrimary) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const each of events.length ? events : [event]) stroke.points.push(place(each));
  paint();
  if (performance.now() - sentAt > PAUSE) send();
});

for (const name of ["pointerup", "pointercancel"])
  canvas.addEventListener(name, (event) => {
    if (!stroke || !event.isPrimary) return;
    stroke = null;
    send();
  });

buttons.undo.addEventListener("click", () => change(items.slice(0, -1)));
buttons.clear.addEventListener("click", () => change([]));
element.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && items.length) {
    event.preventDefault();
    change(items.slice(0, -1));
  }
});

function read(file) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => resolve("");
    reader.readAsDataURL(file);
  });
}

function load(url) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = reject;
    picture.src = url;
  });
}

function fit(picture, share) {
  const by = share * Math.min(canvas.width / picture.width, canvas.height / picture.height);
  const [width, height] = [picture.width * by, picture.height * by];
  return [(canvas.width - width) / 2, (canvas.height - height) / 2, width, height];
}

async function showPhoto(file) {
  // What is too large need not travel: the server says so.
  const kind = file.size > MAX_UPLOAD ? "too large" : "photo";
  const item = { file: { kind, name: file.name }, picture: document.createElement("canvas") };
  item.place = [0, 0, 1, 1];
  if (kind === "photo") {
    item.file.data = await read(file);
    try {
      item.picture = await load(item.file.data);
      item.place = fit(item.picture, 1);
    } catch {
      // The browser cannot show it, for example a TIFF. The server reads it, or says why not.
    }
  }
  change([item]);
}

chosen.addEventListener("change", () => {
  if (chosen.files.length) showPhoto(chosen.files[0]);
  chosen.value = ""; // so that the same file can be chosen again
});
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) showPhoto(event.dataTransfer.files[0]);
});

// A test image is light ink on black: its brightness becomes the opacity of black ink.
for (const button of element.querySelectorAll(".examples button"))
  button.addEventListener("click", () => {
    const picture = button.querySelector("img");
    const ink = document.createElement("canvas");
    ink.width = picture.naturalWidth;
    ink.height = picture.naturalHeight;
    const brush = ink.getContext("2d");
    brush.drawImage(picture, 0, 0);
    const pixels = brush.getImageData(0, 0, ink.width, ink.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i];
      pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = 0;
    }
    brush.putImageData(pixels, 0, 0);
    change([{ picture: ink, place: fit(ink, 0.9) }]);
  });

canvas.dataset.ready = "yes";
