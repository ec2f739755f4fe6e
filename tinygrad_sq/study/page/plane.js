
// --- what a net gives on the plane of its two inputs, with the samples on it; a click moves the inputs there ---
const {plane} = graph, {level} = plane;
const CELLS = 64, DEPTHS = 5;
const MARKS = [ // around (0, 0), one after the other for the classes
  'M0 -7L7 5H-7z', 'M6.5 0A6.5 6.5 0 1 1 -6.5 0A6.5 6.5 0 1 1 6.5 0z', 'M-6 -6H6V6H-6z', 'M0 -8L8 0L0 8L-8 0z', 'M0 7L7 -5H-7z',
];
const mark = kind => MARKS[kind % MARKS.length];
const opacity = depth => 0.15 + 0.11 * Math.min(DEPTHS - 1, Math.floor(DEPTHS * depth));

// A point's colour and how deep it is: the class of the largest output, by how much it leads; for a single output, the
// side of the level on which it is, and how far from it.
function judge(outputs) {
  if (level !== null) return [+(outputs[0] > level), Math.abs(outputs[0] - level)];
  const [first, second] = outputs.toSorted((a, b) => b - a);
  return [outputs.indexOf(first), first - second];
}

function drawPlane() {
  const {x: [first, second], of, box: [left, right, bottom, top]} = plane;
  const canvas = $('plane'), context = canvas.getContext('2d'), side = canvas.width, cell = side / CELLS;
  const middles = Array.from({length: CELLS}, (_, k) => (k + 0.5) / CELLS);
  trainer.parameters = Float64Array.from(parameters, p => tape.data[p]);
  const judged = trainer.grid(middles.map(t => left + (right - left) * t), middles.map(t => top - (top - bottom) * t)).flat().map(judge);
  const most = plane.most ?? (Math.max(...judged.map(([, size]) => size)) || 1);
  const ink = resolved('--ink'), page = resolved('--page'), hues = plane.hues.map(resolved);
  const dip = (kind, depth) => {
    context.fillStyle = hues[kind % hues.length];
    context.globalAlpha = depth;
  };
  context.clearRect(0, 0, side, side);
  judged.forEach(([kind, size], k) => {
    dip(kind, opacity(size / most));
    context.fillRect(cell * (k % CELLS), cell * Math.floor(k / CELLS), cell, cell);
  });
  const place = (x, y) => [side * (x - left) / (right - left), side * (top - y) / (top - bottom)];
  context.strokeStyle = ink;
  train.X.forEach((sample, s) => {
    const [kind, size] = plane.most ? judge([of[s]]) : [of[s]], shape = new Path2D(mark(plane.most ? 1 : kind));
    context.setTransform(1, 0, 0, 1, ...place(...sample));
    context.globalAlpha = 1;
    context.fillStyle = page;
    context.fill(shape);
    dip(kind, plane.most ? opacity(size / most) : 1);
    context.fill(shape);
    context.globalAlpha = 1;
    context.stroke(shape);
  });
  context.resetTransform();
  const [x, y] = place(tape.data[first], tape.data[second]);
  context.lineWidth = 2;
  context.strokeRect(x - 10, y - 10, 20, 20);
  context.lineWidth = 1;
}
// A canvas knows no variables and no light-dark().
function resolved(variable) {
  $('plane').style.color = `var(${variable})`;
  return getComputedStyle($('plane')).color;
}
panels.push(drawPlane);
{
  const {x: [first, second], box: [left, right, bottom, top], names, most, hues} = plane;
  const dab = (kind, attributes) => svg('path', {class: `kind${kind % hues.length}`, ...attributes});
  const sign = (width, ...parts) => svg('svg', {viewBox: `-8 -8 ${width} 16`, width, height: 16, 'aria-hidden': true}, ...parts);
  const depths = Array.from({length: 2 * DEPTHS}, (_, k) => k - DEPTHS);
  $('key').append(...most
    ? [html('span', {}, `${short(level - most)} `, sign(22 * DEPTHS, ...depths.map((k, place) => dab(+(k >= 0), {
      d: `M${11 * place - 8} -8h11v16h-11z`, 'fill-opacity': opacity((k < 0 ? -k - 1 : k) / DEPTHS),
    }))), ` ${short(level + most)}`), names[0]]
    : names.map((name, kind) => html('span', {}, sign(16, dab(kind, {d: mark(kind)})), ` ${name}`)),
  html('br'), `x[0] to the right, x[1] up${most ? '' : '; the deeper, the surer'}`);
  $('map').hidden = false;
  $('plane').onclick = ({offsetX, offsetY}) => {
    const {clientWidth, clientHeight} = $('plane');
    tape.set(first, +(left + (right - left) * offsetX / clientWidth).toPrecision(4));
    change(second, +(top - (top - bottom) * offsetY / clientHeight).toPrecision(4));
  };
}
