// Drives a running server with the vendor's own npm client.
//
// cyborgdb_client.mjs URL ROOT_KEY URL_OF_A_SERVER_WITHOUT_A_KEY

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as cyborgdb from "cyborgdb";

// It prints every error in full before it throws.
console.error = () => {};
console.warn = () => {};
console.info = () => {};

const DIMENSION = 32;
const COUNT = 10_000;
const LONG = 300_000; // milliseconds; more than any training here takes

/** Mulberry32: 0 to 1, the same for a seed. */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function clustered(next, count) {
  const vector = (f) => Array.from({ length: DIMENSION }, (_, i) => f(i));
  const centres = Array.from({ length: 100 }, () => vector(() => 10 * next()));
  return Array.from({ length: count }, () => {
    const centre = centres[Math.floor(next() * centres.length)];
    return vector((i) => Math.fround(centre[i] + next() + next() - 1));
  });
}

function exact(points, query) {
  const distance = (point) => point.reduce((sum, x, i) => sum + (x - query[i]) ** 2, 0);
  const all = points.map((point, id) => [distance(point), id]).sort((a, b) => a[0] - b[0]);
  return all.slice(0, 10).map(([, id]) => String(id));
}

async function until(what, isSo) {
  const end = Date.now() + LONG;
  while (!(await isSo())) {
    assert(Date.now() < end, `waited too long until ${what}`);
    await sleep(50);
  }
}

async function main(url, rootKey, openUrl) {
  const Client = cyborgdb.Client ?? cyborgdb.CyborgDB;
  const client = new Client({ baseUrl: url, apiKey: rootKey });
  const health = await client.getHealth();
  assert.equal(health.status, "healthy");
  const indexKey = client.generateKey();
  const indexName = "npm";
  const index = await client.createIndex({ indexName, indexKey });
  assert.deepEqual(await client.listIndexes(), [indexName]);
  assert.equal(await index.isTrained(), false);
  assert.equal(await index.getIndexType(), "ivfflat");

  const points = clustered(chance(7), COUNT);
  const ids = points.map((_, id) => String(id));
  for (let first = 0; first < COUNT; first += 2_500) {
    const part = { ids: ids.slice(first, first + 2_500), vectors: points.slice(first, first + 2_500) };
    assert.equal((await index.upsert(part)).status, "success");
  }
  await until("the index has trained itself", () => index.isTrained());
  const trained = await index.train({ nLists: 64 });
  assert.equal(trained.status, "success");
  assert.equal(await index.isTrained(), true);
  const config = await index.getIndexConfig();
  assert.equal(config.dimension, DIMENSION);

  const queries = points.slice(0, 20);
  const found = await index.query({ queryVectors: queries, topK: 10, include: ["distance"] });
  const hits = queries.map((query, i) => {
    const near = exact(points, query);
    return found.results[i].filter((row) => near.includes(row.id)).length;
  });
  const recall = hits.reduce((a, b) => a + b) / (10 * queries.length);
  assert(recall >= 0.95, `recall@10 is ${recall}`);
  const one = await index.query({ queryVectors: points[3], topK: 1 });
  assert.equal(one.results[0].id, "3");

  await index.upsert({ items: [{ id: "a", vector: points[0], contents: "text", metadata: { colour: "red" } }] });
  const red = await index.query({ queryVectors: points[9], topK: 5, filters: { colour: "red" }, include: ["metadata"] });
  assert.deepEqual(red.results.map((row) => [row.id, row.metadata]), [["a", { colour: "red" }]]);
  const got = await index.get({ ids: ["a"] });
  assert.deepEqual(got.map((item) => item.id), ["a"]);
  await index.delete({ ids: ["a", "0"] });
  assert.equal((await index.listIds()).count, COUNT - 1);

  const loaded = await client.loadIndex({ indexName, indexKey });
  assert.equal(await loaded.getIndexName(), indexName);
  await assert.rejects(client.loadIndex({ indexName, indexKey: client.generateKey() }), /401/);
  await assert.rejects(client.loadIndex({ indexName: "unknown", indexKey }), /404/);
  await assert.rejects(new Client({ baseUrl: url, apiKey: "wrong" }).listIndexes(), /401/);
  // This client sends no key here, and 0.18 asks for one.
  await assert.rejects(client.isTraining(), /401/);
  const status = await new Client({ baseUrl: openUrl }).isTraining();
  assert.deepEqual(status, { training_indexes: [], retrain_threshold: 10_000 });

  await index.deleteIndex();
  assert.deepEqual(await client.listIndexes(), []);
  console.log(`cyborgdb 0.14.0: recall@10 ${recall.toFixed(3)}`);
}

await main(...process.argv.slice(2));
