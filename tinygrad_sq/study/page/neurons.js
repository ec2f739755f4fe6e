
// --- a large net: its neurons side by side, and beside them the one that is open, value by value ---

const PITCH = HEIGHT + 14, NEURON = 190; // from row to row; the width of a closed neuron
const owner = new Map(); // the neuron that a value belongs to
const neurons = [];
graph.net.forEach(({z, a, W, b}, l) => z.forEach((_, i) => {
  const neuron = {l, i, z: z[i], a: a[i]};
  for (const value of [...W[i], b[i], z[i], a[i]]) owner.set(value, neuron);
  neurons.push(neuron);
}));
const users = tape.args.map(() => []);
tape.args.forEach((args, user) => args.forEach((arg, k) => {
  if (Tape.isNode(arg)) users[arg].push([user, k]);
}));
const widthOf = thing => Tape.isNode(thing) ? boxes[thing][1] : NEURON;

// From (x, y), level as far as `bend`, to the arrow's tip (u, v).
const way = (x, y, u, v, bend = x) => `M${x} ${y}H${bend}C${(bend + u) / 2} ${y} ${(bend + u) / 2} ${v} ${u - 7} ${v}`;

// One below the other, centred on `middle`.
function stack(things, middle, place) {
  things.forEach((thing, k) => place(thing, middle + (k - (things.length - 1) / 2) * PITCH));
}

// --- the net. What belongs to no neuron stands by itself: inputs and targets before their users, the loss at the end ---

const net = svg('g', {}), inside = svg('g', {});
world.append(net, inside);

const column = new Map();
tape.args.forEach((args, i) => {
  if (owner.has(i)) column.set(i, owner.get(i).l + 1);
  else if (args.length) column.set(i, 1 + Math.max(0, ...args.filter(Tape.isNode).map(arg => column.get(arg) ?? 0)));
});
for (const i of leaves) if (!owner.has(i)) column.set(i, Math.min(...users[i].map(([user]) => column.get(user))) - 1);

const spots = new Map(); // the middle of each neuron and of each value by itself
{
  const columns = [];
  for (const [i, c] of column) (columns[c + 1] ??= new Set()).add(owner.get(i) ?? i);
  let x = 0;
  for (const things of columns.filter(Boolean).map(set => [...set])) {
    const width = Math.max(...things.map(widthOf));
    stack(things, 0, (thing, y) => spots.set(thing, [x + width / 2, y]));
    x += width + 60 + 22 * Math.sqrt(things.length); // room for the arrows
  }
}
tape.args.forEach((args, user) => args.forEach((arg, k) => {
  if (!Tape.isNode(arg)) return;
  const from = owner.get(arg) ?? arg, to = owner.get(user) ?? user, [x, y] = spots.get(from), [u, v] = spots.get(to);
  const tip = u - widthOf(to) / 2;
  if (from !== to) drawArrow(net, user, k, way(x + widthOf(from) / 2, y, tip, v), tip, v);
}));
for (const [thing, [x, y]] of spots) Tape.isNode(thing) ? drawBox(net, thing, x, y) : drawNeuron(thing, x, y);

function drawNeuron(neuron, x, y) {
  const left = 50 - NEURON / 2, right = left + 74;
  const cells = [['z', left, -5], ['a', right, -5], ['δ', left, 12.5], ['f′', right, 12.5]];
  neuron.texts = cells.map(() => document.createTextNode(''));
  neuron.chip = svg('rect', {x: left - 4.5, y: 1.5, width: 72, height: 15, rx: 2.5, fill: 'none'});
  neuron.g = svg('g', {
    transform: `translate(${x} ${y})`, tabindex: 0, role: 'button', 'data-neuron': '', 'aria-label': `open ${names[neuron.a]}`,
  },
  svg('path', {class: 'outline parameter', d: outline(1, NEURON, HEIGHT)}),
  svg('text', {class: 'name', x: 22 - NEURON / 2, y: 4}, names[neuron.a]),
  neuron.chip,
  ...cells.map(([label, x, y], k) => svg('text', {x, y}, svg('tspan', {}, label), ' ', neuron.texts[k])));
  net.append(neuron.g);
  neuron.g.onclick = () => {
    setFollow(false);
    open(neuron);
    paint();
    aim(frameOf(opened.frame, 0.4, 1.6), true);
  };
}

const bounds = extent([...spots].map(([thing, [x, y]]) =>
  [x - widthOf(thing) / 2 - 20, y - HEIGHT, x + widthOf(thing) / 2 + 20, y + HEIGHT]));
graph.groups = [['net', 1, bounds.left, bounds.top, bounds.right - bounds.left, bounds.bottom - bounds.top]];
const [netViews, netLinks] = [views.length, links.length];

// --- the open neuron, from left to right: inputs, weights, z, a, and what a goes into (the sum of E6) ---

let opened = null;

function open(neuron) {
  if (opened === neuron) return;
  opened = neuron;
  views.length = netViews;
  links.length = netLinks;
  inside.replaceChildren();
  const {l, i, z, a} = neuron, {x, b, W: {[i]: w}} = graph.net[l], next = users[a];
  const widest = list => Math.max(0, ...list.filter(Tape.isNode).map(widthOf));
  const LABEL = 62, left = bounds.right + 90, middle = (bounds.top + bounds.bottom) / 2;
  const xs = left + 20 + widest(x) / 2;
  const ws = xs + widest(x) / 2 + LABEL + 8 + widest(w) / 2;
  const zs = ws + widest(w) / 2 + LABEL + 48 + widthOf(z) / 2;
  const as = zs + widthOf(z) / 2 + LABEL + 18 + widthOf(a) / 2;
  const ns = as + widthOf(a) / 2 + 120 + widest(next.map(([user]) => user)) / 2;
  const height = (Math.max(x.length + 1, next.length) + 1.5) * PITCH, right = ns + widest(next.map(([user]) => user)) / 2 + 20;
  opened.frame = {left, top: middle - height / 2, right, bottom: middle + height / 2};
  drawGroup(inside, `inside ${names[a]}`, 1, left, middle - height / 2, right - left, height);

  // Inputs stand at the height of the gaps between weights, so that their arrows pass.
  const places = new Map([[z, [zs, middle]], [a, [as, middle]], [b[i], [ws, middle + x.length / 2 * PITCH]]]);
  stack(w, middle - PITCH / 2, (value, y) => places.set(value, [ws, y]));
  stack(x, middle, (value, y) => Tape.isNode(value) && places.set(value, [xs, y]));
  const past = ws + widest(w) / 2 + LABEL;
  const lead = (user, k, port, bend) => {
    const arg = tape.args[user][k];
    if (!Tape.isNode(arg)) return;
    const [u, v] = places.get(arg), start = u + widthOf(arg) / 2, tip = places.get(user)[0] - widthOf(user) / 2;
    drawArrow(inside, user, k, way(start + LABEL, v, tip, port, bend), tip, port, start + LABEL / 2, v);
  };
  const {length} = tape.args[z];
  tape.args[z].forEach((_, k) => lead(z, k, middle - 14 + 28 * k / length, past));
  tape.args[a].forEach((_, k) => lead(a, k, middle));
  stack(next, middle, ([user, k], y) => {
    const tip = ns - widthOf(user) / 2;
    drawArrow(inside, user, k, way(as + widthOf(a) / 2, middle, tip, y), tip, y);
    drawBox(inside, user, ns, y);
  });
  for (const [value, [x, y]] of places) drawBox(inside, value, x, y);
  for (const {label} of links) if (label) inside.append(label);
  $('unit').value = `${l},${i}`;
}
reveal = (...ids) => {
  const owned = ids.find(i => owner.has(i));
  if (owned !== undefined) open(owner.get(owned));
};
open(neurons.at(-1));

panels.unshift(() => {
  const largest = largestSize(), {sum} = soFar;
  for (const {z, a, g, chip, texts: [zText, aText, deltaText, slopeText]} of neurons) {
    const known = isKnown(a), has = hasGradient(z);
    write(zText, isKnown(z) ? short(tape.data[z], 3) : '?');
    write(aText, known ? short(tape.data[a], 3) : '?');
    write(deltaText, has ? short(sum[z], 3) : '·');
    write(slopeText, known ? short(tape.local[a][0] ?? 0, 3) : '?');
    style(chip, `chip ${has ? tone(sum[z], largest).join('') : ''}`);
    style(g, `value${known ? '' : ' wait'}${opened.g === g ? ' now' : ''}`);
  }
});
