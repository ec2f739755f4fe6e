
// --- gradient descent: p ← p − lr ∂J/∂p over the samples, or over the one recorded ---

const {train} = graph;
const trainer = train && new core.Trainer(train);
const parameters = graph.parameters;
const curve = [];
let running = 0, {lr} = graph;

// One step from the parameters as they are now; gives J as it was before.
function descend() {
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
$('rate').value = lr;
$('rate').onchange = () => {
  if (+$('rate').value > 0) lr = +$('rate').value;
  $('rate').value = lr;
};
$('rule').textContent = `Each parameter p ← p − step size × ∂${names[root]}/∂p`
  + (trainer ? ', with the mean gradient of all samples' : '');
onReset.push(() => {
  halt();
  curve.length = 0;
  $('fault').textContent = '';
});

panels.push(() => {
  $('cost').value = curve.length ? `${names[root]} was ${short(curve.at(-1), 6)} before step ${curve.length}`
    : `${counted(parameters.length, 'parameter')}, ${counted(train ? train.X.length : 1, 'sample')}`;
  drawCurve();
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
