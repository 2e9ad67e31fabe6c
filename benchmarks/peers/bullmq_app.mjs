// BullMQ on ioredis, and on the newest Node, from npm too. `node bullmq_app.mjs worker PROCESSES`, `node bullmq_app.mjs
// send`; the orders and answers of the sender are those of sending.py, and the counting is that of counting.py.
//
// - `default`: a Worker as it comes: one job at a time, finished jobs kept.
// - `tuned`: `concurrency: 100` (https://docs.bullmq.io/guide/workers/concurrency: 100 to 300 for jobs that wait for
//   something) and `removeOnComplete: true` (https://docs.bullmq.io/guide/workers/auto-removal-of-jobs).
//
// Several jobs go in by `addBulk` (https://docs.bullmq.io/guide/queues/adding-bulks). One event for three handlers is
// three jobs of such a batch. Delays are the option `delay`, in milliseconds.
import { createRequire } from "node:module";
import readline from "node:readline";

// The packages are where the benchmark installed them, not above this file.
const require = createRequire(process.env.PEER_MODULES + "/");
const { Queue, Worker } = require("bullmq");
const IORedis = require("ioredis");

const role = process.argv[2], setting = process.env.PEER_SETTING;
const PAYLOAD = { user_id: "12345", note: "x".repeat(165) };
const BATCH = 100, SUBSCRIBERS = 3, FAR_CHUNK = 1000, HOUR_MS = 3_600_000;
const tuned = setting === "tuned";
const connect = () => new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const monotonicUs = () => Number(process.hrtime.bigint() / 1000n); // the clock that Python calls monotonic
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function work() {
  const client = connect();
  let calls = 0, told = 0, times = [], timer = null, idle = 0;
  const tell = () => {
    if (calls === told) {
      idle += 1;
      if (idle >= 50) { clearInterval(timer); timer = null; }
      return;
    }
    idle = 0;
    const pipe = client.pipeline();
    if (times.length) pipe.rpush("bench:times", ...times);
    pipe.incrby("bench:count", calls - told);
    told = calls;
    times = [];
    pipe.exec();
  };
  new Worker("bench", async (job) => {
    if (job.name === "timed") times.push(monotonicUs() - job.data.at_us);
    calls += 1;
    if (timer === null) timer = setInterval(tell, 20);
  }, { connection: connect(), ...(tuned ? { concurrency: 100, removeOnComplete: { count: 0 } } : {}) });
}

async function send() {
  const queue = new Queue("bench", { connection: connect() });
  await queue.waitUntilReady();
  const options = tuned ? { removeOnComplete: true } : {};
  const bulk = (names, opts = options) => queue.addBulk(names.map((name) => ({ name, data: PAYLOAD, opts })));
  const orders = {
    async single({ handler, count }) {
      for (let i = 0; i < count; i++) await queue.add(handler, PAYLOAD, options);
      return count;
    },
    async batch({ handler, count }) {
      for (let start = 0; start < count; start += BATCH) await bulk(Array(Math.min(BATCH, count - start)).fill(handler));
      return count;
    },
    async fan({ count }) {
      const names = Array.from({ length: SUBSCRIBERS }, (_, number) => `fan_${number}`);
      for (let start = 0; start < count; start += BATCH)
        await bulk(Array(Math.min(BATCH, count - start)).fill(names).flat());
      return count;
    },
    async timed({ count, pause_s }) {
      for (let i = 0; i < count; i++) {
        await pause(pause_s * 1000);
        await queue.add("timed", { ...PAYLOAD, at_us: monotonicUs() }, options);
      }
      return count;
    },
    async delayed({ count, lead_s, window_s }) {
      // Whole milliseconds on both clocks; waiting for a new one makes the two begin together.
      let beganMs = Date.now();
      while (Date.now() === beganMs);
      beganMs = Date.now();
      const beganUs = monotonicUs();
      for (let i = 0; i < count; i++) {
        const afterMs = Math.round((lead_s + (window_s * i) / count) * 1000);
        const delay = Math.max(0, beganMs + afterMs - Date.now());
        await queue.add("timed", { ...PAYLOAD, at_us: beganUs + afterMs * 1000 }, { ...options, delay });
      }
      return count;
    },
    async far({ count, limit_s }) {
      const began = Date.now();
      let sent = 0;
      while (sent < count && Date.now() - began < limit_s * 1000) {
        const chunk = Math.min(FAR_CHUNK, count - sent);
        await bulk(Array(chunk).fill("noop"), { ...options, delay: began + HOUR_MS - Date.now() });
        sent += chunk;
      }
      return sent;
    },
  };
  console.log(JSON.stringify({ ready: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line), began = monotonicUs(), usedBefore = process.cpuUsage();
    const sent = await orders[order.do](order);
    const seconds = (monotonicUs() - began) / 1e6, used = process.cpuUsage(usedBefore);
    console.log(JSON.stringify({ sent, seconds, cpu_seconds: (used.user + used.system) / 1e6 }));
  }
  process.exit(0);
}

role === "worker" ? work() : await send();
