// A whole plugin without a library: a provider that answers in capitals, a command, and a request hook.
import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const said = {
  name: "node-sample",
  version: "1.0.0",
  summary: "A plugin written for Node",
  hooks: ["on_request"],
  providers: [{ name: "capitals", title: "Capitals", models: [{ id: "loud" }] }],
  commands: [{ name: "node", summary: "Says which Node runs it" }],
};
const cancelled = new Set();
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

async function* words(text) {
  for (const word of text.split(" ")) {
    yield { type: "text_delta", text: word.toUpperCase() + " " };
    await pause();
  }
  yield { type: "finished" };
}

const methods = {
  initialize: () => ({ protocol: 1, plugin: said }),
  start: () => null,
  "hook/on_request": ({ request }) => ({ request: { system: `${request.system ?? ""} Be brief.`.trim() } }),
  "provider/models": () => ({ models: said.providers[0].models }),
  "provider/parameters": () => ({ parameters: [] }),
  "command/run": () => ({ result: { type: "show", markdown: `Node ${process.version}` } }),
  async "provider/stream"({ request }, id) {
    const text = request.messages.at(-1).parts.map((part) => part.text ?? "").join("");
    for await (const event of words(text)) {
      if (cancelled.delete(id)) break;
      send({ method: "provider/events", params: { id, events: [event] } });
    }
    return null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === "stop") process.exit(0);
  if (method === "$/cancel") cancelled.add(params.id);
  if (id === undefined) continue;
  Promise.resolve()
    .then(() => methods[method](params, id))
    .then((result) => send({ id, result }))
    .catch((error) => send({ id, error: { code: -32000, message: String(error), data: { title: String(error) } } }));
}
