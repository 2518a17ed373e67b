// Goes through the whole life of a photo avatar with the published SDK, and checks the types that it does not.
//
// heygen_sdk.mjs KEY PHOTO PHOTO...

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { HeygenSDK } from "@teamduality/heygen-typescript-sdk";

const LONG = 300_000; // milliseconds; more than any training here takes

/** Asks as clients do, until it is so. */
async function until(what, ask, isSo) {
  const end = Date.now() + LONG;
  for (;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    assert(Date.now() < end, `waited too long until ${what}`);
    await sleep(50);
  }
}

function isSeconds(value) {
  assert(Number.isInteger(value) && Math.abs(value * 1000 - Date.now()) < LONG, `${value} is no time`);
}

function isLook(look, group) {
  for (const name of ["id", "group_id", "name", "image_url", "status", "business_type"]) {
    assert.equal(typeof look[name], "string", name);
  }
  assert.equal(look.group_id, group);
  assert.equal(typeof look.created_at, "number");
  assert.equal(look.business_type, "uploaded");
  assert.equal(look.is_motion, false);
  assert.equal(look.upscaled, false);
  for (const name of ["motion_preview_url", "background_sound_effect"]) assert.equal(look[name], null, name);
  assert.equal(typeof look.upscale_availability.available, "boolean");
  assert(new URL(look.image_url).protocol.startsWith("http"));
}

function isStatus(status) {
  assert.deepEqual(Object.keys(status).sort(), ["created_at", "error_msg", "status", "updated_at"]);
}

async function main(key, ...paths) {
  const sdk = new HeygenSDK(key);
  await assert.rejects(new HeygenSDK("wrong").avatars.listGroups(), /Unauthorized/);

  const assets = [];
  for (const path of paths) {
    const asset = await sdk.assets.upload(await readFile(path), "image/png");
    for (const name of ["id", "name", "url", "image_key"]) assert.equal(typeof asset[name], "string", name);
    assert.equal(asset.file_type, "image");
    assert.equal(asset.folder_id, "");
    assert.equal(asset.meta, null);
    assert.notEqual(asset.image_key, asset.id);
    isSeconds(asset.created_ts);
    assets.push(asset);
  }
  await assert.rejects(sdk.assets.upload(Buffer.alloc(0), "image/png"), /asset data must be provided/);
  await assert.rejects(sdk.assets.upload(Buffer.from("no picture"), "image/png"), (error) => error.statusCode === 400);

  const [first, ...others] = assets.map((asset) => asset.image_key);
  await assert.rejects(sdk.photoAvatars.createGroup({ name: "Ada", image_key: "image/unknown/original" }), /image_key/);
  const created = await sdk.photoAvatars.createGroup({ name: "Ada", image_key: first });
  const group = created.group_id;
  isLook(created, group);
  assert.equal(created.id, group, "the first look has the id of its group");
  assert.equal(created.status, "pending");
  assert.match(created.upscale_availability.reason, /Photo avatar look upload not completed/);
  const added = await sdk.photoAvatars.addLooks({ group_id: group, image_keys: others, name: "more" });
  assert.equal(added.photo_avatar_list.length, others.length);
  for (const { id } of [created, ...added.photo_avatar_list]) {
    const ask = () => sdk.photoAvatars.getDetails(id);
    const look = await until("a look is completed", ask, (look) => look.status === "completed");
    isLook(look, group);
    assert.equal(look.upscale_availability.reason, null);
  }

  const empty = await sdk.photoAvatars.getTrainingStatus(group);
  isStatus(empty);
  assert.deepEqual(empty, { status: "empty", error_msg: null, created_at: 0, updated_at: null });
  const flow = await sdk.photoAvatars.trainGroup({ group_id: group });
  assert.equal(typeof flow.flow_id, "string");
  let created_at;
  const ready = await until(
    "it is trained",
    () => sdk.photoAvatars.getTrainingStatus(group),
    (status) => {
      isStatus(status);
      isSeconds(status.created_at);
      assert.equal(status.created_at, created_at ?? status.created_at, "it stays put");
      created_at = status.created_at;
      if (status.status === "pending") assert.equal(status.updated_at, null);
      return status.status !== "pending";
    },
  );
  assert.equal(ready.status, "ready");
  assert.equal(ready.error_msg, null);
  isSeconds(ready.updated_at);
  assert(ready.updated_at >= ready.created_at);

  const { avatar_list } = await sdk.photoAvatars.listInGroup(group);
  assert.equal(avatar_list.length, paths.length);
  avatar_list.forEach((look) => isLook(look, group));
  const { total_count, avatar_group_list } = await sdk.avatars.listGroups();
  assert.equal(total_count, 1);
  const [listed] = avatar_group_list;
  isSeconds(listed.created_at);
  assert.equal(listed.id, group);
  assert.equal(listed.name, "Ada");
  assert.equal(listed.num_looks, paths.length);
  assert.equal(listed.train_status, "ready");
  assert.equal(listed.group_type, "PRIVATE");
  assert.equal(listed.default_voice_id, null);
  await assert.rejects(sdk.photoAvatars.getTrainingStatus("0".repeat(32)), /Avatar group not found/);
  console.log(`heygen-typescript-sdk 0.4.3: ${listed.num_looks} looks, trained in ${ready.updated_at - ready.created_at} s`);
}

await main(...process.argv.slice(2));
