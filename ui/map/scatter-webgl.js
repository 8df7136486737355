// Draws the map with WebGL2. Coordinates, colour codes and the order of ranks are uploaded once; a frame while a
// slider moves is a handful of drawElements over ranges of the same element buffer, with nothing uploaded.

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in uint code;
layout(location = 2) in uint state;   // bit 0: inside the lasso, bit 1: hidden by the legend or a filter
uniform vec2 centre, zoom;
uniform float size, alpha;
uniform bool coloured, lassoed, shaped;
uniform int highlight;                 // the one code that is not dimmed, or -1
uniform vec3 plain;
uniform sampler2D palette;
out vec4 tint;
flat out uint form;
void main() {
  bool chosen = (state & 1u) == 1u;
  bool hidden = (state & 2u) == 2u;
  form = shaped ? (code >> 3) & 3u : 0u;
  gl_Position = hidden ? vec4(4., 4., 0., 1.) : vec4((place - centre) * zoom, 0., 1.);
  vec3 colour = coloured ? texelFetch(palette, ivec2(int(code & 255u), 0), 0).rgb : plain;
  // Dim what is not chosen, instead of painting over what is: each point keeps the colour that says what it is.
  float strength = lassoed ? (chosen ? min(1., alpha * 2.5 + .25) : alpha * .16) : alpha;
  bool lit = int(code) == highlight;
  if (highlight >= 0) strength = lit ? max(strength, .9) : strength * .12;
  gl_PointSize = size * ((lassoed && chosen) || lit ? 1.35 : 1.);
  tint = vec4(colour, strength);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint;
flat in uint form;                     // 0: disc, 1: square, 2: diamond, 3: triangle
uniform bool round, hollow;
out vec4 pixel;
float extent(vec2 d) {
  if (form == 1u) return max(abs(d.x), abs(d.y)) / .42;
  if (form == 2u) return (abs(d.x) + abs(d.y)) / .5;
  if (form == 3u) return max(d.y / .35, (abs(d.x) * 1.78 - d.y) / .45);
  return length(d) / .5;
}
void main() {
  float far = extent(gl_PointCoord - .5);
  if (round && (far > 1. || (hollow && far < .56))) discard;
  pixel = vec4(tint.rgb * tint.a, tint.a);
}`;

const UNIFORMS = ["centre", "zoom", "size", "alpha", "coloured", "lassoed", "shaped", "highlight", "plain", "palette",
  "round", "hollow"];

export class GlRenderer {
  /** Null where the browser has no WebGL2; the caller then takes the raster. */
  static open(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    return gl ? new GlRenderer(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.start();
  }

  /** Everything that a lost context loses. */
  start() {
    const { gl } = this;
    const program = link(gl);
    gl.useProgram(program);
    this.uniform = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = { xy: gl.createBuffer(), codes: gl.createBuffer(), state: gl.createBuffer(), order: gl.createBuffer() };
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  setPoints(xy) {
    const { gl } = this;
    this.fill(this.buffers.xy, xy);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  }

  setCodes(codes) {
    const { gl } = this;
    this.fill(this.buffers.codes, codes);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_SHORT, 0, 0);
  }

  setState(state) {
    const { gl } = this;
    this.fill(this.buffers.state, state);
    gl.enableVertexAttribArray(2);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, 0, 0);
  }

  setOrder(order) {
    const { gl } = this;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
  }

  fill(buffer, array) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
  }

  /** colours: up to 256 [r, g, b] in 0..255; codes index them modulo 256. */
  setPalette(colours) {
    const { gl } = this;
    const texels = new Uint8Array(256 * 4).fill(255);
    colours.slice(0, 256).forEach((colour, i) => texels.set(colour, 4 * i));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  draw(scene) {
    const { gl, uniform } = this;
    const { camera } = scene;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniform.centre, camera.x, camera.y);
    gl.uniform2f(uniform.zoom, (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
    gl.uniform1i(uniform.lassoed, scene.lassoed ? 1 : 0);
    gl.uniform1i(uniform.shaped, scene.shaped ? 1 : 0);
    gl.uniform1i(uniform.highlight, scene.highlight);
    for (const [first, count, kept] of scene.segments) {
      const look = kept ? scene.keptLook : scene.restLook;
      gl.uniform1i(uniform.coloured, look.coloured ? 1 : 0);
      gl.uniform3f(uniform.plain, look.colour[0] / 255, look.colour[1] / 255, look.colour[2] / 255);
      gl.uniform1f(uniform.alpha, look.alpha);
      gl.uniform1f(uniform.size, look.size * scene.ratio);
      gl.uniform1i(uniform.round, look.size * scene.ratio > 2.5 ? 1 : 0);
      gl.uniform1i(uniform.hollow, look.hollow && look.size * scene.ratio > 4.5 ? 1 : 0);
      gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 4 * first);
    }
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function link(gl) {
  const program = gl.createProgram();
  gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

function compile(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
  return shader;
}
