// Builds what the dashboard uses of others, from the packages of their authors: `vendor/lit.js`, which draws it,
// and `vendor/uplot.js`, which draws its charts. The dashboard itself is served as it is written.
//
//     node services/analytics/static/vendor.js [--check]
//
// With --check nothing is written: it fails where a file is not what the locked versions build to.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const ROOT = join(HERE, "../../..");
const EXPORTS = {
  "lit.js": `
    export { LitElement, html, nothing, svg } from "lit";
    export { live } from "lit/directives/live.js";
    export { repeat } from "lit/directives/repeat.js";
  `,
  "uplot.js": `export { default as uPlot } from "uplot";`,
};
const COPIES = {
  "uplot.css": "node_modules/uplot/dist/uPlot.min.css",
  "LICENSE.uplot": "node_modules/uplot/LICENSE",
  "LICENSE.lit": "services/operator/static/console/vendor/LICENSE.lit",
};

/** @type {Record<string, string>} */
const made = {};
for (const [name, contents] of Object.entries(EXPORTS)) {
  const { outputFiles } = await build({
    absWorkingDir: HERE,
    stdin: { contents, resolveDir: HERE },
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
  made[name] = outputFiles[0].text;
}
for (const [name, path] of Object.entries(COPIES)) made[name] = readFileSync(join(ROOT, path), "utf8");

for (const [name, text] of Object.entries(made)) {
  const path = join(HERE, "vendor", name);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`vendor/${name} is not what the locked version builds to: run \`make vendor\`.`);
    process.exit(1);
  }
}
