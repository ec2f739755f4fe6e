
// --- gradient descent: p ← p − lr ∂J/∂p over the samples, or over the one recorded ---

const {train} = graph;
const trainer = train && new core.Trainer(train);
const parameters = graph.parameters;
const curve = [];
let running = 0;

// One step from the parameters as they are now; gives J as it was before.
function descend() {
  const lr = +$('rate').value;
  let J = tape.data[root], next;
  if (trainer) {
    trainer.lr = lr;
    trainer.parameters = Float64Array.from(parameters, p => tape.data[p]);
    J = trainer.step();
    next = trainer.parameters;
  } else next = parameters.map(p => tape.data[p] - lr * tape.grad[p]);
  if (![J, ...next].every(Number.isFinite)) throw new Error('a step left the finite numbers: try a smaller step size');
  parameters.forEach((p, k) => tape.set(p, next[k]));
  recompute();
  curve.push(J);
}
function descendTimes(times) {
  try {
    for (let k = 0; k < times; k++) descend();
  } catch (error) {
    halt();
    $('fault').textContent = error.message;
  }
  paint();
}
function halt() {
  cancelAnimationFrame(running);
  running = 0;
  $('run').textContent = 'run';
}
function run() {
  if (running) return halt();
  $('run').textContent = 'pause';
  const frame = () => {
    running = requestAnimationFrame(frame);
    descendTimes(1);
  };
  running = requestAnimationFrame(frame);
}
$('descend').onclick = () => descendTimes(1);
$('hundred').onclick = () => descendTimes(100);
$('run').onclick = run;
$('rate').value = graph.lr;
onReset.push(() => {
  halt();
  curve.length = 0;
  $('fault').textContent = '';
});

panels.push(() => {
  const counted = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;
  $('cost').value = curve.length ? `after ${counted(curve.length, 'step')} J was ${short(curve.at(-1), 6)}`
    : `${counted(parameters.length, 'parameter')}, ${counted(train ? train.X.length : 1, 'sample')}`;
  drawCurve();
  if (graph.plane) drawPlane();
});

// The cost of each step, on a logarithmic axis where it can be.
function drawCurve() {
  const scale = curve.every(y => y > 0) ? Math.log10 : y => y, ys = curve.map(scale);
  const low = Math.min(...ys), high = Math.max(...ys), span = high - low || 1;
  const points = ys.map((y, k) => `${6 + 348 * k / Math.max(1, ys.length - 1)},${100 - 84 * (y - low) / span}`);
  $('curve').replaceChildren(...(curve.length < 2 ? [] : [
    svg('polyline', {points: points.join(' '), class: 'curve'}),
    svg('text', {x: 6, y: 10}, short(Math.max(...curve))),
    svg('text', {x: 354, y: 116, class: 'end'}, short(curve.at(-1))),
  ]));
  $('curve').setAttribute('aria-label', curve.length
    ? `J by step, from ${short(curve[0])} to ${short(curve.at(-1))}` : 'J by step, none yet');
}

// What the net decides on the plane of its two inputs, with the samples on it; a click moves the inputs there.
const CELLS = 64;

function drawPlane() {
  const {x: [first, second], level, box: [left, right, bottom, top]} = graph.plane;
  const canvas = $('plane'), context = canvas.getContext('2d'), side = canvas.width;
  const shades = ['neg', 'pos'].map(sign => [1, 2, 3, 4].map(step => resolved(`--${sign}${step}`)));
  const middles = Array.from({length: CELLS}, (_, k) => (k + 0.5) / CELLS);
  trainer.parameters = Float64Array.from(parameters, p => tape.data[p]);
  const scores = trainer.grid(middles.map(t => left + (right - left) * t), middles.map(t => top - (top - bottom) * t)).flat(2);
  const most = Math.max(...scores.map(score => Math.abs(score - level))) || 1;
  scores.forEach((score, k) => {
    const size = Math.min(3, Math.floor(4 * Math.abs(score - level) / most));
    context.fillStyle = shades[+(score > level)][size];
    context.fillRect(side * (k % CELLS) / CELLS, side * Math.floor(k / CELLS) / CELLS, side / CELLS + 1, side / CELLS + 1);
  });
  const place = (x, y) => [side * (x - left) / (right - left), side * (top - y) / (top - bottom)];
  context.lineWidth = 2;
  train.X.forEach((sample, s) => {
    const [x, y] = place(...sample), high = train.Y[s][0] > level;
    context.beginPath();
    if (high) context.arc(x, y, 6, 0, 7);
    else context.moveTo(x, y - 7), context.lineTo(x + 7, y + 5), context.lineTo(x - 7, y + 5), context.closePath();
    context.fillStyle = resolved(high ? '--pos-line' : '--neg-line');
    context.strokeStyle = resolved('--page');
    context.fill();
    context.stroke();
  });
  const [x, y] = place(tape.data[first], tape.data[second]);
  context.strokeStyle = resolved('--ink');
  context.strokeRect(x - 8, y - 8, 16, 16);
}
// A canvas knows no variables and no light-dark().
function resolved(variable) {
  $('plane').style.color = `var(${variable})`;
  return getComputedStyle($('plane')).color;
}
if (graph.plane) {
  const {x: [first, second], box: [left, right, bottom, top]} = graph.plane;
  $('plane').hidden = false;
  $('plane').onclick = ({offsetX, offsetY}) => {
    const {clientWidth, clientHeight} = $('plane');
    tape.set(first, +(left + (right - left) * offsetX / clientWidth).toPrecision(4));
    change(second, +(top - (top - bottom) * offsetY / clientHeight).toPrecision(4));
  };
}
