// Builds `console/vendor/lit.js`, the one library that the console uses, from the package of its authors. The
// console itself is served as it is written.
//
//     node services/operator/static/vendor.js [--check]
//
// With --check nothing is written: it fails where the file is not what the locked version builds to.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const OUT = join(HERE, "console/vendor/lit.js");

const { outputFiles } = await build({
  absWorkingDir: HERE,
  stdin: {
    contents: `
      export { LitElement, html, nothing } from "lit";
      export { live } from "lit/directives/live.js";
      export { repeat } from "lit/directives/repeat.js";
    `,
    resolveDir: HERE,
  },
  bundle: true,
  minify: true,
  format: "esm",
  charset: "utf8",
  target: "es2022",
  legalComments: "inline",
  conditions: ["production"],
  tsconfigRaw: {}, // what checks types does not change what is built
  write: false,
});
const built = outputFiles[0].text;

if (process.argv.includes("--check")) {
  if (readFileSync(OUT, "utf8") !== built) {
    console.error("console/vendor/lit.js is not what the locked version builds to: run `make vendor`.");
    process.exit(1);
  }
} else {
  writeFileSync(OUT, built);
}
