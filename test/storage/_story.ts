// A storage case as text: disks and configuration in, what berth says and does out. Shared by the cases.
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Host } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { renderIssues } from "../../lib/log/issues.ts";
import { shownCommand } from "../../lib/host/command.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { chooseStorage } from "../../lib/resource/lvm/choose.ts";
import { storageFacts } from "../../lib/resource/lvm/look.ts";
import type { StorageChoice } from "../../lib/resource/lvm/types.ts";
import type { Change } from "../../lib/resource/types.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { createFakeLvm, type FakeDisk, type FakeLvm } from "../fake/lvm.ts";

export const GIB = 2 ** 30;

/** A machine with a system disk, and these disks beside it. */
export interface Ground {
  readonly lvm: FakeLvm;
  readonly host: FakeHost;
}

/** The disk everything runs from; a power cut leaves it as it is. */
export const SYSTEM: FakeDisk = {
  path: "/dev/sda",
  serial: "system",
  bytes: 16 * GIB,
  mount: "/",
  signatures: [{ type: "ext4", uuid: "aaaa-aaaa" }],
};

/** Something on a disk. */
export const ext4 = { signatures: [{ type: "ext4", uuid: "1111-1111", label: "data" }] };

/** A blank disk of so many GiB, or something else. */
export function disk(letter: string, gib = 100, more: Partial<FakeDisk> = {}): FakeDisk {
  return { path: `/dev/sd${letter}`, serial: `disk-${letter}`, bytes: gib * GIB, ...more };
}

export function ground(disks: readonly FakeDisk[], files: Readonly<Record<string, string>> = {}): Ground {
  const lvm = createFakeLvm([SYSTEM, ...disks]);
  return { lvm, host: createFakeHost(lvm.host({ files })) };
}

/** The same disks with a new system disk: nothing of berth's own is left on it. */
export function reimaged({ lvm }: Ground): Ground {
  return { lvm, host: createFakeHost(lvm.host()) };
}

/** A disk comes. */
export function plug({ lvm, host }: Ground, one: FakeDisk): void {
  lvm.disks.set(one.path, one);
  for (const id of one.ids ?? [`virtio-${one.serial}`]) {
    host.machine.files.set(`/dev/disk/by-id/${id}`, { text: "", mode: 0o644 });
  }
}

/** What storage would be, as `berth host storage` asks. */
export async function choiceOf(host: Host, yaml: string): Promise<StorageChoice> {
  const config = parseConfig([{ path: "/etc/berth/host.yaml", text: yaml }]).host;
  return chooseStorage(config, await storageFacts(host, config.storage.layout));
}

/** Makes it so, and the record last. */
export async function apply(
  { host }: { host: Host },
  yaml = "",
): Promise<StorageChoice & { changes: readonly Change[] }> {
  const { consent } = parseConfig([{ path: "/etc/berth/host.yaml", text: yaml }]).host;
  const choice = await choiceOf(host, yaml);
  const engine = createEnsure({
    host,
    mode: "apply",
    journal: createJournal(host),
    consent: ({ resource }) => consent.wipe.some((wipe) => resource === `disk ${wipe.disk}`),
  });
  await engine.ensureAll(choice.resources);
  await engine.ensureAll([choice.record]);
  return { ...choice, changes: engine.changes };
}

/** What an operator would read, and which commands changed the machine. */
export async function told(ground: Ground, yaml = ""): Promise<string> {
  const before = ground.host.done.length;
  try {
    const { layout, by, said, changes } = await apply(ground, yaml);
    const lines = changes.flatMap(({ verb, resource, why, do: ops }) => [
      `${verb} ${resource}: ${why}`,
      ...ops.flatMap((op) => "run" in op ? [`    ${shownCommand(op.run)}`] : []),
    ]);
    return [`layout ${layout} (${by})`, ...said.map((line) => `  ${line}`), ...lines].join("\n");
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    const { code, object, message, next, issues } = error;
    const done = ground.host.done.slice(before).filter((line) =>
      !/journal|lock|\/var\/lib\/berth$/.test(line)
    );
    const isUntouched = done.length === 0 ? [] : [`done before: ${done.join("; ")}`];
    return [
      `error ${code}: ${object}: ${message}`,
      ...next === undefined ? [] : [`  next  ${next}`],
      ...issues.length === 0 ? [] : [renderIssues(issues).replaceAll(/^/gm, "  ")],
      ...isUntouched,
    ].join("\n");
  }
}

/** Layout overlay on these disks. */
export function named(...names: string[]): string {
  return `storage: { layout: overlay, disks: [${names.join(", ")}] }`;
}

/** The line that berth tells to add. */
export async function consentTo(machine: Ground, yaml: string): Promise<string> {
  const text = await told(machine, yaml);
  const line = /add to host\.yaml: (consent: .*)$/m.exec(text);
  assert.ok(line, text);
  return line[1]!;
}
