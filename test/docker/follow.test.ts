import { test } from "uvu";
import * as assert from "uvu/assert";
import { createDocker } from "../../lib/docker/client.ts";
import type { Docker, Followed, FollowOptions } from "../../lib/docker/types.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeEngine } from "../fake/engine.ts";

/** What a follower told, as short words: "connected", "resync", "start c1", "disconnected". */
class Listener {
  readonly told: Followed[] = [];
  ended = false;
  readonly abort = new AbortController();
  readonly done: Promise<void>;
  /** Set to hold the consumer back. */
  gate: Promise<void> = Promise.resolve();

  constructor(docker: Docker, options: Partial<FollowOptions>) {
    this.done = (async () => {
      for await (const item of docker.follow({ random: () => 0, ...options, signal: this.abort.signal })) {
        this.told.push(item);
        await this.gate;
      }
      this.ended = true;
    })();
  }

  get words(): string[] {
    return this.told.map((each) =>
      each.kind === "event" ? `${each.event.action} ${each.event.id}` : each.kind
    );
  }

  /** Waits until what was told since `from` is exactly this. */
  async hears(...words: string[]): Promise<void> {
    await until(`hears ${words}, heard ${this.words}`, () => this.words.length >= words.length || null)
      .catch(() => {});
    assert.equal(this.words, words);
    this.told.length = 0;
  }
}

async function story(
  options: Partial<FollowOptions>,
  tell: (engine: FakeEngine, listener: Listener, clock: FakeClock) => Promise<void>,
  before: (engine: FakeEngine) => void = () => {},
): Promise<void> {
  const engine = await new FakeEngine().start();
  before(engine);
  const clock = new FakeClock();
  const docker = createDocker({ socket: engine.socket, clock });
  const listener = new Listener(docker, options);
  try {
    await tell(engine, listener, clock);
    listener.abort.abort();
    await listener.done;
    assert.is(clock.pending, 0, "a wait was left behind");
  } finally {
    listener.abort.abort();
    await listener.done;
    await docker.close();
    await engine.die();
  }
}

/** Moves time until the next wait of a follower that has lost its engine. */
async function retry(clock: FakeClock, ms: number): Promise<void> {
  await until(`a wait of ${ms} ms`, () => clock.next === ms || null);
  clock.advance(ms);
}

const standing = (engine: FakeEngine) => until("the stream stands", () => engine.listeners === 1);

test("a follower subscribes first, then says connected and resync, then tells what happens", async () => {
  await story({}, async (engine, listener) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    engine.emit({ action: "start", id: "c1" });
    engine.emit({ type: "network", action: "connect", id: "n1" });
    engine.emit({ type: "image", action: "pull", id: "i1" });
    engine.emit({ action: "health_status: healthy", id: "c1" });
    await listener.hears("start c1", "connect n1", "health_status c1");
  });
});

test("events of API 1.52 read the same, cut at every byte", async () => {
  await story({}, async (engine, listener) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    engine.emit({ action: "die", id: "c1", attributes: { name: "größe \u{1F6A2}" } });
    await until("told", () => listener.told.length === 1);
    const [item] = listener.told;
    assert.is(item?.kind === "event" && item.event.name, "größe \u{1F6A2}");
  }, (engine) => {
    engine.api = "1.52";
    engine.cut = (bytes) => [...bytes].map((byte) => new Uint8Array([byte]));
  });
});

test("what happens while the stream is away is told afterwards, once", async () => {
  await story({}, async (engine, listener, clock) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    engine.emit({ action: "create", id: "c1" });
    engine.emit({ action: "start", id: "c1" });
    await listener.hears("create c1", "start c1");
    engine.cutStreams("broken");
    await listener.hears("disconnected");
    engine.emit({ action: "die", id: "c1" });
    await retry(clock, 200);
    await listener.hears("connected", "resync", "die c1");
    engine.cutStreams("orderly");
    await listener.hears("disconnected");
    await retry(clock, 400);
    await listener.hears("connected", "resync");
  });
});

test("an engine that dies and comes back exchanged is found again, its version asked anew", async () => {
  await story({}, async (engine, listener, clock) => {
    await listener.hears("connected", "resync");
    await engine.die();
    await until("told", () => listener.told.length === 1);
    assert.is(listener.told[0]?.kind === "disconnected" && listener.told[0].retryMs, 200);
    for (const ms of [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) await retry(clock, ms);
    await until("told", () => listener.told.length === 9);
    const last = listener.told.at(-1)!;
    assert.match(last.kind === "disconnected" ? last.reason : "", /there is no socket/);
    listener.told.length = 0;
    engine.api = "1.51";
    engine.engineVersion = "28.5.2";
    await engine.start();
    await retry(clock, 10_000);
    await until("connected", () => listener.told.length === 2);
    const [connected] = listener.told;
    assert.equal(connected?.kind === "connected" && connected.version.api, "1.51");
  });
});

test("a connection that stood starts the back-off anew", async () => {
  await story({}, async (engine, listener, clock) => {
    await listener.hears("connected", "resync");
    engine.cutStreams("broken");
    await until("told or none listens", () => listener.told.length > 0 || engine.listeners > 0);
    if (engine.listeners > 0) engine.cutStreams("broken");
    await retry(clock, 200);
    await listener.hears("disconnected", "connected", "resync");
    await standing(engine);
    clock.advance(10_000);
    engine.cutStreams("broken");
    await retry(clock, 200);
  });
});

test("a silent engine is noticed by its missing pings, and left", async () => {
  await story({}, async (engine, listener, clock) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    await retry(clock, 10_000);
    await until("a ping", () => engine.seen.includes("GET /_ping"));
    engine.pingHangs = true;
    engine.silent = true;
    await until("the next ping's wait", () => clock.next === 10_000);
    engine.seen.length = 0;
    clock.advance(10_000);
    await until("a ping that hangs", () => engine.seen.includes("GET /_ping"));
    assert.equal(listener.words, []);
    clock.advance(10_000);
    await until("told", () => listener.told.length === 1);
    const [item] = listener.told;
    assert.is(
      item?.kind === "disconnected" && item.reason,
      "Cannot ask the engine for a sign of life: no answer from the engine within 10 s",
    );
  });
});

test("a stream whose headers do not come is given up", async () => {
  await story({}, async (engine, listener, clock) => {
    await until("the stream is asked for", () => engine.seen.includes("GET /events"));
    clock.advance(10_000);
    await listener.hears("disconnected");
  }, (engine) => engine.beforeEvents = () => new Promise(() => {}));
});

test("an event that cannot be read is a resync, and the stream goes on", async () => {
  await story({}, async (engine, listener) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    engine.emitRaw('{"Type":"container","Act\n');
    engine.emit({ action: "start", id: "c1" });
    await listener.hears("resync", "start c1");
  });
});

test("a consumer that is too slow gets a resync in place of what it missed", async () => {
  await story({ buffer: 10 }, async (engine, listener, clock) => {
    await listener.hears("connected", "resync");
    await standing(engine);
    let open = () => {};
    listener.gate = new Promise((resolve) => open = resolve);
    for (let i = 0; i < 100; i++) engine.emit({ action: "start", id: `c${i}` });
    await until("the first is taken", () => listener.told.length === 1);
    // The stream is read on while the consumer sleeps: the engine is not held up by us.
    engine.cutStreams("orderly");
    await until("the end of the stream was read", () => clock.next === 200);
    open();
    await until("what is left is told", () => listener.words.at(-1) === "disconnected" || null);
    assert.ok(listener.told.length < 100, `${listener.told.length} entries`);
    const dropped = listener.told.find((each) => each.kind === "resync");
    assert.match(dropped?.kind === "resync" ? dropped.reason : "", /more than 10 events/);
  });
});

test("an engine that refuses its events is told in its own words", async () => {
  await story({}, async (_engine, listener) => {
    await until("told", () => listener.told.length === 1);
    const [item] = listener.told;
    assert.is(item?.kind === "disconnected" && item.reason, "The engine refuses its events: too busy");
  }, (engine) => engine.on("GET", /^\/events$/, [500, { message: "too busy" }]));
});

test("follow() ends at once by its signal, connected or not, and by a consumer that leaves", async () => {
  const engine = new FakeEngine();
  const docker = createDocker({ socket: engine.socket, clock: new FakeClock() });
  const early = new AbortController();
  early.abort();
  for await (const _ of docker.follow({ signal: early.signal })) assert.unreachable();
  const absent = new AbortController();
  for await (const item of docker.follow({ signal: absent.signal })) {
    assert.is(item.kind, "disconnected");
    absent.abort();
  }
  await engine.start();
  for await (const item of docker.follow({ signal: new AbortController().signal })) {
    if (item.kind === "resync") break;
  }
  await until("the stream is gone", () => engine.listeners === 0);
  await docker.close();
  await engine.die();
});

/** Numbers that look random and come again for the same seed. */
function dice(seed: number): (sides: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    return ((state >>> 8) % 65_536) % sides;
  };
}

/** One random life of an engine. Afterwards the consumer must know the state of every container. */
async function randomLife(seed: number): Promise<void> {
  const roll = dice(seed);
  const engine = await new FakeEngine().start();
  const clock = new FakeClock();
  const docker = createDocker({ socket: engine.socket, clock });
  const abort = new AbortController();
  /** What is, and what the consumer believes: by events, and by a look after each resync. */
  const world = new Map<string, number>();
  let belief = new Map<string, number>();
  let told = 0;
  const done = (async () => {
    for await (const item of docker.follow({ signal: abort.signal, buffer: 8, random: () => 0.5 })) {
      told++;
      if (item.kind === "resync") belief = new Map(world);
      if (item.kind === "event") {
        // An old event after a look must not hide what the look saw: the number only grows.
        const value = Number(item.event.attributes["value"]);
        belief.set(item.event.id, Math.max(value, belief.get(item.event.id) ?? 0));
      }
      if (roll(4) === 0) await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
  })();
  let down = false;
  let value = 0;
  engine.cut = (bytes) => {
    const at = roll(bytes.length);
    return [bytes.slice(0, at), bytes.slice(at)];
  };
  try {
    for (let step = 0; step < 60; step++) {
      const what = roll(12);
      if (what < 6) {
        for (let n = roll(12); n >= 0; n--) {
          const id = `c${roll(4)}`;
          world.set(id, ++value);
          // With the engine down a container may die all the same; no event tells it.
          if (!down) engine.emit({ action: "start", id, attributes: { value: String(value) } });
        }
      } else if (what === 6) engine.cutStreams("orderly");
      else if (what === 7) engine.cutStreams("broken");
      else if (what === 8 && !down) {
        await engine.die();
        down = true;
      } else if (what === 9 && down) {
        await engine.start();
        down = false;
      } else if (what === 10) engine.emitRaw("garbage\n");
      else await new Promise<void>((resolve) => setTimeout(resolve, 1));
      clock.advance(roll(3) * 700);
    }
    if (down) await engine.start();
    await until(`seed ${seed}: belief is the world (told ${told})`, () => {
      const isSame = [...world].every(([id, value]) => belief.get(id) === value);
      if (isSame && engine.listeners === 1) return true;
      clock.advance(500);
      return null;
    }, 10_000);
  } finally {
    abort.abort();
    await done;
    await docker.close();
    await engine.die();
  }
}

test("100 random lives of an engine: in the end the consumer knows all", async () => {
  for (let seed = 1; seed <= 100; seed++) await randomLife(seed);
});

test.run();
