
// --- a large net: its neurons side by side, and beside them the one that is open, value by value ---

const GAP = 14, PITCH = HEIGHT + GAP;
const owner = new Map(); // the neuron [layer, unit] of a value
const neurons = [];
graph.net.forEach(({z, a, W, b}, l) => z.forEach((_, i) => {
  const neuron = {l, i, z: z[i], a: a[i], values: [...W[i], b[i], z[i], a[i]]};
  for (const value of neuron.values) owner.set(value, neuron);
  neurons.push(neuron);
}));
const users = tape.args.map(() => []);
tape.args.forEach((args, user) => args.forEach((arg, k) => {
  if (Tape.isNode(arg)) users[arg].push([user, k]);
}));

// From (x, y), level as far as `bend`, to the arrow's tip (u, v).
const way = (x, y, u, v, bend = x) => `M${x} ${y}H${bend}C${(bend + u) / 2} ${y} ${(bend + u) / 2} ${v} ${u - 7} ${v}`;

// Boxes of these widths in a column, centred on `middle`: calls `place` with the middle of each.
function stack(things, middle, pitch, place) {
  things.forEach((thing, k) => place(thing, middle + (k - (things.length - 1) / 2) * pitch));
}

// What belongs to no neuron stands by itself: inputs and targets before their users, the loss behind the outputs.
const column = new Map();
tape.args.forEach((args, i) => {
  if (owner.has(i)) column.set(i, owner.get(i).l + 1);
  else if (args.length) column.set(i, 1 + Math.max(0, ...args.filter(Tape.isNode).map(arg => column.get(arg) ?? 0)));
});
for (const i of leaves) if (!owner.has(i)) column.set(i, Math.min(...users[i].map(([user]) => column.get(user))) - 1);

const overview = svg('g', {}), inside = svg('g', {});
stage.append(overview, inside);
const NEURON = 190;
const cell = (x, y, label) => {
  const text = document.createTextNode('');
  return {text, made: svg('text', {x, y}, svg('tspan', {}, label), ' ', text)};
};

function drawNeuron(neuron, x, y) {
  const {a, z} = neuron, left = 50 - NEURON / 2, middle = left + 74;
  const rows_ = [cell(left, -5, 'z'), cell(middle, -5, 'a'), cell(left, 12.5, 'δ'), cell(middle, 12.5, 'f′')];
  const chip = svg('rect', {x: left - 4.5, y: 1.5, width: 72, height: 15, rx: 2.5, fill: 'none'});
  const g = svg('g', {transform: `translate(${x} ${y})`, tabindex: 0, role: 'button', 'data-neuron': '', 'aria-label': `open ${names[a]}`},
    svg('path', {class: 'outline parameter', d: outline(1, NEURON, HEIGHT)}),
    svg('text', {class: 'name', x: 22 - NEURON / 2, y: 4}, names[a]), chip, ...rows_.map(({made}) => made));
  overview.append(g);
  Object.assign(neuron, {g, chip, x, y, texts: rows_.map(({text}) => text)});
  g.onclick = () => {
    setFollow(false);
    open(neuron);
    paint();
    aim(frameOf(opened.frame, 0.4, 1.6), true);
  };
}

{
  const columns = [];
  for (const i of column.keys()) {
    const thing = owner.get(i) ?? i, c = column.get(i) + 1;
    columns[c] ??= [];
    if (!columns[c].includes(thing)) columns[c].push(thing);
  }
  const place = new Map();
  let x = 0;
  for (const things of columns.filter(Boolean)) {
    const width = Math.max(...things.map(thing => thing.values ? NEURON : boxes[thing][1]));
    stack(things, 0, PITCH, (thing, y) => place.set(thing, [x + width / 2, y, thing.values ? NEURON : boxes[thing][1]]));
    x += width + 60 + 5 * Math.sqrt(things.length * 20);
  }
  const thingOf = i => place.get(owner.get(i) ?? i);
  tape.args.forEach((args, user) => args.forEach((arg, k) => {
    if (!Tape.isNode(arg) || (owner.has(arg) && owner.get(arg) === owner.get(user))) return;
    const [x, y, width] = thingOf(arg), [u, v, breadth] = thingOf(user);
    drawArrow(overview, user, k, way(x + width / 2, y, u - breadth / 2, v), u - breadth / 2, v);
  }));
  for (const [thing, [x, y]] of place) thing.values ? drawNeuron(thing, x, y) : drawBox(overview, thing, x, y);
}
const ceiling = {...extent([...views.map(view => view.ends), ...neurons.map(({x, y}) => [x - NEURON / 2, y - 20, x + NEURON / 2, y + 20])])};
const always = [views.length, links.length];
graph.groups = [['net', 1, ceiling.left - 20, ceiling.top - 30, ceiling.right - ceiling.left + 40, ceiling.bottom - ceiling.top + 50]];
let opened = null;

// From left to right: inputs, weights in the gaps between them, z, a, and what a goes into (the sum of E6).
function open(neuron) {
  if (opened === neuron) return;
  opened = neuron;
  views.length = always[0];
  links.length = always[1];
  inside.replaceChildren();
  const {l, i, z, a} = neuron, {W, b, x} = graph.net[l];
  const inputs = x.map(ref => Tape.isNode(ref) ? ref : null), n = inputs.length;
  const onward = users[a], height = Math.max(n + 1, onward.length) * PITCH;
  const middle = (ceiling.top + ceiling.bottom) / 2, top = middle - height / 2, left = ceiling.right + 90;
  const widest = list => Math.max(0, ...list.filter(v => v !== null).map(v => boxes[v][1]));
  const first = left + widest(inputs) / 2 + 20, second = first + widest(inputs) / 2 + 70 + widest(W[i]) / 2;
  const third = second + widest(W[i]) / 2 + 110 + boxes[z][1] / 2, fourth = third + boxes[z][1] / 2 + 80 + boxes[a][1] / 2;
  const fifth = fourth + boxes[a][1] / 2 + 120 + widest(onward.map(([user]) => user)) / 2;
  const places = new Map(), bend = second + widest(W[i]) / 2 + 62;
  const arrow = (user, k, from, to, labelled = true) => {
    const [x, y] = places.get(from), [u, v] = to, start = x + boxes[from][1] / 2, end = u - boxes[user][1] / 2;
    const from_ = start + (labelled ? 62 : 0);
    drawArrow(inside, user, k, way(from_, y, end, v, user === z ? bend : from_), end, v, ...(labelled ? [start + 31, y] : []));
  };
  stack(W[i], middle - PITCH / 2, PITCH, (w, y) => places.set(w, [second, y]));
  stack(inputs, middle, PITCH, (x, y) => x === null || places.set(x, [first, y]));
  places.set(b[i], [second, middle + (n / 2) * PITCH]).set(z, [third, middle]).set(a, [fourth, middle]);
  drawGroup(inside, `inside ${names[a]}`, 1, left, top - 40, fifth + 150 - left, height + 60);
  tape.args[z].forEach((arg, k) => {
    if (!Tape.isNode(arg)) return;
    const port = [third, middle - 14 + 28 * k / tape.args[z].length];
    arrow(z, k, arg, port);
  });
  tape.args[a].forEach((arg, k) => Tape.isNode(arg) && arrow(a, k, arg, places.get(a)));
  stack(onward, middle, PITCH, ([user, k], y) => arrow(user, k, a, [fifth, y], false));
  for (const [v, [x, y]] of places) drawBox(inside, v, x, y);
  stack(onward, middle, PITCH, ([user], y) => drawBox(inside, user, fifth, y));
  for (const {label} of links) if (label) inside.append(label);
  opened.frame = {left, top: top - 40, right: fifth + 150, bottom: top + height + 20};
  $('unit').value = `${l},${i}`;
}
reveal = (...ids) => {
  const owned = ids.find(i => owner.has(i));
  if (owned !== undefined) open(owner.get(owned));
};
open(neurons.at(-1));

panels.unshift((sum, seen) => {
  const largest = largestSize(), finished = step === last();
  const reached = reachedBy();
  for (const neuron of neurons) {
    const {z, a, g, chip, texts: [zText, aText, deltaText, slopeText]} = neuron, known = a < reached;
    write(zText, z < reached ? short(tape.data[z], 3) : '?');
    write(aText, known ? short(tape.data[a], 3) : '?');
    const has = seen[z] || finished;
    write(deltaText, has ? short(sum[z], 3) : '·');
    write(slopeText, known ? short(tape.local[a][0] ?? 0, 3) : '?');
    style(chip, `chip ${has ? tone(sum[z], largest).join('') : ''}`);
    style(g, `value${known ? '' : ' wait'}${neuron === opened ? ' now' : ''}`);
  }
});
