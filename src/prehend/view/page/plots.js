// The two strips over time: grasps of each hand, milliseconds of each frame.

export const SIDES = ["left", "right"];
export const SIDE_COLOUR = { left: "#5cb2ff", right: "#ffa860" };
export const SPAN_S = 20;
const QUIET = "#8f9bad", LINE = "#262d39", WARM = "#ffba42";
const GAP_S = 0.5, LANES = 5, FRAME_MS = 1000 / 30;

// a canvas as large as it is shown, in CSS pixels
export function fitted(canvas) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return [context, width, height];
}

function ticks(context, x, now, width, height) {
  context.strokeStyle = LINE;
  context.fillStyle = QUIET;
  context.textAlign = "center";
  for (let s = Math.max(0, Math.ceil((now - SPAN_S) / 5) * 5); s <= now; s += 5) {
    context.beginPath();
    context.moveTo(x(s), 0);
    context.lineTo(x(s), height - 14);
    context.stroke();
    if (x(s) < width - 14) context.fillText(`${s} s`, x(s), height - 2);
  }
}

// rows: [t, ms, [[id, side, probability, state], ...]]
export function drawTimeline(canvas, rows) {
  const [context, width, height] = fitted(canvas);
  if (!rows.length) return;
  const now = rows[rows.length - 1][0], left = 62;
  const x = (t) => left + (width - left) * (1 - (now - t) / SPAN_S);
  ticks(context, x, now, width, height);
  const tracks = new Map();
  for (const row of rows) {
    for (const [id, side, probability, state] of row[2]) {
      if (!tracks.has(id)) tracks.set(id, []);
      tracks.get(id).push([row[0], side, probability, state]);
    }
  }
  const shown = [...tracks.keys()].sort((a, b) => a - b).slice(-LANES);
  const lane = Math.min(30, (height - 18) / Math.max(shown.length, 1));
  shown.forEach((id, number) => {
    const points = tracks.get(id), side = SIDES[points[points.length - 1][1]], top = number * lane;
    context.fillStyle = SIDE_COLOUR[side];
    context.textAlign = "left";
    context.fillText(`${side} ${id}`, 0, top + lane / 2 + 4);
    drawLane(context, points, x, top + 2, lane - 5);
  });
}

function drawLane(context, points, x, top, height) {
  for (let i = 0, j; i < points.length; i = j) { // a run of one state at a time
    const state = points[i][3];
    for (j = i + 1; j < points.length && points[j][3] === state && points[j][0] - points[j - 1][0] < GAP_S; j++);
    const joined = j < points.length && points[j][0] - points[j - 1][0] < GAP_S;
    const x0 = x(points[i][0]), x1 = joined ? x(points[j][0]) : x(points[j - 1][0]) + 2;
    context.fillStyle = state === "grasping" ? "rgba(255,186,66,.30)" : "rgba(143,155,173,.13)";
    context.fillRect(x0, top, x1 - x0, height);
    if (state !== "grasping") continue;
    context.fillStyle = WARM;
    context.fillRect(x0 - 1, top - 1, 2, height + 2);
  }
  context.strokeStyle = WARM;
  context.lineWidth = 1.4;
  context.beginPath();
  points.forEach(([t, , probability], i) => {
    if (probability === null) return;
    const before = points[i - 1], y = top + height * (1 - probability);
    if (!before || before[2] === null || t - before[0] >= GAP_S) context.moveTo(x(t), y); else context.lineTo(x(t), y);
  });
  context.stroke();
  context.lineWidth = 1;
}

export function drawLatency(canvas, rows) {
  const [context, width, height] = fitted(canvas);
  const known = rows.filter((row) => row[1] !== null);
  if (!known.length) return;
  const now = rows[rows.length - 1][0], left = 48, floor = height - 18;
  const x = (t) => left + (width - left) * (1 - (now - t) / SPAN_S);
  const sorted = known.map((row) => row[1]).sort((a, b) => a - b);
  const top = 1.25 * Math.max(sorted[Math.floor(0.98 * (sorted.length - 1))], 1.15 * FRAME_MS);
  const y = (ms) => floor - (floor - 4) * Math.min(ms / top, 1);
  ticks(context, x, now, width, height);
  context.textAlign = "right";
  context.fillText("33 ms", left - 6, y(FRAME_MS) + 4);
  context.strokeStyle = QUIET;
  context.setLineDash([3, 4]);
  context.beginPath();
  context.moveTo(left, y(FRAME_MS));
  context.lineTo(width, y(FRAME_MS));
  context.stroke();
  context.setLineDash([]);
  context.strokeStyle = "#58d660";
  context.beginPath();
  known.forEach((row, i) => {
    const far = i > 0 && row[0] - known[i - 1][0] > 1;
    if (i === 0 || far) context.moveTo(x(row[0]), y(row[1])); else context.lineTo(x(row[0]), y(row[1]));
  });
  context.stroke();
}
