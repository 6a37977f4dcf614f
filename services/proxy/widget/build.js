// Builds the chat button: the folder `static/widget` from the modules beside this file.
//
//     node services/proxy/widget/build.js [--check]
//
// A build's version is a hash of its content, so a file's versioned address never changes what it has.
// With --check nothing is written: it fails where the folder is not what the modules build to.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, transform } from "esbuild";

const HERE = import.meta.dirname;
const OUT = join(HERE, "../static/widget");
/** Versions that pages may have in their tags: they stay. One for each release. */
const RELEASED = JSON.parse(readFileSync(join(HERE, "released.json"), "utf8"));

/** A stylesheet as a text, without what is only for people. @type {import("esbuild").Plugin} */
const styles = {
  name: "styles",
  setup(bundle) {
    bundle.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true, target: "chrome120" });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/**
 * @param {string} entry
 * @param {import("esbuild").BuildOptions} options
 * @returns {Promise<string>}
 */
async function bundled(entry, options) {
  const { outputFiles } = await build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    charset: "utf8",
    target: "es2022",
    legalComments: "none",
    tsconfigRaw: {}, // what checks types does not change what is built
    write: false,
    plugins: [styles],
    ...options,
  });
  return outputFiles?.[0].text ?? "";
}

/** @param {string} content */
const integrity = (content) => `sha256-${createHash("sha256").update(content).digest("base64")}`;

/** All files by their paths in the folder. @returns {Promise<Map<string, string>>} */
async function files() {
  /** @type {Map<string, string>} */
  const parts = new Map();
  for (const name of readdirSync(join(HERE, "texts")).sort()) {
    if (name === "en.json") continue; // in chat.js
    const language = name.replace(/\.json$/, "");
    parts.set(`texts-${language}.js`, await bundled(`texts/${name}`, { format: "esm", stdin: {
      contents: `export { default } from "./${name}";`, resolveDir: join(HERE, "texts") }, entryPoints: undefined }));
  }
  parts.set("markdown.js", await bundled("chat/view/markdown.js", { format: "esm" }));
  /** The hashes of what is there so far, for the module that loads it. */
  const hashes = (/** @type {string[]} */ ...names) => JSON.stringify(
    Object.fromEntries(names.map((name) => [name, integrity(parts.get(name) ?? "")])));
  const chat = { define: { WIDGET_HASHES: hashes(...parts.keys()) }, format: /** @type {const} */ ("esm") };
  parts.set("chat.js", await bundled("chat/main.js", chat));
  /** @param {string} version */
  const button = (version) =>
    bundled("button/main.js", { format: "iife", define: {
      WIDGET_VERSION: JSON.stringify(version), WIDGET_HASHES: hashes("chat.js") } });
  const version = createHash("sha256").update(await button("")).digest("hex").slice(0, 12);
  parts.set("widget.js", await button(version));
  const manifest = { version, integrity: integrity(parts.get("widget.js") ?? "") };
  return new Map([
    ["manifest.json", `${JSON.stringify(manifest, null, 2)}\n`],
    ["widget.d.ts", readFileSync(join(HERE, "widget.d.ts"), "utf8")],
    ...[...parts].map(([name, content]) => /** @type {[string, string]} */ ([`${version}/${name}`, content])),
  ]);
}

/** The folder's files, but those of released versions. */
function standing() {
  const all = readdirSync(OUT, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const names = all.map(({ parentPath, name }) => join(parentPath, name).slice(OUT.length + 1));
  return names.filter((name) => !RELEASED.includes(name.split("/")[0]));
}

const built = await files();
if (process.argv.includes("--check")) {
  const wrong = new Set(standing().filter((name) => !built.has(name)));
  for (const [name, content] of built) {
    try {
      if (readFileSync(join(OUT, name), "utf8") !== content) wrong.add(name);
    } catch {
      wrong.add(name);
    }
  }
  if (wrong.size) {
    console.error(`static/widget is not what its modules build to (${[...wrong].join(", ")}): run \`make widget\`.`);
    process.exitCode = 1;
  }
} else {
  mkdirSync(OUT, { recursive: true });
  for (const name of readdirSync(OUT)) if (!RELEASED.includes(name)) rmSync(join(OUT, name), { recursive: true });
  for (const [name, content] of built) {
    mkdirSync(join(OUT, name, ".."), { recursive: true });
    writeFileSync(join(OUT, name), content);
  }
}
