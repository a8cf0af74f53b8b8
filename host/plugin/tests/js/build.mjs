// Builds app.js as a component: node build.mjs <folder of the contract> <file to write>
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { componentize } from "@bytecodealliance/componentize-js";

const [witPath, out] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: fileURLToPath(new URL("app.js", import.meta.url)),
  witPath,
  worldName: "automation",
});
await writeFile(out, component);
