// An S3 server that somebody else wrote (s3s-fs), on loopback, for as long as a test file runs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BUCKET = "bucket";

/** Starts a server with one bucket. */
export async function serve() {
  const program = process.env.UNDERCROFT_S3_SERVER;
  assert.ok(program, "UNDERCROFT_S3_SERVER names the S3 server: run `make test-node`");
  const folder = mkdtempSync(join(tmpdir(), "undercroft-node-"));
  const server = spawn(program, ["--root", folder, "--bucket", BUCKET], { stdio: ["pipe", "pipe", "ignore"] });
  const line = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(String(data))));
  const endpointUrl = `http://${line.trim().split(" ").pop()}`;
  const options = { endpointUrl, region: "us-east-1", accessKeyId: "test", secretAccessKey: "testing-secret" };
  const stop = () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  };
  return { endpointUrl, folder, options, stop };
}
