// Runs the nets, in a worker or, where a browser allows none, in the page itself. It stands behind
// onnxruntime-web in one script, which has left its exports in `ort`.

const engine = (() => {
  const sessions = new Map();

  async function gunzip(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  return {
    // wasm: the runtime itself, gzipped.
    async start({ wasm }) {
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = await gunzip(wasm);
      ort.env.logLevel = "error";
    },

    // bytes: an ONNX file, gzipped.
    async load({ name, bytes }) {
      sessions.set(name, await ort.InferenceSession.create(await gunzip(bytes)));
    },

    // feeds: { name: { data: Float32Array, dims } } -> { data, dims, milliseconds } of the output.
    async run({ name, feeds }) {
      const tensors = {};
      for (const [input, { data, dims }] of Object.entries(feeds)) {
        tensors[input] = new ort.Tensor("float32", data, dims);
      }
      const begun = performance.now();
      const output = Object.values(await sessions.get(name).run(tensors))[0];
      return { data: output.data, dims: output.dims, milliseconds: performance.now() - begun };
    },
  };
})();

if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data: { id, task, given } }) => {
    try {
      self.postMessage({ id, result: await engine[task](given) });
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  };
} else {
  globalThis.zerosumEngine = engine;
}
