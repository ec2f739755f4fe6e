'use strict';

const graph = JSON.parse(document.getElementById('data').textContent);
const {Tape} = core;
const tape = new Tape(graph.tape);
const {names, meanings, boxes} = graph;
const {root} = tape;
const J = names[root];
const loose = new Set(graph.loose);
const ROLES = ['input', 'parameter', 'target', 'operation'];
const OPERATION = 3, HEIGHT = 38;


// --- elements ---

const SVG = 'http://www.w3.org/2000/svg', MATH = 'http://www.w3.org/1998/Math/MathML';
const $ = id => document.getElementById(id);

// Whatever is a string becomes a text node, so that no label is ever read as HTML.
function element(space, tag, attributes, ...children) {
  const made = document.createElementNS(space, tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  made.append(...children);
  return made;
}
const html = (tag, attributes, ...children) => element('http://www.w3.org/1999/xhtml', tag, attributes, ...children);
const svg = (tag, attributes, ...children) => element(SVG, tag, attributes, ...children);
const math = (tag, attributes, ...children) => element(MATH, tag, attributes, ...children);

// Only what has changed is written: a page of a thousand values has ten thousand texts and classes.
function write(text, content) {
  if (text.data !== content) text.data = content;
}
function style(made, classes) {
  if (made.getAttribute('class') !== classes) made.setAttribute('class', classes);
}

// --- numbers ---

const trimmed = digits => digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;

// As Python's format 'g', with a minus sign as wide as a plus.
function short(x, digits = 4) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '−inf';
  const [mantissa, power] = (x || 0).toExponential(digits - 1).split('e');
  const e = +power;
  const text = e < -4 || e >= digits
    ? `${trimmed(mantissa)}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`
    : trimmed((x || 0).toFixed(Math.max(0, digits - 1 - e)));
  return text.replace(/-/g, '−');
}
const signed = x => (x > 0 ? '+' : '') + short(x);
const counted = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;
const direction = x => x > 0 ? 'up' : x < 0 ? 'down' : '';

// The colour of a gradient: its sign, and its size in half decades below the largest.
function tone(x, largest) {
  if (Number.isNaN(x)) return ['nan'];
  if (x === 0) return ['zero'];
  const below = Math.abs(x) < largest ? Math.ceil(2 * (Math.log10(Math.abs(x)) - Math.log10(largest))) : 0;
  return [x > 0 ? 'pos' : 'neg', Math.max(1, 6 + below)];
}

// --- the drawing ---

const stage = $('graph'), world = svg('g', {});
stage.append(world);
$('title').textContent = document.title;
$('legend').textContent = graph.legend.join(' · ');
$('legend').hidden = !graph.legend.length;

// A leaf's shape says what it is, as its colour does.
function outline(role, width, height) {
  const r = width / 2, b = height / 2;
  if (role === 0) return `M${4 - r} ${-b}H${r + 4}L${r - 4} ${b}H${-r - 4}z`;
  if (role === 2) return `M${-r} ${-b}H${r - 8}l8 8V${b}H${-r}z`;
  const c = role === 1 ? Math.min(9, height / 3) : 1.5, arc = `a${c} ${c} 0 0 1`;
  return `M${c - r} ${-b}H${r - c}${arc} ${c} ${c}V${b - c}${arc} ${-c} ${c}H${c - r}${arc} ${-c} ${-c}V${c - b}${arc} ${c} ${-c}z`;
}

// A part of the drawing: `g` is its element, `title` gives its tooltip, `ends` is the room that it takes.
let views = [], links = [];

function drawGroup(into, label, depth, x, y, width, height) {
  into.append(
    svg('rect', {class: depth % 2 ? 'group' : 'subgroup', x, y, width, height, rx: 7}),
    svg('text', {class: 'caption', x: x + 8, y: y + 14}, label),
  );
}

// The box of value i around (x, y).
function drawBox(into, i, x, y) {
  const [role, width, rule] = boxes[i], left = rule - width / 2 + 7, label = graph.labels[i];
  const data = document.createTextNode(''), grad = document.createTextNode('');
  const chip = svg('rect', {
    x: left - 4.5, y: 1.5, width: width - rule - 5 - (role === 0 ? 4 : 0), height: 15, rx: 2.5, fill: 'none',
  });
  const g = svg('g', {transform: `translate(${x} ${y})`, tabindex: -1, role: 'button'});
  for (const edge of i === root ? [7, 0] : [0]) {
    g.append(svg('path', {class: `outline ${ROLES[role]}`, d: outline(role, width + edge, HEIGHT + edge)}));
  }
  g.append(
    svg('path', {class: `rule ${ROLES[role]}`, d: `M${rule - width / 2} -19v38`}),
    svg('text', {class: role === OPERATION ? 'glyph' : 'name', x: (rule - width) / 2, y: 4.5}, graph.glyphs[i]),
    svg('text', {x: left, y: -5}, ...(label ? [svg('tspan', {}, label), ' = '] : []), data),
    chip,
    svg('text', {x: left, y: 12.5}, grad),
  );
  into.append(g);
  const view = {i, g, data, grad, chip, ends: [x - width / 2, y - HEIGHT / 2, x + width / 2, y + HEIGHT / 2]};
  views.push(view);
  return hinted(view, () => nodeTitle(i));
}

// The arrow by which operand k comes to `user`, with the middle of its label, if it has one.
function drawArrow(into, user, k, d, tipX, tipY, x, y) {
  const arg = tape.args[user][k], text = document.createTextNode('');
  const link = {
    user, k, text,
    g: svg('g', {}, svg('path', {d}), svg('path', {class: 'head', d: `M${tipX - 7} ${tipY - 3}l7 3l-7 3z`})),
    label: x === undefined ? null : svg('text', {x, y: y + 3}, text),
  };
  into.append(link.g);
  links.push(link);
  return hinted(link, () => {
    const local = tape.local[user][k], e = tape.edges.findIndex(edge => edge.user === user && edge.k === k);
    return `${by(user)} / ${by(arg)}: ` + (user >= reachedBy() ? 'not yet' : e < 0 ? 'no gradient flows'
      : e >= soFar.done ? `local ${short(local)}`
      : `upstream ${short(tape.upstream[e])} × local ${short(local)} = ${short(tape.contribution[e])}`);
  });
}

// A tooltip is written when the mouse arrives: most are never read.
function hinted(part, title) {
  part.g.addEventListener('pointerenter', () => {
    part.g.querySelector('title')?.remove();
    part.g.prepend(svg('title', {}, title()));
  });
  return part;
}
const nodeTitle = i => {
  const value = isKnown(i) ? tape.data[i] : 'not yet', gradient = hasGradient(i) ? soFar.sum[i] : 'not yet';
  return (i in meanings ? `${meanings[i]}\n` : '') + `${names[i]} = ${value}, ∇ ${gradient}`;
};
const viewOf = i => views.findLast(view => view.i === i);

// The layout comes with the page, except for a large net, of which neurons.js draws the neurons and opens one.
if (graph.places) {
  for (const group of graph.groups) drawGroup(world, ...group);
  const drawn = graph.arrows[Symbol.iterator]();
  tape.args.forEach((args, user) => args.forEach((arg, k) => {
    if (!Tape.isNode(arg)) return;
    const [path, dx, dy, ...label] = drawn.next().value, [x, y] = graph.places[arg], [u, v] = graph.places[user];
    drawArrow(world, user, k, `M${x} ${y}${path}`, u + dx, v + dy, ...label.map((d, axis) => graph.places[arg][axis] + d));
  }));
  graph.places.forEach(([x, y], i) => drawBox(world, i, x, y));
  for (const {label} of links) if (label) world.append(label);
}

// --- steps: each operation forward, the seed ∂J/∂J = 1, each edge backward ---

const forward = tape.args.flatMap((args, i) => args.length ? [i] : []);
const last = () => forward.length + 1 + tape.edges.length;
let step = last(), playing = 0;
let rested = false; // whether the page was opened without a step: it begins with the finished picture
let reveal = () => {}; // what makes sure that a value is drawn

const present = () => {
  if (step === 0) return {kind: 'start', ids: []};
  if (rested && step === last()) return {kind: 'end', ids: []};
  if (step <= forward.length) {
    const node = forward[step - 1];
    return {kind: 'forward', node, ids: [node, ...tape.args[node].filter(Tape.isNode)]};
  }
  if (step === forward.length + 1) return {kind: 'seed', node: root, ids: [root]};
  const e = step - forward.length - 2, edge = tape.edges[e];
  return {kind: 'backward', e, edge, node: edge.arg, ids: [edge.arg, edge.user]};
};

// ∂J/∂v as far as the steps have come: what has been added up, of how many contributions.
function gradients() {
  const sum = new Float64Array(boxes.length), seen = new Uint32Array(boxes.length);
  const done = step - forward.length - 1;
  if (done >= 0) sum[root] = seen[root] = 1;
  for (let e = 0; e < done; e++) {
    const {arg, n} = tape.edges[e];
    sum[arg] = tape.after[e];
    seen[arg] = n;
  }
  return {sum, seen, done};
}
let soFar; // gradients() at the present step
const isKnown = i => !tape.args[i].length || i < reachedBy();
const hasGradient = i => soFar.seen[i] > 0 || step === last();

function paint() {
  const shown = present();
  if (shown.ids.length && step !== last()) reveal(...(shown.edge ? [shown.edge.user, shown.edge.arg] : shown.ids));
  soFar = gradients();
  const {sum, done} = soFar;
  const now = present(), finished = step === last();
  const current = new Set(finished ? [] : now.ids);
  const largest = largestSize(), reached = reachedBy();
  for (const {i, g, data, grad, chip} of views) {
    const known = isKnown(i), has = hasGradient(i);
    write(data, known ? short(tape.data[i]) : '?');
    write(grad, has ? `∇ ${signed(sum[i])}` : '∇ not yet');
    style(chip, `chip ${has ? tone(sum[i], largest).join('') : ''}`);
    style(g, `value${known ? '' : ' wait'}${current.has(i) ? ' now' : ''}${tape.args[i].length ? '' : ' drag'}`);
  }
  const carried = tape.args.map(() => []);
  tape.edges.forEach(({user, k}, e) => carried[user][k] = e);
  for (const {user, k, g, label, text} of links) {
    const e = carried[user][k], at = now.edge && !finished && now.e === e;
    const [sign, width = 0] = e < done ? tone(tape.contribution[e], largest) : ['none', 0];
    style(g, `arrow ${sign} w${width}${e === undefined ? ' blocked' : ''}${at ? ' now' : ''}`);
    if (label) {
      write(text, user < reached && e !== undefined ? `×${short(tape.local[user][k], 3)}` : '');
      style(label, at ? 'local now' : 'local');
    }
  }
  $('scrub').max = last();
  $('scrub').value = step;
  $('scrub').setAttribute('aria-valuetext', $('where').value = where());
  tell(now);
  for (const refresh of panels) refresh();
  focusable();
  remember();
}
// The gradient or contribution that has the deepest colour.
function largestSize() {
  let largest = 0;
  for (const x of [...tape.grad, ...tape.contribution]) {
    const size = Math.abs(x);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest || 1;
}
// The first operation that is still to come.
const reachedBy = () => step < forward.length ? forward[step] : Infinity;
const panels = [];

function where() {
  if (step <= forward.length) return `forward ${step} of ${forward.length}`;
  return `backward ${step - forward.length - 1} of ${tape.edges.length}`;
}

function go(to) {
  rested = false;
  step = Math.max(0, Math.min(last(), to));
  if (step === last()) pause();
  paint();
  look();
}

// --- the present step in a sentence and in numbers ---

const by = i => `∂${loose.has(i) ? `(${names[i]})` : names[i]}`;
const name = text => math('mi', {mathvariant: 'normal'}, text);
const sign = text => math('mo', {}, text);
const fraction = (a, b) => math('mfrac', {}, name(by(a)), name(by(b)));
const figure = x => html('span', {class: direction(x)}, short(x, 6));
const line = (...children) => html('p', {}, ...children);
const muted = (...children) => html('p', {class: 'muted'}, ...children);
const formula = (...children) => line(math('math', {}, math('mrow', {}, ...children)));

function tell(now) {
  $('now').replaceChildren(...{start, end, forward: operation, seed, backward: edge}[now.kind](now));
}
const end = () => [
  html('h2', {}, `${J} = ${short(tape.data[root], 6)}`),
  line(`${counted(forward.length, 'operation')} gave it; ${counted(tape.edges.length, 'edge')} led back, and gave every value its ∇ = ${by(root)}/∂(it).`),
  muted('Home leads before the first step, → takes one, space plays all. Change any value below: everything follows.'),
];
const start = () => [
  html('h2', {}, 'Before the first step'),
  line(`Each operation is evaluated in turn, as far as ${J}; then the chain rule leads back, edge by edge.`),
  muted('Press → for a step, space to play.'),
];
const operation = ({node}) => {
  const locals = tape.args[node].flatMap((arg, k) => Tape.isNode(arg) && tape.local[node][k] != null ? [[arg, k]] : []);
  return [
    html('h2', {}, `Forward: ${names[node]}`),
    line(`${graph.labels[node] ? `${names[node]} = ` : ''}${written(node, i => names[i])}`),
    line(`= ${written(node, i => parenthesised(tape.data[i]))} = `, figure(tape.data[node])),
    muted('local derivatives, kept for the way back:', html('br'), ...locals.flatMap(([arg, k]) =>
      [`∂/${by(arg)}${localFormula(node, k)}`, html('br')])),
  ];
};
const seed = () => [
  html('h2', {}, 'Backward: the seed'),
  formula(fraction(root, root), sign('='), math('mn', {}, '1')),
  muted('Everything that follows is multiplied by it.'),
];
const edge = ({e, edge: {user, k, arg, n, of}}) => {
  const before = tape.before[e], after = tape.after[e], contribution = tape.contribution[e];
  return [
    html('h2', {}, `Backward: from ${names[user]} to ${names[arg]}`),
    formula(fraction(root, arg), sign('+='), fraction(root, user), sign('×'), fraction(user, arg)),
    muted(`${by(user)}/${by(arg)}${localFormula(user, k)}`),
    line('upstream ', figure(tape.upstream[e]), ' × local ', figure(tape.local[user][k]), ' = ', figure(contribution)),
    line(short(before, 6), ' + ', parenthesised(contribution), ' = ', figure(after)),
    muted(`contribution ${n} of ${of} to ${by(root)}/${by(arg)}${n === of ? ', which is now complete' : ''}`),
  ];
};
const parenthesised = x => x < 0 ? `(${short(x, 6)})` : short(x, 6);

// A template of the row, {0} × {2} + ..., with the operands written as `of` says; {y} is the value itself.
const filled = (template, node, of) => template.replace(/([[(,] ?)?\{(\w+)\}/g, (_, before = '', k) => {
  const text = of(k === 'y' ? node : tape.args[node][k]);
  return before + (before ? text.replace(/^\((.*)\)$/, '$1') : text);
});
const written = (node, of) => filled(graph.templates[graph.template[node]][0], node, of);
function localFormula(node, k) {
  const template = graph.templates[graph.template[node]][1][k], value = short(tape.local[node][k], 6);
  const text = template && filled(template, node, i => names[i]);
  return (text && text !== value ? ` = ${text}` : '') + ` = ${value}`;
}

// --- values that can be changed ---

const leaves = tape.args.flatMap((args, i) => args.length ? [] : [i]);
const recorded = leaves.map(i => tape.data[i]);
const rows = new Map();

function change(i, x) {
  if (!Number.isFinite(x) || !tape.editable) return;
  tape.set(i, x);
  recompute();
  paint();
}
// Where the other branch of a choice is taken now, there are other edges than before.
function recompute() {
  const finished = step === last();
  tape.forward();
  tape.backward();
  step = finished ? last() : Math.min(step, last());
}

// (J(x + h) − J(x − h)) / 2h, with the h at which rounding and truncation are alike.
function difference(i) {
  if (!tape.editable) return NaN;
  const x = tape.data[i], h = Math.cbrt(Number.EPSILON) * Math.max(1, Math.abs(x));
  const at = z => {
    tape.set(i, z);
    tape.forward();
    return tape.data[root];
  };
  const slope = (at(x + h) - at(x - h)) / (x + h - (x - h));
  at(x);
  return slope;
}

// Inputs, parameters, targets, each in the order in which they are used and in the fold of its outermost group.
const folds = new Map(), uses = new Map(tape.args.flat().toReversed().map((arg, k) => [arg, -k]));
for (const i of leaves.toSorted((a, b) => boxes[a][0] - boxes[b][0] || uses.get(a) - uses.get(b))) {
  const fold = graph.fold[i] ?? '';
  const span = Math.max(2, 2 * Math.abs(tape.data[i]));
  const slider = html('input', {type: 'range', min: -span, max: span, step: span / 200, id: `s${i}`});
  const number = html('input', {type: 'number', step: 'any', 'aria-label': `${names[i]}, as a number`});
  const output = html('output', {for: `s${i}`});
  slider.oninput = () => change(i, +slider.value);
  number.onchange = () => {
    change(i, number.value === '' ? NaN : +number.value);
    number.value = figures(i); // what counts, where that was no number
  };
  rows.set(i, {slider, number, output, span});
  if (!folds.has(fold)) {
    folds.set(fold, html('details', {}, html('summary', {}, fold || 'leaves')));
    $('leaves').append(folds.get(fold));
  }
  const label = html('label', {for: `s${i}`, class: i in meanings ? 'told' : ''}, meanings[i] ?? names[i]);
  label.title = label.textContent;
  folds.get(fold).append(html('div', {class: 'leaf', 'data-leaf': i}, label, slider, number, output));
}
for (const fold of folds.values()) {
  fold.open = document.querySelectorAll('[open] .leaf').length + fold.children.length <= 14;
}
// A finite difference is two runs of the graph: only those are computed that can be seen.
const figures = i => +tape.data[i].toPrecision(6);
const seenRows = new Set();
function showLeaf(i) {
  const {slider, number, output} = rows.get(i);
  if (document.activeElement !== slider) slider.value = tape.data[i];
  if (document.activeElement !== number) number.value = figures(i);
  output.value = `gradient ${hasGradient(i) ? short(soFar.sum[i], 6) : 'not yet'}, finite difference ${short(difference(i), 6)}`;
}
const watcher = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  const i = +target.dataset.leaf;
  if (isIntersecting) seenRows.add(i), showLeaf(i);
  else seenRows.delete(i);
}));
for (const row of document.querySelectorAll('.leaf')) watcher.observe(row);
panels.push(() => seenRows.forEach(showLeaf));
if (!tape.editable) {
  for (const control of document.querySelectorAll('aside input, aside button')) control.disabled = true;
  $('change').prepend(html('p', {}, `Nothing can be changed here: ${tape.reason}.`));
}
const onReset = [() => leaves.forEach((i, k) => tape.set(i, recorded[k]))];
$('reset').onclick = () => {
  for (const undo of onReset) undo();
  recompute();
  paint();
};

// --- a net's δ: by the engine, and by E5 and E6 from z, a, W and y alone ---

const read = x => Tape.isNode(x) ? tape.data[x] : +x.c;

function closedForm() {
  const deltas = [];
  graph.net.toReversed().forEach((layer, back, layers) => {
    const above = layers[back - 1], delta = deltas.at(-1);
    const fPrime = i => tape.local[layer.a[i]][0] ?? 0;
    deltas.push(layer.z.map((_, i) => {
      if (above) return above.W.reduce((sum, row, j) => sum + delta[j] * tape.data[row[i]], 0) * fPrime(i);
      const slope = layer.y ? -(read(layer.y[i]) - tape.data[layer.a[i]]) : tape.grad[layer.a[i]];
      return slope * fPrime(i);
    }));
  });
  return deltas.reverse();
}

if (graph.net) {
  const panel = $('delta');
  panel.hidden = false;
  const table = (caption, heads, body) => html('table', {}, html('caption', {}, caption),
    html('thead', {}, html('tr', {}, ...heads.map(text => html('th', {scope: 'col'}, text)))), html('tbody', {}, ...body));
  const row = cells => html('tr', {}, ...cells.map(text => html('td', {}, text)));
  const gap = (a, b) => short(Math.abs(a - b), 2);
  panels.push(() => {
    const deltas = closedForm(), {sum} = soFar;
    const tables = graph.net.map((layer, l) => {
      const law = l < graph.net.length - 1 ? 'E6: δ = (Σ δ W) f′(z)' : layer.y ? 'E5: δ = −(y − a) f′(z)' : 'δ = ∂J/∂a f′(z)';
      return table(`layer ${l + 2}, ${law}`, ['unit', 'f′(z)', 'engine', 'closed form', 'difference'], layer.z.map((z, i) =>
        row([names[z], short(tape.local[layer.a[i]][0] ?? 0), hasGradient(z) ? short(sum[z], 6) : 'not yet',
          short(deltas[l][i], 6), hasGradient(z) ? gap(sum[z], deltas[l][i]) : ''])));
    });
    $('deltas').replaceChildren(...tables.reverse());
    const [l, i] = $('unit').value.split(',').map(Number), {W, b, x} = graph.net[l];
    const weights = W[i].map((w, j) => [w, read(x[j]) * deltas[l][i]]);
    $('outer').replaceChildren(table('E7: ∂J/∂W = δ aᵀ, ∂J/∂b = δ', ['parameter', 'engine', 'closed form', 'difference'],
      [...weights, [b[i], deltas[l][i]]].map(([p, closed]) => row([names[p], hasGradient(p) ? short(sum[p], 6) : 'not yet', short(closed, 6),
        hasGradient(p) ? gap(sum[p], closed) : '']))));
  });
  graph.net.forEach(({z}, l) => z.forEach((z, i) => $('unit').append(html('option', {value: `${l},${i}`}, names[z]))));
  $('unit').onchange = paint;
}

// --- the camera ---

const still = matchMedia('(prefers-reduced-motion: reduce)');
let camera = {x: 0, y: 0, zoom: 1}, follow = true, moving = 0;

function extentOfStage() {
  const {width, height} = stage.getBoundingClientRect();
  return [width, height];
}
function extent(ends) {
  const [left, top, right, bottom] = [0, 1, 2, 3].map(k => (k < 2 ? Math.min : Math.max)(...ends.map(end => end[k])));
  return {left, top, right, bottom};
}

function aim(to, smooth) {
  cancelAnimationFrame(moving);
  if (!smooth || still.matches) return show(to);
  const from = camera, begin = performance.now();
  const frame = time => {
    const t = Math.min(1, Math.max(0, (time - begin) / 220)), s = t * (2 - t);
    show({x: from.x + s * (to.x - from.x), y: from.y + s * (to.y - from.y), zoom: from.zoom + s * (to.zoom - from.zoom)});
    if (t < 1) moving = requestAnimationFrame(frame);
  };
  moving = requestAnimationFrame(frame);
}
function show(to) {
  camera = to;
  const {x, y, zoom} = to, [width, height] = extentOfStage();
  world.setAttribute('transform', `translate(${width / 2 - zoom * x} ${height / 2 - zoom * y}) scale(${zoom})`);
}
function frameOf({left, top, right, bottom}, least, most) {
  const [width, height] = extentOfStage();
  const zoom = Math.min(width / (right - left + 40), height / (bottom - top + 40));
  return {x: (left + right) / 2, y: (top + bottom) / 2, zoom: Math.max(least, Math.min(most, zoom))};
}
const everything = () => frameOf(extent([
  ...views.map(view => view.ends), ...graph.groups.map(([, , x, y, width, height]) => [x, y, x + width, y + height]),
]), 0.01, 1.6);

// The present step and its neighbours, in one size: text is laid out anew whenever its size changes.
const READABLE = 1.25;
const paper = matchMedia('print');
function look(smooth = true) {
  if (paper.matches) return aim(everything(), false);
  if (!follow) return;
  const {ids, node} = present(), all = everything();
  if (!ids.length || step === last() || all.zoom >= 1) return aim(all, smooth);
  const frame = extent(ids.flatMap(i => viewOf(i) ? [viewOf(i).ends] : []));
  const to = frameOf(frame, READABLE, READABLE), [width, height] = extentOfStage().map(length => length / READABLE);
  const [left, top, right, bottom] = viewOf(node).ends;
  if (frame.right - frame.left > width) to.x = (left + right) / 2;
  if (frame.bottom - frame.top > height) to.y = (top + bottom) / 2;
  aim(to, smooth);
}
function move(dx, dy) {
  setFollow(false);
  show({...camera, x: camera.x + dx / camera.zoom, y: camera.y + dy / camera.zoom});
}
function zoom(by, x, y) {
  setFollow(false);
  const [width, height] = extentOfStage();
  const to = Math.max(0.02, Math.min(6, camera.zoom * by));
  const shift = 1 / camera.zoom - 1 / to;
  show({x: camera.x + ((x ?? width / 2) - width / 2) * shift, y: camera.y + ((y ?? height / 2) - height / 2) * shift, zoom: to});
}
function setFollow(on) {
  follow = on;
  $('follow').setAttribute('aria-pressed', on);
}

stage.addEventListener('wheel', event => {
  event.preventDefault();
  const {left, top} = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 500), event.clientX - left, event.clientY - top);
}, {passive: false});
stage.addEventListener('pointerdown', event => {
  if (event.target.closest('[data-neuron]')) return;
  stage.setPointerCapture(event.pointerId);
  const leaf = leaves.find(i => views.some(view => view.i === i && view.g.contains(event.target)));
  const x0 = tape.data[leaf], y0 = event.clientY;
  stage.onpointermove = ({movementX, movementY, clientY}) => {
    if (leaf === undefined) move(-movementX, -movementY);
    else change(leaf, x0 + Math.round(y0 - clientY) * rows.get(leaf).span / 200);
  };
});
for (const end of ['pointerup', 'pointercancel']) stage.addEventListener(end, () => stage.onpointermove = null);
new ResizeObserver(() => follow || paper.matches ? look(false) : show(camera)).observe(stage);

// --- controls ---

function pause() {
  clearInterval(playing);
  playing = 0;
  $('play').textContent = 'play';
}
function play() {
  if (playing) return pause();
  if (step === last()) go(0);
  playing = setInterval(() => go(step + 1), 700);
  $('play').textContent = 'pause';
}
function setTheme(theme) {
  document.documentElement.style.colorScheme = theme;
}
const dark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.style.colorScheme || (dark.matches ? 'dark' : 'light')) === 'dark';
dark.addEventListener('change', () => paint()); // a canvas does not follow by itself
let focused = root;
function focusNode(i) {
  viewOf(focused)?.g.setAttribute('tabindex', -1);
  focused = Math.max(0, Math.min(root, i));
  reveal(focused);
  const {g, ends: [left, top, right, bottom]} = focusable();
  g.focus();
  aim({x: (left + right) / 2, y: (top + bottom) / 2, zoom: Math.max(camera.zoom, 1)}, true);
}
// One stop of the tab key is the graph: the focused value.
function focusable() {
  const view = viewOf(focused);
  view?.g.setAttribute('tabindex', 0);
  view?.g.setAttribute('aria-label', nodeTitle(focused));
  return view;
}

const controls = {
  first: () => go(0), back: () => go(step - 1), play, next: () => go(step + 1), last: () => go(last()),
  follow: () => {
    setFollow(!follow);
    look();
  },
  fit: () => {
    setFollow(false);
    aim(everything(), true);
  },
  closer: () => zoom(1.25), farther: () => zoom(0.8),
  theme: () => {
    setTheme(isDark() ? 'light' : 'dark');
    paint();
  },
  keys: () => $('help').showModal(), close: () => $('help').close(),
};
for (const id in controls) $(id).onclick = controls[id];
$('scrub').oninput = event => go(+event.target.value);

const keys = {
  ArrowRight: controls.next, ArrowLeft: controls.back, Home: controls.first, End: controls.last, ' ': play,
  ArrowDown: () => focusNode(focused + 1), ArrowUp: () => focusNode(focused - 1),
  f: controls.follow, 0: controls.fit, '+': controls.closer, '-': controls.farther, t: controls.theme, '?': controls.keys,
};
const shifted = {ArrowRight: [60, 0], ArrowLeft: [-60, 0], ArrowDown: [0, 60], ArrowUp: [0, -60]};
addEventListener('keydown', event => {
  const {key, target} = event;
  if (event.ctrlKey || event.metaKey || event.altKey || $('help').open || target.matches('input')) return;
  if (target.matches('button') && (key === ' ' || key === 'Enter')) return;
  if (key === 'Enter' && target.onclick) target.onclick();
  else if (key === 'Enter') rows.get(focused)?.number.focus();
  else if (event.shiftKey && shifted[key]) move(...shifted[key]);
  else if (keys[key]) keys[key]();
  else return;
  event.preventDefault();
});

// --- the state in the address: #step=12&set=3:0.5,7:-1&theme=dark ---

let later = 0;
function remember() {
  clearTimeout(later);
  later = setTimeout(() => {
    const changed = leaves.flatMap((i, k) => tape.data[i] === recorded[k] ? [] : [`${i}:${tape.data[i]}`]);
    const theme = document.documentElement.style.colorScheme;
    const parts = [...(rested ? [] : [`step=${step}`]), ...(changed.length ? [`set=${changed}`] : []), ...(theme ? [`theme=${theme}`] : [])];
    history.replaceState(null, '', `#${parts.join('&')}`);
  }, 150);
}
function restore(fragment) {
  const state = new URLSearchParams(fragment.slice(1));
  if (tape.editable) leaves.forEach((i, k) => tape.set(i, recorded[k]));
  for (const part of (state.get('set') ?? '').split(',')) {
    const [i, x] = part.split(':').map(Number);
    if (tape.editable && leaves.includes(i) && Number.isFinite(x)) tape.set(i, x);
  }
  recompute();
  if (['light', 'dark'].includes(state.get('theme'))) setTheme(state.get('theme'));
  const to = Number(state.get('step') ?? last());
  rested = !state.has('step');
  step = Number.isInteger(to) ? Math.max(0, Math.min(last(), to)) : last();
  paint();
  look(false);
}
addEventListener('hashchange', ({newURL}) => restore(new URL(newURL).hash));
addEventListener('beforeprint', () => aim(everything(), false));

