
// --- what a net decides on the plane of its two inputs, with the samples on it; a click moves the inputs there ---
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
panels.push(drawPlane);
{
  const {x: [first, second], box: [left, right, bottom, top]} = graph.plane;
  $('plane').hidden = false;
  $('plane').onclick = ({offsetX, offsetY}) => {
    const {clientWidth, clientHeight} = $('plane');
    tape.set(first, +(left + (right - left) * offsetX / clientWidth).toPrecision(4));
    change(second, +(top - (top - bottom) * offsetY / clientHeight).toPrecision(4));
  };
}
