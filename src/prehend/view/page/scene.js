// A small renderer on WebGL: lit meshes and flat triangles, one matrix, nothing else.

const VERTEX = `
attribute vec3 position; attribute vec3 normal; attribute vec4 colour;
uniform mat4 matrix; varying vec3 n; varying vec4 c;
void main() { gl_Position = matrix * vec4(position, 1.0); n = normal; c = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec3 n; varying vec4 c; uniform vec3 light;
void main() {
  float shade = 1.0;
  if (dot(n, n) > 0.25) shade = 0.38 + 0.62 * max(dot(normalize(n), light), 0.0);
  gl_FragColor = vec4(c.rgb * shade * c.a, c.a);
}`;
const FLOATS = 10; // position, normal, colour

export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl", { alpha: true, antialias: true, premultipliedAlpha: true, preserveDrawingBuffer: true });
    if (!this.gl) return;
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    for (const [name, size, start] of [["position", 3, 0], ["normal", 3, 3], ["colour", 4, 6]]) {
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, 4 * FLOATS, 4 * start);
    }
    this.matrix = gl.getUniformLocation(program, "matrix");
    this.light = gl.getUniformLocation(program, "light");
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  draw(triangles, matrix, light) {
    const gl = this.gl;
    if (!gl) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(this.matrix, false, matrix);
    gl.uniform3fv(this.light, normalised(light));
    for (const [part, solid] of [[triangles.solid, true], [triangles.clear, false]]) { // what shines through comes last
      if (!part.length) continue;
      gl.depthMask(solid);
      gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(part), gl.STREAM_DRAW);
      gl.drawArrays(gl.TRIANGLES, 0, part.length / FLOATS);
    }
    gl.depthMask(true);
  }
}

export class Triangles {
  constructor() { this.solid = []; this.clear = []; }

  // vertices: 3 numbers a vertex, in `places`; normals come from `bodies`, the same mesh in metres
  mesh(places, bodies, faces, colour) {
    const normals = normalsOf(bodies, faces);
    for (const index of faces) {
      const at = 3 * index;
      this.solid.push(places[at], places[at + 1], places[at + 2], normals[at], normals[at + 1], normals[at + 2], ...colour);
    }
  }

  flat(part, corners, colour) {
    for (const p of corners) part.push(p[0], p[1], p[2], 0, 0, 0, ...colour);
  }

  // a line as a flat band that faces the eye
  line(a, b, width, colour, eye) {
    const side = scaled(normalised(cross(minus(b, a), minus(eye, a))), width / 2);
    const [p, q, r, s] = [plus(a, side), minus(a, side), minus(b, side), plus(b, side)];
    this.flat(colour[3] < 1 ? this.clear : this.solid, [p, q, r, p, r, s], colour);
  }

  quad(a, b, c, d, colour) { this.flat(this.clear, [a, b, c, a, c, d], colour); }
}

function normalsOf(points, faces) {
  const normals = new Float32Array(points.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const ux = points[b] - points[a], uy = points[b + 1] - points[a + 1], uz = points[b + 2] - points[a + 2];
    const vx = points[c] - points[a], vy = points[c + 1] - points[a + 1], vz = points[c + 2] - points[a + 2];
    const n = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) normals[corner + k] += n[k];
  }
  for (let i = 0; i < normals.length; i += 3) {
    const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
    for (let k = 0; k < 3; k++) normals[i + k] /= length;
  }
  return normals;
}

export const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const plus = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const normalised = (a) => scaled(a, 1 / (Math.hypot(...a) || 1));

// pixels and metres of depth to clip space, columns first
export function pixelMatrix(width, height, farthest) {
  return [2 / width, 0, 0, 0, 0, -2 / height, 0, 0, 0, 0, 2 / farthest, 0, 1 / width - 1, 1 - 1 / height, -1, 1];
}

// An eye that circles a point of the camera frame (x right, y down, z forward).
export class Orbit {
  constructor() { this.reset(); }

  reset() { this.yaw = 0.55; this.pitch = 0.3; this.distance = 0.8; this.target = [0, 0, 0.4]; this.follows = true; }

  // keep the hands in sight until a person moves the view
  follow(middle, reach) {
    if (!this.follows) return;
    this.target = plus(scaled(this.target, 0.9), scaled([0.6 * middle[0], 0.6 * middle[1], middle[2] * 0.7], 0.1));
    this.distance = 0.9 * this.distance + 0.1 * Math.min(Math.max(0.95 * reach, 0.4), 6);
  }

  get eye() {
    const [s, c] = [Math.sin(this.pitch), Math.cos(this.pitch)];
    return plus(this.target, scaled([Math.sin(this.yaw) * c, -s, -Math.cos(this.yaw) * c], this.distance));
  }

  get axes() {
    const forward = normalised(minus(this.target, this.eye));
    const right = normalised(cross([0, 1, 0], forward));
    return [right, cross(forward, right), forward]; // right, down, forward
  }

  turn(dx, dy) {
    this.yaw -= 0.008 * dx;
    this.pitch = Math.min(Math.max(this.pitch + 0.008 * dy, -1.5), 1.5);
  }

  move(dx, dy, height) {
    this.follows = false;
    const [right, down] = this.axes, step = 0.9 * this.distance / height;
    this.target = minus(this.target, plus(scaled(right, dx * step), scaled(down, dy * step)));
  }

  zoom(factor) { this.follows = false; this.distance = Math.min(Math.max(this.distance * factor, 0.05), 20); }

  matrix(width, height) {
    const [right, down, forward] = this.axes, eye = this.eye;
    const near = 0.02 * this.distance, far = 40 * this.distance;
    const f = 1 / Math.tan(0.42), fx = width > height ? f * height / width : f, fy = width > height ? f : f * width / height;
    const rows = [right, scaled(down, -1), forward].map((axis) => [...axis, -dot(axis, eye)]);
    const [z, w] = [(far + near) / (far - near), -2 * far * near / (far - near)];
    const m = [rows[0].map((v) => fx * v), rows[1].map((v) => fy * v), rows[2].map((v, i) => z * v + (i === 3 ? w : 0)), rows[2]];
    return [0, 1, 2, 3].flatMap((column) => m.map((row) => row[column]));
  }
}
