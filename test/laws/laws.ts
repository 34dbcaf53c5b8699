// The laws every resource obeys, written once: run over the fake host by fake.test.ts and over the real kernel by
// kernel.test.ts. Each law gets a fresh world and asserts the state of that world, not the calls made.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Host } from "../../lib/host/types.ts";
import { type AnyResource, createEnsure, type EnsureOptions } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { Crash, mortal, untouchable } from "./mortal.ts";

/** A place where resources can be made and unmade. */
export interface World {
  readonly host: Host;
  /** Where its journal goes; not part of the dump. */
  readonly journal: string;
  /** Everything that matters, canonical: equal text means equal worlds. */
  dump(): Promise<string>;
  /** Forgets what a reboot forgets; absent where that cannot be played. */
  reboot?(): void;
  close(): Promise<void>;
}

/** What is put to the laws. */
export interface Subject {
  /** In dependency order. */
  readonly resources: readonly AnyResource[];
  /** Foreign objects beside it, and what it finds before it: planted before each law. */
  plant?(host: Host): Promise<void>;
  /** Changes one of them behind our back. */
  drift?: { readonly of: string; by(host: Host): Promise<void> };
  /** A foreign edit between apply and undo, and whether it is still there after the undo. */
  edit?: { by(host: Host): Promise<void>; survives(host: Host): Promise<boolean> };
  /** Takes all of it away behind our back. */
  gone?(host: Host): Promise<void>;
  /** True where undo leaves it on purpose: the first state is not given back. */
  stays?: boolean;
}

/** Declares the laws for a subject as tests named "NAME: law". */
export function laws(
  name: string,
  make: (world: World) => Subject,
  open: () => Promise<World>,
  /** `crashes`: a crash is tried at every so-manieth call, from a place that BERTH_TEST_SEED moves. @default {1} */
  { crashes = 1, consent = false }: {
    readonly crashes?: number;
    /** Destructive changes are consented to: undoing some things is one. @default {false} */
    readonly consent?: boolean;
  } = {},
): void {
  const first = 1 + Number(process.env["BERTH_TEST_SEED"] ?? 0) % crashes;
  const law = (title: string, run: (world: World, subject: Subject) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const world = await open();
      try {
        const subject = make(world);
        await subject.plant?.(world.host);
        await run(world, subject);
      } finally {
        await world.close();
      }
    });
  const engine = (world: World, how: Partial<EnsureOptions> = {}) => {
    const host = how.host ?? world.host;
    return createEnsure({
      mode: "apply",
      journal: createJournal(host, { path: world.journal }),
      ...(consent ? { consent: () => true } : {}),
      ...how,
      host,
    });
  };
  const apply = (world: World, { resources }: Subject, host = world.host) =>
    engine(world, { host }).ensureAll(resources);
  const undo = (world: World, { resources }: Subject, host = world.host) =>
    engine(world, { host }).undo(resources);
  const plan = async (world: World, { resources }: Subject) => {
    const planning = engine(world, { mode: "plan", host: untouchable(world.host) });
    await planning.ensureAll(resources);
    return planning.changes;
  };
  const isConverged = async (world: World, subject: Subject, after: string) => {
    assert.equal((await plan(world, subject)).map(({ resource, why }) => `${resource}: ${why}`), []);
    assert.is(await world.dump(), after);
  };
  /** Runs `again` with a host that dies after 1, 2, 3 … calls, until it gets through. */
  const crashing = async (
    title: string,
    run: (host: Host) => Promise<unknown>,
    host: Host,
    calls: number,
  ) => {
    try {
      await run(mortal(host, calls));
      return true;
    } catch (error) {
      for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof Crash) return false;
      if (String(error).includes("crashed after call")) return false; // collected as an issue of undo
      throw new Error(`${title}, crash after call ${calls}: ${error}`, { cause: error });
    }
  };

  law("plan tells and changes nothing", async (world, subject) => {
    const before = await world.dump();
    const changes = await plan(world, subject);
    assert.ok(changes.length > 0, "a plan of something new is not empty");
    for (const change of changes) assert.ok(change.why !== "" && change.do.length > 0, change.resource);
    assert.is(await world.dump(), before);
  });

  law("after apply the plan is empty and a second apply changes nothing", async (world, subject) => {
    await apply(world, subject);
    const after = await world.dump();
    await apply(world, subject, untouchable(world.host));
    await isConverged(world, subject, after);
  });

  law("apply one by one and all at once come to the same", async (world, subject) => {
    const single = engine(world);
    for (const resource of subject.resources) await single.ensure(resource);
    const after = await world.dump();
    await apply(world, subject, untouchable(world.host));
    await isConverged(world, subject, after);
  });

  law("undo gives the first state back", async (world, subject) => {
    const before = await world.dump();
    await apply(world, subject);
    const planned = engine(world, { mode: "plan", host: untouchable(world.host) });
    await planned.undo(subject.resources);
    await undo(world, subject);
    if (subject.stays) return;
    assert.ok(planned.changes.length > 0, "the plan of an undo is not empty");
    assert.is(await world.dump(), before);
    assert.equal((await undo(world, subject, untouchable(world.host))).changes, []);
  });

  test(`${name}: a crash after any single op is healed by the next run`, async () => {
    for (let calls = first, survived = false; !survived; calls += crashes) {
      const world = await open();
      try {
        const subject = make(world);
        await subject.plant?.(world.host);
        const before = await world.dump();
        survived = await crashing("apply", (host) => apply(world, subject, host), world.host, calls);
        await apply(world, subject);
        await isConverged(world, subject, await world.dump());
        await undo(world, subject);
        if (!subject.stays) assert.is(await world.dump(), before, `undo after a crash after call ${calls}`);
      } finally {
        await world.close();
      }
    }
  });

  test(`${name}: a crash after any single op is undone by undo alone`, async () => {
    for (let calls = first, survived = false; !survived; calls += crashes) {
      const world = await open();
      try {
        const subject = make(world);
        await subject.plant?.(world.host);
        const before = await world.dump();
        survived = await crashing("apply", (host) => apply(world, subject, host), world.host, calls);
        await undo(world, subject);
        if (!subject.stays) assert.is(await world.dump(), before, `undo after a crash after call ${calls}`);
      } finally {
        await world.close();
      }
    }
  });

  test(`${name}: a crash in the middle of an undo is healed by the next undo`, async () => {
    for (let calls = first, survived = false; !survived; calls += crashes) {
      const world = await open();
      try {
        const subject = make(world);
        await subject.plant?.(world.host);
        const before = await world.dump();
        await apply(world, subject);
        survived = await crashing("undo", (host) => undo(world, subject, host), world.host, calls);
        await undo(world, subject);
        if (!subject.stays) assert.is(await world.dump(), before, `after a crash after call ${calls}`);
      } finally {
        await world.close();
      }
    }
  });

  law("drift behind our back is found, and only that is repaired", async (world, subject) => {
    if (subject.drift === undefined) return;
    await apply(world, subject);
    const after = await world.dump();
    await subject.drift.by(world.host);
    assert.is.not(await world.dump(), after, "the drift shows");
    const found = await plan(world, subject);
    assert.equal([...new Set(found.map((change) => change.resource))], [subject.drift.of]);
    await apply(world, subject);
    await isConverged(world, subject, after);
  });

  law("a foreign edit made since survives the undo", async (world, subject) => {
    if (subject.edit === undefined) return;
    await apply(world, subject);
    await subject.edit.by(world.host);
    await undo(world, subject);
    assert.ok(await subject.edit.survives(world.host));
  });

  law("undo of what is gone succeeds", async (world, subject) => {
    await apply(world, subject);
    await subject.gone?.(world.host);
    await undo(world, subject);
    assert.equal((await undo(world, subject, untouchable(world.host))).changes, []);
  });

  law("after a reboot it is restored, and what is gone needs no undo", async (world, subject) => {
    if (world.reboot === undefined || !subject.resources.every((resource) => resource.volatile)) return;
    const before = await world.dump();
    await apply(world, subject);
    const after = await world.dump();
    world.reboot();
    await subject.plant?.(world.host);
    // A host object of the next boot: facts of a boot are remembered for as long as one lives.
    const again = engine(world, { host: { ...world.host } });
    await again.ensureAll(subject.resources);
    assert.is(await world.dump(), after);
    assert.equal([...new Set(again.changes.map((change) => change.verb))], ["restore"]);
    world.reboot();
    await undo(world, subject, { ...world.host });
    await subject.plant?.(world.host);
    assert.is(await world.dump(), before);
  });
}
