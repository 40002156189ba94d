// The package as users get it: packed, installed into an empty project, and used as the README says.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { candidates } from "../../node/dist/native.js";

const node = join(dirname(fileURLToPath(import.meta.url)), "../../node");
const programs = readFileSync(join(node, "../README.md"), "utf8")
  .split("```js\n")
  .slice(1)
  .map((block) => block.split("```")[0]);

let folder;
let options;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "undercroft-npm-"));
  options = { cwd: folder, encoding: "utf8" };
  const packed = execFileSync("npm", ["pack", "--json", "--silent", "--pack-destination", folder], { ...options, cwd: node });
  const [{ filename }] = JSON.parse(packed);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", join(folder, filename)], options);
});
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));

test("the README has a quick start for Node, and one for the component", () => {
  assert.deepEqual(
    programs.map((program) => program.includes('"undercroft/component"')),
    [false, true],
  );
});

for (const [at, program] of programs.entries()) {
  test(`the README's quick start ${at + 1} runs in an empty project`, () => {
    writeFileSync(join(folder, `program${at}.js`), program);

    execFileSync("node", [`program${at}.js`], options);
  });
}

test("require() loads the package where Node can", () => {
  const { status, stderr } = spawnSync("node", ["-e", 'require("undercroft")'], options);

  // Node 20 asks for import(), newer ones just load it.
  assert.ok(status === 0 || stderr.includes("ERR_REQUIRE_ESM") || stderr.includes("ERR_PACKAGE_PATH_NOT_EXPORTED"), stderr);
});

test("without a binary for the platform, the error says what to do", () => {
  const [binary] = candidates().map((path) => path.replace(node, join(folder, "node_modules/undercroft")));
  renameSync(binary, `${binary}.away`);
  try {
    const { status, stderr } = spawnSync("node", ["-e", 'import("undercroft")'], options);

    assert.equal(status, 1);
    assert.match(
      stderr,
      /CacheError: this package holds no native library for \w+-\w+: build it in a checkout of the repository with `make node`/,
    );

    const program = 'import("undercroft").then(({ InMemCache }) => new InMemCache())';
    const named = spawnSync("node", ["-e", program], { ...options, env: { ...process.env, UNDERCROFT_NATIVE: `${binary}.away` } });
    // What is no library of Node's is refused by its name.
    assert.match(named.stderr, /`.*\.away` cannot be loaded/);
  } finally {
    renameSync(`${binary}.away`, binary);
  }
});
