// The arithmetic of the explorer page: the chain rule over a recorded graph, and gradient descent.
// The rows of the derivative table, written by Python, follow this file: f.row(...operands) is a row's value,
// d.row(value, ...operands) the list of its partial derivatives, null where no gradient flows.
const core = (() => {
  'use strict';

  const f = {__proto__: null}, d = {__proto__: null};

  // --- libm: Math, and what C has besides or does otherwise ---

  const libm = {
    __proto__: Math,
    fabs: Math.abs,
    maximum: Math.max,
    minimum: Math.min,

    // Math.pow gives NaN for these.
    pow: (x, y) => x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.pow(x, y),

    // Halves to even: beside 2^52 there is no room for a fraction.
    rint(x) {
      const n = Math.abs(x) < 2 ** 52 ? Math.abs(x) + 2 ** 52 - 2 ** 52 : Math.abs(x);
      return x < 0 || Object.is(x, -0) ? -n : n;
    },

    // x y + z, to an ulp even where the sum cancels: the rounding errors of product and sum are put back.
    fma(x, y, z) {
      const p = x * y, s = p + z, t = s - p;
      const error = (p - (s - t)) + (z - t) + productError(x, y, p);
      return Number.isFinite(error) ? s + error : s;
    },

    erf(x) {
      if (Math.abs(x) >= 0.5) return Math.sign(x) * (1 - libm.erfc(Math.abs(x)));
      let sum = x;
      for (let n = 1, term = x; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= -x * x / n;
        sum += term / (2 * n + 1);
      }
      return 2 / Math.sqrt(Math.PI) * sum;
    },

    // e^-x² / π times the integral of x e^-t² / (t² + x²), by the trapezoidal rule in steps of 1/2, less what the pole
    // at t = ix adds to the sum: right to 7e-18 (Chiarella and Reichel 1968).
    erfc(x) {
      if (x < 0.5) return x <= -0.5 ? 2 - libm.erfc(-x) : 1 - libm.erf(x);
      if (x > 28) return 0;
      let sum = 0.5 / x;
      for (let k = 1; k < 14; k++) sum += x * Math.exp(-k * k / 4) / (k * k / 4 + x * x);
      const square = x * x;
      const pole = x < 2 * Math.PI ? 2 / Math.expm1(4 * Math.PI * x) : 0;
      return Math.exp(-square) * (1 - productError(x, x, square)) / Math.PI * sum - pole;
    },
  };

  // x y - p, exactly, where p is the rounded product (Dekker 1971).
  function productError(x, y, p) {
    const [xh, xl] = halves(x), [yh, yl] = halves(y);
    return xh * yh - p + xh * yl + xl * yh + xl * yl;
  }

  // x = high + low, each of at most 26 bits, so that products of them are exact (Veltkamp).
  function halves(x) {
    const t = (2 ** 27 + 1) * x, high = t - (t - x);
    return [high, x - high];
  }

  // --- the graph ---

  // A recorded graph, its nodes in topological order, as graph_json writes it.
  //
  //   ops[i], args[i]  the row's name (null: a leaf) and its operands: a node's number, or a constant as {c: '0.5'}
  //   data, grad       per node: its value; ∂root/∂(this node)
  //   local[i][k]      ∂(node i)/∂(operand k); null for a constant, and where no gradient flows
  //   edges[e]         the backward pass, event by event in the engine's order: {user, k, arg, n, of}: the n-th of `of`
  //                    contributions to arg, by way of operand k of user. There are others when `where` takes the other
  //                    branch
  //   upstream[e], contribution[e], before[e], after[e]   ∂root/∂user; upstream × local; the sum without it and with it
  //   editable, reason  false if some row has no JavaScript spelling: its nodes keep the numbers that were recorded
  class Tape {
    static isNode = (arg) => typeof arg === 'number';

    constructor({ops, args, data, root, recorded, editable, reason}) {
      Object.assign(this, {ops, args, root, recorded, editable, reason});
      const constants = args.flat().filter((arg) => !Tape.isNode(arg));
      let place = ops.length;
      this.memory = Float64Array.from([...data, ...constants.map(({c}) => c)]);
      this.places = args.map((list) => list.map((arg) => Tape.isNode(arg) ? arg : place++));
      this.rows = ops.map((op, i) => op in f || op === null ? op : `${op}/${args[i].length}`);
      this.data = this.memory.subarray(0, ops.length);
      this.grad = new Float64Array(ops.length);
      this.local = args.map(() => []);
      this.operands = [];
      for (let user = root; user >= 0; user--) {
        args[user].forEach((arg, k) => { if (Tape.isNode(arg)) this.operands.push({user, k, arg}); });
      }
      for (const list of ['edges', 'upstream', 'contribution', 'before', 'after']) this[list] = [];
      this.forward();
      this.backward();
    }

    // Change a leaf. The rest follows with forward() and backward().
    set(i, x) {
      if (!this.editable) throw new Error(this.reason);
      this.data[i] = x;
    }

    forward(last = this.ops.length - 1) {
      for (let i = 0; i <= last; i++) this.forwardStep(i);
    }

    forwardStep(i) {
      const row = this.rows[i], args = this.args[i];
      if (i in this.recorded) {
        this.data[i] = this.recorded[i].data;
        this.local[i] = this.recorded[i].local.map((x) => x === null ? null : Number(x));
      } else if (row !== null) {
        const xs = this.places[i].map((place) => this.memory[place]);
        const y = this.data[i] = f[row](...xs);
        this.local[i] = d[row](y, ...xs).map((partial, k) => Tape.isNode(args[k]) ? partial : null);
      }
    }

    // The chain rule: grad[arg] = Σ grad[user] × local over the users of arg, from the root to the leaves.
    backward() {
      const {local, grad, edges, upstream, contribution, before, after} = this;
      const count = new Int32Array(grad.length);
      for (const list of [edges, upstream, contribution, before, after]) list.length = 0;
      grad.fill(-0); // adding to it changes nothing, not even the sign of a zero
      grad[this.root] = count[this.root] = 1;
      for (const edge of this.operands) {
        const {user, k, arg} = edge;
        if (!count[user] || local[user][k] === null) continue; // nothing arrived: times inf it would be NaN
        edge.n = ++count[arg];
        edges.push(edge);
        upstream.push(grad[user]);
        contribution.push(grad[user] * local[user][k]);
        before.push(grad[arg]);
        after.push(grad[arg] += grad[user] * local[user][k]);
      }
      for (const edge of edges) edge.of = count[edge.arg];
      this.args.forEach((args, i) => {
        if (!count[i] || !args.length) grad[i] += 0; // where nothing arrived, and in leaves, -0 is 0
      });
    }
  }

  // --- training ---

  // Gradient descent on J = (1/m) Σ_s loss(model(x), y) + (λ/2) Σ W² (E3), as trainer_json writes it down.
  //
  //   graphs  the loss of one sample as a graph: {tape, outputs}. Its first nodes are the parameters, then come the
  //           inputs, then the targets. Where the loss needs the target as a number, there is a graph for each
  //   which   per sample, its graph
  //   lr, parameters   can be set at any time
  class Trainer {
    constructor({graphs, which, parameters, weights, X, Y, lam, lr}) {
      Object.assign(this, {graphs, which, weights, X, Y, lam, lr});
      this.tapes = graphs.map(({tape}) => new Tape(tape));
      this.parameters = Float64Array.from(parameters);
    }

    place(tape, x, y) {
      tape.memory.set(this.parameters);
      tape.memory.set(x, this.parameters.length);
      tape.memory.set(y, this.parameters.length + x.length);
    }

    // One step along the mean gradient of a batch of samples (all, if none are given). Gives J as it was before.
    step(batch = this.X.keys()) {
      const g = new Float64Array(this.parameters.length);
      const samples = [...batch], m = samples.length;
      let J = 0;
      for (const s of samples) {
        const tape = this.tapes[this.which[s]];
        this.place(tape, this.X[s], this.Y[s]);
        tape.forward();
        tape.backward();
        J += tape.data[tape.root] / m;
        for (let p = 0; p < g.length; p++) g[p] += tape.grad[p] / m;
      }
      for (const w of this.weights) {
        J += 0.5 * this.lam * this.parameters[w] ** 2;
        g[w] += this.lam * this.parameters[w];
      }
      const next = this.parameters.map((p, i) => p - this.lr * g[i]);
      if (![J, ...next].every(Number.isFinite)) {
        throw new Error(`at a cost of ${J}, a step left the finite numbers: try a smaller lr`);
      }
      this.parameters = next;
      return J;
    }

    // The model's outputs at x.
    predict(x) {
      const [tape] = this.tapes, {outputs} = this.graphs[0];
      this.place(tape, x, []);
      tape.forward(Math.max(...outputs));
      return outputs.map((i) => tape.data[i]);
    }

    // The outputs over a grid of two inputs: grid(x0s, x1s)[j][i] = predict([x0s[i], x1s[j]]).
    grid(x0s, x1s) {
      return x1s.map((x1) => x0s.map((x0) => this.predict([x0, x1])));
    }
  }

  return {f, d, libm, Tape, Trainer};
})();
