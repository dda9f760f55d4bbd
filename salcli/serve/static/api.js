// What the server is asked: maps of pictures and clips, areas, models.
const TRIES = 30, POLL = 400;

const wait = (milliseconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, {once: true});
});

async function ask(path, options = {}) {
  for (let tries = 1; ; tries++) {
    const answer = await fetch(path, options);
    if (answer.status === 429 && tries < TRIES) {
      await wait(1000 * (Number(answer.headers.get("Retry-After")) || 1), options.signal);
      continue;
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${answer.status}`);
  }
}

const query = values => `?${new URLSearchParams(values)}`;
const body = (file, signal) => ({method: "POST", body: file, signal, headers: {"Content-Type": "application/octet-stream"}});

export const health = async () => (await ask("/health")).json();
export const models = async () => (await (await ask("/models")).json()).models;
export const picture = async (file, model, signal) => (await ask(`/predict${query({model})}`, body(file, signal))).json();
export const rendered = async (file, model, format, alpha = 0.55) => (await ask(`/predict${query({model, format, alpha})}`, body(file))).blob();
export const areas = async (file, model) => (await ask(`/areas${query({model, kinds: "regions,texts"})}`, body(file))).text();

// Follows a clip until its maps are there; `tell` gets the job whenever it was asked for.
export async function clip(file, model, {signal, tell}) {
  let job = await (await ask(`/jobs${query({model})}`, body(file, signal))).json();
  const path = `/jobs/${job.id}`;
  try {
    while (job.status !== "done") {
      if (job.status === "failed") throw new Error(job.error);
      tell(job);
      await wait(POLL, signal);
      job = await (await ask(path, {signal})).json();
    }
    return {...await (await ask(`${path}/result`, {signal})).json(), movie: `${path}/result?format=mp4`};
  } catch (error) {
    fetch(path, {method: "DELETE"}).catch(() => {});
    throw error;
  }
}
