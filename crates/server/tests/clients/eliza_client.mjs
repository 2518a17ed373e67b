// Does with the published client what the Fine-Tuning page does, and reads what that reads.
//
// eliza_client.mjs URL TOKEN OLLAMA

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";

// A browser has both.
globalThis.WebSocket = WebSocket;
globalThis.window = globalThis;
const { ElizaClient } = await import("./client.mjs");

const LONG = 300_000; // milliseconds; more than anything here takes

/** Asks as the page does, until it is so. */
async function until(what, ask, isSo) {
  const end = Date.now() + LONG;
  for (;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    assert(Date.now() < end, `waited too long until ${what}`);
    await sleep(50);
  }
}

function isTime(value) {
  assert(Number.isInteger(value) && value > 1_000_000_000_000, `${value} is no time in milliseconds`);
  assert(!Number.isNaN(new Date(value).getTime()));
}

/** What the page reads of a job; it breaks without. */
function isJob(job) {
  assert.equal(typeof job.id, "string");
  assert(["queued", "running", "completed", "failed", "cancelled"].includes(job.status), job.status);
  isTime(job.createdAt);
  assert(job.progress >= 0 && job.progress <= 1, `${job.progress}`);
  assert.equal(typeof job.phase, "string");
  assert.equal(typeof job.logs.join("\n"), "string");
  assert(job.datasetId === null || typeof job.datasetId === "string");
}

/** What the page reads of a model. */
function isModel(model) {
  for (const name of ["id", "jobId", "backend", "name"]) assert.equal(typeof model[name], "string", name);
  isTime(model.createdAt);
  assert.equal(typeof model.active, "boolean");
  assert(["not_run", "passed", "failed"].includes(model.benchmark.status));
  assert(model.ollamaModel === null || typeof model.ollamaModel === "string");
  assert(model.adapterPath === null || typeof model.adapterPath === "string");
}

async function main(url, token, ollamaUrl) {
  const client = new ElizaClient(url, token);
  await assert.rejects(new ElizaClient(url, "wrong").getTrainingStatus(), (error) => {
    return error.name === "ApiError" && error.status === 401 && error.code === "UNAUTHORIZED";
  });

  const events = [];
  client.onWsEvent("training_event", (event) => events.push(event.payload));
  const greeted = new Promise((greet) => client.onWsEvent("status", greet));
  client.connectWs();
  await greeted;

  // The page loads: five at once.
  const [status, trajectories, datasets, jobs, models] = await Promise.all([
    client.getTrainingStatus(),
    client.listTrainingTrajectories({ limit: 100, offset: 0 }),
    client.listTrainingDatasets(),
    client.listTrainingJobs(),
    client.listTrainingModels(),
  ]);
  assert.equal(status.runtimeAvailable, true);
  for (const name of ["runningJobs", "queuedJobs", "completedJobs", "failedJobs", "modelCount", "datasetCount"]) {
    assert.equal(status[name], 0, name);
  }
  assert.deepEqual([datasets.datasets, jobs.jobs, models.models], [[], [], []]);
  assert.equal(trajectories.available, true);
  assert.equal(trajectories.total, trajectories.trajectories.length);
  for (const row of trajectories.trajectories) {
    assert.equal(row.trajectoryId, row.id);
    isTime(row.createdAt);
    isTime(row.startTime);
    for (const name of ["source", "status", "agentId"]) assert.equal(typeof row[name], "string", name);
    assert.equal(typeof row.llmCallCount, "number");
  }
  const [row] = trajectories.trajectories;
  const { trajectory } = await client.getTrainingTrajectory(row.trajectoryId);
  assert.equal(trajectory.id, row.id);
  assert(Array.isArray(JSON.parse(trajectory.stepsJson)));
  assert(trajectory.stepsJson.includes(trajectory.llmCalls[0].response), "what was answered is found in the steps");
  const unknown = (error) => error.status === 404 && error.code === "NOT_FOUND";
  await assert.rejects(client.getTrainingTrajectory("no/such"), unknown);
  await assert.rejects(client.getTrainingJob("no-such"), unknown);

  const { dataset } = await client.buildTrainingDataset({ limit: 250, minLlmCallsPerTrajectory: 1 });
  assert.equal(dataset.trajectoryCount, trajectories.total);
  assert.equal(dataset.sampleCount, dataset.exampleCount);
  isTime(dataset.createdAt);
  assert.equal((await client.listTrainingDatasets()).datasets[0].id, dataset.id);

  // A training from its start to its end.
  const { job } = await client.startTrainingJob({ datasetId: dataset.id, backend: "cuda", iterations: 3, learningRate: 1e-5 });
  isJob(job);
  let progress = 0;
  const completed = await until(
    "it is trained",
    async () => (await client.getTrainingJob(job.id)).job,
    (job) => {
      isJob(job);
      assert(job.progress >= progress, "progress never falls");
      progress = job.progress;
      return !["queued", "running"].includes(job.status);
    },
  );
  assert.equal(completed.status, "completed", completed.error);
  assert.equal(completed.progress, 1);
  assert.equal(completed.exitCode, 0);
  assert.deepEqual([completed.currentIteration, completed.totalIterations], [3, 3]);
  assert(Math.abs(completed.loss - 0.87) < 1e-9, `${completed.loss}`);
  assert(completed.logs.some((line) => line.startsWith("Iter 2: Train loss")), completed.logs.join("\n"));
  isTime(completed.completedAt);

  // One that is cancelled; it would wait for ever.
  const { job: endless } = await client.startTrainingJob({ backend: "cuda", iterations: 99 });
  await until("it waits", async () => (await client.getTrainingJob(endless.id)).job, (job) => {
    isJob(job);
    return job.logs.includes("at the gate");
  });
  const { job: cancelled } = await client.cancelTrainingJob(endless.id);
  assert.equal(cancelled.status, "cancelled");
  assert.equal((await client.cancelTrainingJob(job.id)).job.status, "completed", "it is over");
  await assert.rejects(client.startTrainingJob({ backend: "tpu" }), (error) => error.status === 400 && error.code === "INVALID_REQUEST");

  // The model: imported, activated, measured.
  const [model, ...others] = (await client.listTrainingModels()).models;
  assert.equal(others.length, 0);
  isModel(model);
  assert.equal(model.id, completed.modelId);
  assert.equal(model.jobId, job.id);
  await assert.rejects(client.importTrainingModelToOllama(model.id, { ollamaUrl: "http://example.com" }), (error) => error.status === 400);
  const { model: imported } = await client.importTrainingModelToOllama(model.id, { modelName: "mine", ollamaUrl });
  isModel(imported);
  assert.deepEqual([imported.ollamaModel, imported.ollamaName], ["mine", "mine"]);
  isTime(imported.importedAt);
  const activated = await client.activateTrainingModel(model.id, `ollama/${imported.ollamaModel}`);
  assert.equal(activated.ok, true);
  assert.equal(activated.modelId, model.id);
  assert.equal(activated.providerModel, "ollama/mine");
  assert.equal(activated.needsRestart, true);
  const measured = await client.benchmarkTrainingModel(model.id);
  assert.equal(measured.status, "passed", JSON.stringify(measured));
  assert.equal(measured.scores.coherence, 0.75);
  const [after] = (await client.listTrainingModels()).models;
  isModel(after);
  assert.deepEqual([after.active, after.benchmark.status], [true, "passed"]);
  await assert.rejects(client.benchmarkTrainingModel("no-such"), unknown);

  // The settings page.
  const auto = await client.fetch("/api/training/auto/config");
  assert.deepEqual([auto.threshold, auto.cooldownHours, auto.enabled], [100, 12, true]);
  const known = await client.fetch("/api/training/auto/status");
  assert.equal(known.serviceRegistered, true);
  const flipped = { ...auto.config, autoTrain: false };
  const stored = await client.fetch("/api/training/auto/config", { method: "POST", body: JSON.stringify(flipped) });
  assert.equal(stored.config.autoTrain, false);
  assert.equal((await client.fetch("/api/training/auto/config")).enabled, false);

  // What was told meanwhile.
  const kinds = ["dataset_built", "job_started", "job_log", "job_completed", "job_cancelled", "model_imported", "model_activated"];
  await until("all of it is told", async () => events, () => kinds.every((kind) => events.some((event) => event.kind === kind)));
  for (const event of events) {
    assert.equal(typeof event.ts, "number");
    assert.equal(typeof event.message, "string");
  }
  assert.equal(events.find((event) => event.kind === "job_completed").jobId, job.id);
  console.log(`@elizaos/ui 2.0.0-beta.2: trained, imported, activated and measured; ${events.length} events`);
  process.exit(0); // the client would connect again and again
}

await main(...process.argv.slice(2));
