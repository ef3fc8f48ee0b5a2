// The page: takes the server's events, draws the newest frame.

import { Orbit, Scene, Triangles, pixelMatrix, plus, scaled } from "./scene.js";
import { SIDE_COLOUR, SPAN_S, drawLatency, drawTimeline, fitted } from "./plots.js";

const el = (id) => document.getElementById(id);
const FINGERS = ["#ff6369", "#ffbe3c", "#60d66c", "#48aaff", "#c47eff"];
const OBJECT = "#40e0d0", AXES = ["#ff5252", "#58d660", "#5096ff"];
const ALL_TICKS = { grasping: "grasping", not_grasping: "not grasping", unknown: "unknown" };
const page = { hello: null, frame: null, bitmap: null, rows: [], state: {}, arrivals: [], shown: 0 };
const orbit = new Orbit(), scene = new Scene(el("scene")), over = new Scene(el("over"));
let pending = null, decoding = false, wanted = false;

const colour = (hex, alpha = 1) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).concat(alpha);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

// ---- events

function connect() {
  const events = new EventSource("events");
  events.addEventListener("hello", (e) => {
    const hello = JSON.parse(e.data);
    for (const side in hello.faces) hello.faces[side] = new Uint16Array(bytes(hello.faces[side]).buffer);
    Object.assign(page, { hello, rows: [], arrivals: [] });
    el("source").textContent = `${hello.source} · ${hello.model}`;
    document.title = `${hello.source} · prehend view`;
    el("player").hidden = hello.live;
  });
  events.addEventListener("state", (e) => { page.state = JSON.parse(e.data); showState(); });
  events.addEventListener("rows", (e) => {
    page.rows.push(...JSON.parse(e.data));
    const now = page.rows[page.rows.length - 1][0];
    page.rows = page.rows.filter((row) => now - row[0] <= SPAN_S);
    draw();
  });
  events.addEventListener("frame", (e) => { pending = JSON.parse(e.data); decode(); });
  events.onerror = () => { el("status").textContent = "connection lost"; el("status").className = "bad"; };
}

async function decode() {
  if (decoding) return;
  decoding = true;
  while (pending) {
    const frame = pending;
    pending = null;
    const bitmap = await createImageBitmap(new Blob([bytes(frame.jpeg)], { type: "image/jpeg" }));
    if (page.bitmap) page.bitmap.close();
    Object.assign(page, { frame: unpacked(frame), bitmap });
    const now = performance.now();
    page.arrivals = page.arrivals.filter((at) => now - at < 2000).concat(now);
    draw();
  }
  decoding = false;
}

function unpacked(frame) {
  const { unit_m, unit_px } = page.hello;
  for (const hand of frame.hands) {
    const [body, pixels] = [hand.mesh, hand.mesh_px].map((text) => new Int16Array(bytes(text).buffer));
    const count = body.length / 3, wrist = hand.joints[0], at = hand.keypoints[0];
    hand.body = new Float32Array(3 * count);
    hand.place = new Float32Array(3 * count); // pixels, and depth in metres
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < 3; k++) hand.body[3 * i + k] = wrist[k] + unit_m * body[3 * i + k];
      for (let k = 0; k < 2; k++) hand.place[3 * i + k] = at[k] + unit_px * pixels[2 * i + k];
      hand.place[3 * i + 2] = hand.body[3 * i + 2];
    }
  }
  return frame;
}

// ---- drawing

function draw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => { wanted = false; drawAll(); });
}

function drawAll() {
  const { frame } = page;
  drawTimeline(el("timeline"), page.rows);
  drawLatency(el("latency"), page.rows);
  if (!frame) return;
  drawPicture(frame);
  drawMeshes(frame);
  drawLines(frame);
  drawSpace(frame);
  showNumbers(frame);
  document.body.dataset.frame = frame.n;
}

function drawPicture(frame) {
  const stack = el("stack"), canvas = el("image");
  stack.style.aspectRatio = `${frame.width} / ${frame.height}`;
  stack.style.width = `min(100cqw, 100cqh * ${frame.width} / ${frame.height})`;
  if (canvas.width !== page.bitmap.width || canvas.height !== page.bitmap.height) {
    canvas.width = page.bitmap.width;
    canvas.height = page.bitmap.height;
  }
  canvas.getContext("2d").drawImage(page.bitmap, 0, 0);
}

function sized(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

function drawMeshes(frame) {
  const triangles = new Triangles();
  sized(over.canvas);
  if (el("mesh").checked) {
    for (const hand of frame.hands) {
      triangles.mesh(hand.place, hand.body, page.hello.faces[hand.side], colour(SIDE_COLOUR[hand.side]));
    }
  }
  over.draw(triangles, pixelMatrix(frame.width, frame.height, 20), [-0.35, -0.65, -0.68]);
}

function drawLines(frame) {
  const [context, width, height] = fitted(el("lines"));
  const scale = width / frame.width, at = (p) => [(p[0] + 0.5) * scale, (p[1] + 0.5) * scale];
  const hands = [...frame.hands].sort((a, b) => (b.joints[0][2] ?? 0) - (a.joints[0][2] ?? 0)), taken = [];
  for (const hand of hands) {
    if (hand.held && el("mesh").checked) drawHeld(context, hand.held, at);
    if (el("skeleton").checked) drawSkeleton(context, hand, at);
  }
  if (el("labels").checked) for (const hand of hands) drawLabel(context, hand, at, width, height, taken);
}

function segment(context, a, b, style, width) {
  for (const [stroke, wide] of [["rgba(16,18,24,.75)", width + 2], [style, width]]) {
    context.strokeStyle = stroke;
    context.lineWidth = wide;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
  }
}

function drawSkeleton(context, hand, at) {
  const points = hand.keypoints.map(at), xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const extent = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  const wide = Math.min(Math.max(0.013 * extent, 1.4), 6);
  context.lineCap = "round";
  page.hello.parents.forEach((parent, joint) => {
    if (parent < 0) return;
    const seen = hand.visible[joint] && hand.visible[parent];
    segment(context, points[parent], points[joint], FINGERS[Math.floor((joint - 1) / 4)], seen ? wide : 0.5 * wide);
  });
  points.forEach((p, joint) => {
    context.beginPath();
    context.arc(p[0], p[1], wide + 0.6, 0, 2 * Math.PI);
    context.lineWidth = 1;
    const style = joint ? FINGERS[Math.floor((joint - 1) / 4)] : "#fff";
    if (hand.visible[joint]) { context.fillStyle = style; context.fill(); context.strokeStyle = "#101218"; context.stroke(); }
    else { context.strokeStyle = style; context.stroke(); }
  });
}

function drawHeld(context, held, at) {
  const points = held.keypoints.map((p) => (p[0] === null ? null : at(p)));
  if (held.pose) {
    for (const [a, b] of page.hello.edges) if (points[a] && points[b]) segment(context, points[a], points[b], OBJECT, 1.6);
    return;
  }
  context.fillStyle = OBJECT;
  for (const p of points) if (p) { context.beginPath(); context.arc(p[0], p[1], 2, 0, 7); context.fill(); }
}

function drawLabel(context, hand, at, width, height, taken) {
  const points = hand.keypoints.filter((p) => p[0] !== null).map(at);
  if (!points.length) return;
  const lines = [`${hand.side} ${hand.id}`, `${ALL_TICKS[hand.state]} ${hand.grasp === null ? "" : `${Math.round(100 * hand.grasp)}%`}`];
  if (hand.held) lines.push(`holds ${hand.held.id}`);
  context.font = "600 12px system-ui, sans-serif";
  const wide = Math.max(...lines.map((line) => context.measureText(line).width)) + 18, tall = 16 * lines.length + 8;
  const x0 = Math.min(...points.map((p) => p[0])), x1 = Math.max(...points.map((p) => p[0]));
  const y0 = Math.min(...points.map((p) => p[1])), y1 = Math.max(...points.map((p) => p[1]));
  const places = [[(x0 + x1 - wide) / 2, y0 - tall - 8], [(x0 + x1 - wide) / 2, y1 + 8], [x1 + 8, (y0 + y1 - tall) / 2], [x0 - wide - 8, (y0 + y1 - tall) / 2]]
    .map(([x, y]) => [Math.min(Math.max(x, 4), width - wide - 4), Math.min(Math.max(y, 4), height - tall - 4)]);
  const hit = ([x, y], [a, b, c, d]) => x < c && x + wide > a && y < d && y + tall > b;
  const cost = (place) => 2 * taken.filter((box) => hit(place, box)).length + hit(place, [x0, y0, x1, y1]);
  const [left, top] = places.reduce((best, place) => (cost(place) < cost(best) ? place : best));
  taken.push([left, top, left + wide, top + tall]);
  context.fillStyle = "rgba(16,18,24,.82)";
  context.beginPath();
  context.roundRect(left, top, wide, tall, 6);
  context.fill();
  context.fillStyle = SIDE_COLOUR[hand.side];
  context.fillRect(left + 5, top + 6, 3, tall - 12);
  context.textAlign = "left";
  lines.forEach((line, number) => {
    context.font = number ? "12px system-ui, sans-serif" : "600 12px system-ui, sans-serif";
    context.fillStyle = number === 1 && hand.state === "grasping" ? "#ffba42" : number ? "#b0bac8" : "#fff";
    context.fillText(line, left + 13, top + 16 + 16 * number);
  });
}

function drawSpace(frame) {
  const triangles = new Triangles(), canvas = scene.canvas;
  sized(canvas);
  const known = frame.hands.filter((hand) => hand.joints.every((p) => p[0] !== null));
  if (known.length) {
    const middle = scaled(known.map((hand) => hand.joints[9]).reduce(plus, [0, 0, 0]), 1 / known.length);
    orbit.follow(middle, Math.hypot(...middle));
  }
  const eye = orbit.eye;
  addStage(triangles, frame, eye);
  for (const hand of known) {
    if (el("mesh").checked) triangles.mesh(hand.body, hand.body, page.hello.faces[hand.side], colour(SIDE_COLOUR[hand.side]));
    if (el("skeleton").checked && !el("mesh").checked) addSkeleton(triangles, hand, eye);
    if (hand.held) addHeld(triangles, hand.held, eye);
  }
  const light = plus(scaled(orbit.axes[2], -1), plus(scaled(orbit.axes[0], -0.5), scaled(orbit.axes[1], -0.7)));
  scene.draw(triangles, orbit.matrix(canvas.width, canvas.height), light);
  el("frame").textContent = frame.camera.estimated ? "camera frame, calibration assumed: distances are rough" : "camera frame";
}

// a floor of 10 cm squares, the camera with its field of view, and its axes (red x, green y, blue z)
function addStage(triangles, frame, eye) {
  const floor = 0.25, grid = colour("#4a566a", 0.75), thin = 0.0012 * orbit.distance;
  for (let i = 0; i <= 12; i++) {
    triangles.line([(i - 6) / 10, floor, 0], [(i - 6) / 10, floor, 1.2], thin, grid, eye);
    triangles.line([-0.6, floor, i / 10], [0.6, floor, i / 10], thin, grid, eye);
  }
  const { f, c } = frame.camera, depth = 0.09, line = colour("#aeb8c8"), origin = [0, 0, 0];
  const corners = [[0, 0], [frame.width, 0], [frame.width, frame.height], [0, frame.height]]
    .map(([x, y]) => [depth * (x - c[0]) / f[0], depth * (y - c[1]) / f[1], depth]);
  corners.forEach((corner, i) => {
    triangles.line(origin, corner, 2 * thin, line, eye);
    triangles.line(corner, corners[(i + 1) % 4], 2 * thin, line, eye);
  });
  AXES.forEach((hex, axis) => {
    const end = [0, 0, 0];
    end[axis] = 0.05;
    triangles.line(origin, end, 4 * thin, colour(hex), eye);
  });
}

function addSkeleton(triangles, hand, eye) {
  page.hello.parents.forEach((parent, joint) => {
    if (parent < 0) return;
    triangles.line(hand.joints[parent], hand.joints[joint], 0.006, colour(FINGERS[Math.floor((joint - 1) / 4)]), eye);
  });
}

const BOX_SIDES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]];

function addHeld(triangles, held, eye) {
  if (held.corners) {
    for (const [a, b] of page.hello.edges) triangles.line(held.corners[a], held.corners[b], 0.003, colour(OBJECT), eye);
    for (const side of BOX_SIDES) triangles.quad(...side.map((corner) => held.corners[corner]), colour(OBJECT, 0.18));
  }
  if (!held.pose) return;
  const origin = held.pose.map((row) => row[3]);
  AXES.forEach((hex, axis) => {
    triangles.line(origin, plus(origin, scaled(held.pose.map((row) => row[axis]), 0.05)), 0.004, colour(hex), eye);
  });
}

// ---- numbers

function cell(row, text, className = "") {
  const td = row.insertCell();
  td.className = className;
  td.textContent = text;
  return td;
}

function showNumbers(frame) {
  const body = el("hands");
  body.replaceChildren();
  for (const hand of frame.hands) {
    const row = body.insertRow(), wrist = hand.joints[0], distance = wrist[0] === null ? null : Math.hypot(...wrist);
    row.className = `${hand.side} ${hand.state}`;
    cell(row, `${hand.side} ${hand.id}`, "side");
    cell(row, fixed(hand.score, 2));
    const grasp = cell(row, ""), bar = document.createElement("span"), fill = document.createElement("i"), state = document.createElement("span");
    bar.className = "bar";
    state.className = "state";
    fill.style.width = `${100 * (hand.grasp ?? 0)}%`;
    state.textContent = `${ALL_TICKS[hand.state]} ${hand.grasp === null ? "" : `${Math.round(100 * hand.grasp)} %`}`;
    bar.append(fill);
    grasp.append(bar, state);
    cell(row, hand.since === null || frame.stamp === null ? "–" : `${(frame.stamp - hand.since).toFixed(1)} s`);
    cell(row, wrist.map((v) => fixed(v, 3)).join("  "), "number");
    cell(row, `${fixed(distance, 3)}${hand.std === null ? "" : ` ± ${hand.std.toFixed(3)}`}`, "number");
    cell(row, held(hand.held));
  }
  el("none").hidden = frame.hands.length > 0;
  el("stages").textContent = Object.entries(frame.timing).map(([stage, ms]) => `${stage} ${fixed(ms, 1)}`).join("  ") + " ms";
  el("span").textContent = `last ${SPAN_S} s; filled: grasping, line: probability`;
  showState();
}

function held(one) {
  if (!one) return "–";
  const size = one.extents ? ` ${one.extents.map((m) => (100 * m).toFixed(0)).join(" × ")} cm${one.estimated ? " (estimated)" : ""}` : "";
  return `${one.id}${size}${one.no_pose ? `, no pose: ${one.no_pose.replaceAll("_", " ")}` : ""}`;
}

function showState() {
  const { state, frame, arrivals } = page, status = el("status");
  el("play").textContent = state.paused || state.ended ? "Play" : "Pause";
  el("loop").checked = Boolean(state.loop);
  status.className = "";
  if (!frame) { status.textContent = "waiting for the first frame"; return; }
  const seconds = arrivals.length > 1 ? (arrivals[arrivals.length - 1] - arrivals[0]) / 1000 : 0;
  const rate = seconds > 0 ? `${((arrivals.length - 1) / seconds).toFixed(0)} Hz` : "";
  const mode = state.ended ? "end" : state.paused ? "paused" : rate;
  status.textContent = `frame ${frame.index} · ${fixed(frame.t, 2)} s · ${frame.width} × ${frame.height} · ${mode}`;
}

// ---- a person

function command(name) {
  fetch("control", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ do: name }) })
    .catch(() => { el("status").textContent = "connection lost"; });
}

const toggle = () => command(page.state.paused || page.state.ended ? "play" : "pause");
el("play").onclick = toggle;
el("step").onclick = () => command("step");
el("restart").onclick = () => command("restart");
el("loop").onchange = () => command(el("loop").checked ? "loop" : "once");
for (const id of ["mesh", "skeleton", "labels"]) el(id).onchange = draw;

document.addEventListener("keydown", (e) => {
  if (e.target.tagName === "INPUT" || e.target.tagName === "BUTTON" || !page.hello || page.hello.live) return;
  const action = { " ": toggle, ArrowRight: () => command("step"), r: () => command("restart"), l: () => command(page.state.loop ? "once" : "loop") }[e.key];
  if (action) { e.preventDefault(); action(); }
});

const canvas = scene.canvas;
canvas.addEventListener("pointerdown", (e) => canvas.setPointerCapture(e.pointerId));
canvas.addEventListener("pointermove", (e) => {
  if (!e.buttons) return;
  if (e.shiftKey || e.buttons & 2) orbit.move(e.movementX, e.movementY, canvas.clientHeight);
  else orbit.turn(e.movementX, e.movementY);
  draw();
});
canvas.addEventListener("wheel", (e) => { e.preventDefault(); orbit.zoom(Math.exp(0.0012 * e.deltaY)); draw(); }, { passive: false });
canvas.addEventListener("dblclick", () => { orbit.reset(); draw(); });
canvas.addEventListener("contextmenu", (e) => e.preventDefault());
window.addEventListener("resize", draw);
if (!scene.gl) el("frame").textContent = "this browser has no WebGL: meshes are not shown";

connect();
