// Node's fetch as a client: node fetch.mjs SCENARIO URL [WORD]; prints JSON, one value a line.
import { createHash } from "node:crypto";

const [scenario, url, word] = process.argv.slice(2);
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function told(answer) {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return {
    status: answer.status,
    reason: answer.statusText,
    headers: [...answer.headers],
    size: bytes.length,
    sha256: sha256(bytes),
    redirected: answer.redirected,
  };
}

function failed(error) {
  return { name: error.name, message: error.message, cause: error.cause?.code ?? null };
}

const scenarios = {
  async answers() {
    for (const path of ["/fields", "/gzip", "/big/length", "/big/chunked", "/status/204",
      "/status/404", "/status/500", "/cookies/set", "/redirect/302"]) {
      say(await told(await fetch(url + path)));
    }
    say(await told(await fetch(url + "/files/weights.bin", { method: "HEAD" })));
    say(await told(await fetch(url + "/files/weights.bin", { headers: { Range: "bytes=5-9" } })));
    const body = new Uint8Array(1 << 20).fill(7);
    say(await told(await fetch(url + "/echo?a=%20b", { method: "POST", body })));
    const form = new FormData();
    form.set("model", "whisper");
    form.set("file", new Blob([body], { type: "audio/wav" }), "talk.wav");
    const sent = await fetch(url + "/v1/audio/transcriptions", { method: "POST", body: form });
    say(sent.status);
    try {
      await (await fetch(url + "/short")).arrayBuffer();
    } catch (error) {
      say(failed(error));
    }
  },

  // Prints each event when it comes; the test answers on standard input only to keep us alive.
  async stream() {
    const answer = await fetch(url + "/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Stream": word },
      body: JSON.stringify({ model: "m", messages: [], stream: true }),
    });
    const decoder = new TextDecoder();
    for await (const read of answer.body) say(decoder.decode(read, { stream: true }));
  },

  // Begins a stream and gives it up after the first event.
  async abort() {
    const giving_up = new AbortController();
    const answer = await fetch(url + "/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Stream": word },
      body: JSON.stringify({ model: "m", messages: [], stream: true }),
      signal: giving_up.signal,
    });
    const reader = answer.body.getReader();
    await reader.read();
    giving_up.abort();
    await reader.read().catch((error) => say(error.name));
    say((await fetch(url + "/status/200")).status);
  },

  // Sends each piece of a body when the test has confirmed the one before.
  async upload() {
    const lines = process.stdin[Symbol.asyncIterator]();
    let number = 0;
    const body = new ReadableStream({
      async pull(controller) {
        if (number > 0) await lines.next();
        if (number === 4) return controller.close();
        controller.enqueue(new TextEncoder().encode(String(number++).repeat(2000)));
      },
    });
    const headers = { "X-Stream": word };
    const options = { method: "POST", headers, body, duplex: "half" };
    say(await (await fetch(url + "/upload", options)).json());
    process.stdin.destroy();
  },

  async sequence() {
    for (let number = 0; number < 20; number++) {
      const answer = await fetch(url + ["/echo", "/fields", "/gzip", "/v1/models"][number % 4]);
      say([answer.status, sha256(new Uint8Array(await answer.arrayBuffer()))]);
    }
  },
};

await scenarios[scenario]();
