// Processes and workers that end while requests are under way: none crashes, none hangs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { InMemCache } from "undercroft";
import { until } from "./waiting.js";

let server;
let url;
const sockets = new Set();
before(async () => {
  // Takes requests and never answers them.
  server = createServer(() => undefined).listen(0, "127.0.0.1");
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const PREFACE = (address) => `
  const { InMemCache, ChainCache, S3Cache, SWRCache, TTLCache, settled } = await import(${JSON.stringify(import.meta.resolve("undercroft"))});
  const far = new S3Cache("bucket", { endpointUrl: ${JSON.stringify(address)}, region: "us-east-1", accessKeyId: "a", secretAccessKey: "b", timeout: "1h", retries: 0 });
`;

/** Runs a program in a process of its own. */
async function run(program, address = url) {
  const process_ = spawn(process.execPath, ["--input-type=module", "-e", PREFACE(address) + program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  process_.stdout.on("data", (data) => (out += data));
  process_.stderr.on("data", (data) => (err += data));
  const [code, signal] = await new Promise((resolve) => process_.once("close", (...ended) => resolve(ended)));
  return { code, signal, out: out.trim(), err };
}

test("process.exit while requests are under way", async () => {
  for (let round = 0; round < 5; round++) {
    const { code, signal, err } = await run(`
      for (let i = 0; i < 50; i++) far.get("k" + i).catch(() => undefined);
      far.setMany(Array.from({ length: 50 }, (_, i) => ["k" + i, i])).catch(() => undefined);
      setTimeout(() => process.exit(7), ${round * 5});
    `);
    assert.deepEqual([code, signal, err], [7, null, ""]);
  }
});

test("process.exit in a loader, in a store of one's own, and in a listener", async () => {
  for (const program of [
    `await TTLCache.cached("k", { ttl: 60 })(async () => process.exit(7))();`,
    `const own = { get() { process.exit(7); }, set() {}, delete() {}, exists() {}, setIfNotExists() {} };
     await TTLCache.cached("k", { ttl: 60, cache: own })(async () => 1)();`,
    `process.on("exit", () => { far.get("k").catch(() => undefined); }); process.exit(7);`,
  ]) {
    const { code, signal, err } = await run(program);
    assert.deepEqual([code, signal, err], [7, null, ""]);
  }
});

test("an uncaught error while requests are under way ends the process as usual", async () => {
  const { code, signal, err } = await run(`far.get("k").catch(() => undefined); setTimeout(() => { throw new Error("mine"); }, 5);`);

  assert.deepEqual([code, signal], [1, null]);
  assert.match(err, /Error: mine/);
});

test("an idle cache keeps no process alive, nor does a schedule", async () => {
  const { code, out } = await run(`
    const { BGCache } = await import(${JSON.stringify(import.meta.resolve("undercroft"))});
    const fn = SWRCache.cached("k", { ttl: 60, staleTtl: 60 })(async () => "v");
    BGCache.registerLoader("b", { interval: 60 })(async () => 1);
    console.log(await fn(), await fn());
  `);

  assert.deepEqual([code, out], [0, "v v"]);
});

test("a write that nobody awaits is finished before the process ends", async () => {
  const received = [];
  const taking = createServer((request, response) => {
    received.push(request.method);
    request.resume();
    request.on("end", () => setTimeout(() => response.end(), 30));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => taking.once("listening", resolve));

  const { code, err } = await run(`far.set("k", 1);`, `http://127.0.0.1:${taking.address().port}`);
  taking.close();

  assert.deepEqual([code, err, received], [0, "", ["PUT"]]);
});

/** Starts a worker that says when its requests are under way. */
function worker(program) {
  const source = `(async () => { const { parentPort } = require("node:worker_threads"); ${PREFACE(url)} ${program} })();`;
  return new Worker(source, { eval: true });
}

const said = (worker) => new Promise((resolve) => worker.once("message", resolve));
const ended = (worker) => new Promise((resolve) => worker.once("exit", resolve));

test("a worker that is terminated while requests and loads are under way", async () => {
  for (let round = 0; round < 5; round++) {
    const one = worker(`
      const fn = TTLCache.cached("k:{}", { ttl: 60, cache: new ChainCache([[new InMemCache()], [far]]) })(async (_id) => 1);
      for (let i = 0; i < 100; i++) fn(i % 10).catch(() => undefined);
      const hung = TTLCache.cached("h", { ttl: 60 })(() => new Promise(() => undefined));
      hung(); hung();
      parentPort.postMessage("ready");
    `);
    await said(one);

    assert.equal(await one.terminate(), 1);
  }
  // This environment goes on as if nothing had been.
  const store = new InMemCache();
  await store.set("k", 1);
  assert.equal(await store.get("k"), 1);
});

test("a worker that exits by itself while requests are under way", async () => {
  const one = worker(`far.get("k").catch(() => undefined); parentPort.postMessage("ready"); process.exit(3);`);

  assert.equal(await ended(one), 3);
});

test("workers come and go, and each has its own caches", async () => {
  for (let round = 0; round < 20; round++) {
    const one = worker(`
      const store = new InMemCache();
      for (let i = 0; i < 100; i++) await store.set("k" + i, { i });
      parentPort.postMessage(await store.get("k7"));
    `);
    // Asked for both at once: a worker's last message and its end may come in one turn.
    assert.deepEqual(await Promise.all([said(one), ended(one)]), [{ i: 7 }, 0]);
  }
});

test("a process whose only user is a worker that has ended", async () => {
  const { code, err } = await run("").then(
    () =>
      new Promise((resolve) => {
        const program = `
        import { Worker } from "node:worker_threads";
        const source = ${JSON.stringify(`(async () => { ${PREFACE(url)} for (let i = 0; i < 20; i++) far.get("k" + i).catch(() => undefined); setTimeout(() => process.exit(0), 20); })();`)};
        for (let round = 0; round < 3; round++) await new Promise((resolve) => new Worker(source, { eval: true }).once("exit", resolve));
        setTimeout(() => undefined, 100);
      `;
        const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "ignore", "pipe"] });
        let err = "";
        child.stderr.on("data", (data) => (err += data));
        child.once("close", (code) => resolve({ code, err }));
      }),
  );

  assert.deepEqual([code, err], [0, ""]);
});

test("requests under way are let go of when their worker ends", async () => {
  const before = sockets.size;
  const one = worker(`far.get("k").catch(() => undefined); parentPort.postMessage("ready");`);
  await said(one);
  await until(() => sockets.size > before);
  const mine = [...sockets].slice(before);

  await one.terminate();

  await until(() => mine.every((socket) => socket.destroyed || socket.readableEnded));
});
