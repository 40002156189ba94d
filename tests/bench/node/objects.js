// Many values of 4 KiB from S3: `node objects.js undercroft|aws URL ACCESS_KEY SECRET_KEY BUCKET`, with what a get costs as JSON.
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { Agent } from "node:http";
import { S3Cache } from "undercroft";
import { median } from "./measure.js";

const [who, endpoint, accessKeyId, secretAccessKey, bucket] = process.argv.slice(2);
const COUNT = 1000;
const CONCURRENCY = 32;
const ROUNDS = 7;
const keys = Array.from({ length: COUNT }, (_, i) => `k:${i}`);
const body = (i) => Buffer.alloc(4096, i % 256);

function undercroft() {
  const store = new S3Cache(bucket, {
    prefix: "node/undercroft/",
    endpointUrl: endpoint,
    region: "us-east-1",
    accessKeyId,
    secretAccessKey,
    serializer: "raw",
    compress: false,
    concurrency: CONCURRENCY,
    // Every value is transferred, as with the other.
    revalidate: 0,
  });
  return {
    put: () => store.setMany(keys.map((key, i) => [key, body(i)])),
    get: async () => [...(await store.getMany(keys)).values()],
  };
}

/** As many requests at a time, over as many connections, as its users write it. */
function aws() {
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: CONCURRENCY }) }),
  });
  const each = async (work) => {
    const results = new Array(COUNT);
    let next = 0;
    const run = async () => {
      while (next < COUNT) {
        const at = next++;
        results[at] = await work(at);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, run));
    return results;
  };
  const key = (at) => ({ Bucket: bucket, Key: `node/aws/${keys[at]}` });
  return {
    put: () => each((at) => client.send(new PutObjectCommand({ ...key(at), Body: body(at) }))),
    get: () => each(async (at) => Buffer.from(await (await client.send(new GetObjectCommand(key(at)))).Body.transformToByteArray())),
  };
}

const { put, get } = { undercroft, aws }[who]();
await put();
const [times, cpus] = [[], []];
for (let round = -1; round < ROUNDS; round++) {
  const [started, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  const values = await get();
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  if (values.length !== COUNT || !values.every((value, i) => value.equals(body(i)))) throw new Error("not what was put");
  if (round < 0) continue;
  times.push(COUNT / seconds);
  cpus.push((user + system) / COUNT);
}
process.stdout.write(JSON.stringify({ "gets a second": median(times), "µs of CPU a get": median(cpus) }));
process.exit(0);
