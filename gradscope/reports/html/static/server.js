// Host: TensorBoard. Relative addresses only, so that path prefixes, experiments and notebook proxies work.

import { unpack } from "./grids.js";

/** A source that asks the plugin beside this module; `columns` is how many the heatmap gets at most. */
export function serverSource(columns) {
  let densities = new Map();
  let grids = new Map();
  let descriptions = new Map();
  let known = "";
  const cached = (cache, key, load) => {
    if (!cache.has(key)) {
      const loading = load();
      loading.catch(() => cache.delete(key));
      cache.set(key, loading);
    }
    return cache.get(key);
  };
  return {
    vocabulary: () => json("vocabulary"),
    async runs() {
      const { runs, fingerprint } = await json("runs");
      if (fingerprint !== known) {
        [densities, grids, descriptions, known] = [new Map(), new Map(), new Map(), fingerprint];
      }
      return runs;
    },
    /** Whether something was recorded since `runs` was last asked. */
    changed: async () => (await json("fingerprint")).fingerprint !== known,
    describe: (run) => cached(descriptions, run.name, () => json("run", { run: run.name })),
    grids: async (run) => (run.steps.length ? cached(grids, run.name, () => pack("grids", { run: run.name, columns })) : null),
    densities: async (run, kind) =>
      run.steps.length ? cached(densities, `${kind}/${run.name}`, () => pack("densities", { run: run.name, kind })) : null,
  };
}

async function ask(route, parameters = {}) {
  const answer = await fetch(`./${route}?${new URLSearchParams(parameters)}`);
  if (answer.ok) return answer;
  throw new Error((await answer.text()) || `TensorBoard answered ${answer.status}`);
}

async function json(route, parameters) {
  return (await ask(route, parameters)).json();
}

async function pack(route, parameters) {
  return unpack(await (await ask(route, parameters)).arrayBuffer());
}
