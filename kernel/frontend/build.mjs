// Makes kernel/minirt_kernel/static/terminal.js: one file without any address to load from. See README.md.
import { build } from "esbuild";
import { readFileSync } from "node:fs";

const licences = ["xterm", "addon-fit"].map((name) => {
  const text = readFileSync(`node_modules/@xterm/${name}/LICENSE`, "utf8").trim();
  return `@xterm/${name}\n\n${text}`;
});

await build({
  entryPoints: ["terminal.js"],
  outfile: "../minirt_kernel/static/terminal.js",
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2020",
  loader: { ".css": "text" },
  legalComments: "none",
  banner: { js: `/*!\nMade by kernel/frontend (npm ci && npm run build) from:\n\n${licences.join("\n\n")}\n*/` },
});
