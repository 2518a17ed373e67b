// Makes one module of the parts of the published client that are used, as its export map hides them. Its npm
// dependencies are touched by other parts only: each becomes an empty module.
//
// eliza_bundle.mjs: reads ./package, writes ./client.mjs

import { build } from "esbuild";

const contents = `
  import "./package/api/client-agent.js"; // puts its methods on the client
  export { ElizaClient } from "./package/api/client-base.js";
`;
const empty = {
  name: "empty",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[^./]/ }, ({ path }) => ({ path, namespace: "empty" }));
    onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "module.exports = {};" }));
  },
};
await build({
  stdin: { contents, resolveDir: process.cwd() },
  bundle: true,
  format: "esm",
  platform: "node",
  outfile: "client.mjs",
  plugins: [empty],
  logLevel: "warning",
});
