// Texts of configuration files to one checked Config, or to one error with all that is wrong in them. Pure.
// Loads the parsers (yaml, valibot): import it lazily where a fast path must not pay for them.
import { BerthError } from "../log/error.ts";
import { shown } from "../log/issues.ts";
import { checkHost, hostConfig } from "./check_host.ts";
import { placeHosts } from "./check_lan_hosts.ts";
import { checkLans, type FoundLan, lanSpec } from "./check_lans.ts";
import { Claims } from "./check_links.ts";
import { checkVnodes, type FoundVnode } from "./check_vnodes.ts";
import { type ConfigFile, readDocument } from "./document.ts";
import { withForwarding } from "./forwarding.ts";
import { nearest, Problem } from "./problem.ts";
import { type HostDraft, hostSchema } from "./schema_host.ts";
import {
  experimentSchema,
  type LanDraft,
  listedVnodeSchema,
  singleSchema,
  type VnodeDraft,
  vnodeSchema,
} from "./schema_vnodes.ts";
import { withSegments } from "./segments.ts";
import type { Config } from "./types.ts";
import { type Loose, Report, validate, type Where } from "./validate.ts";
import { parseVnodeName } from "./words.ts";

/** A file's name and text. */
export interface FileText {
  readonly path: string;
  readonly text: string;
  /** What it holds. @default {"host" for host.yaml, host.yml and host.json outside vnodes.d, else "vnodes"} */
  readonly kind?: "host" | "vnodes";
}

const HOST_FILE = /(^|\/)(?<!(^|\/)vnodes\.d\/)host\.(yaml|yml|json)$/;

/**
 * Reads, validates and cross-checks configuration files. No file at all is a valid configuration. `engineRoot` goes over `engine.root`.
 *
 * @throws {BerthError} code `config` with all issues, by file and line.
 */
export function parseConfig(files: readonly FileText[], options: { engineRoot?: string } = {}): Config {
  const report = new Report();
  const read = files.map((file) => ({
    document: readDocument(file.path, file.text),
    kind: file.kind ?? (HOST_FILE.test(file.path) ? "host" : "vnodes"),
  }));
  const documents = read.map(({ document }) => document);
  for (const document of documents) document.issues.forEach((issue) => report.addIssue(issue));
  const hosts = read.filter(({ kind }) => kind === "host").map(({ document }) => document);
  const where: Where = { file: hosts[0] ?? readDocument("host.yaml", ""), path: [] };
  if (hosts.length > 1) {
    const message = `There is ${shown(hosts[0]!.path)} already`;
    report.add({ file: hosts[1]!, path: [] }, new Problem(message, "one host configuration", "Remove one"));
  }
  const draft: Loose<HostDraft> = hosts[0]?.issues.length
    ? {}
    : validate(hostSchema, where.file.value ?? {}, where, report) ?? {};
  const facts = checkHost(draft, where, report);
  const lans: FoundLan[] = [];
  const vnodes: FoundVnode[] = [];
  const written = read.flatMap(({ document, kind }) => kind === "vnodes" ? writtenNames(document) : []);
  for (const { document, kind } of read) if (kind === "vnodes") collect(document, lans, vnodes, report);
  const checkedLans = checkLans(lans, written, facts, report);
  const claims = new Claims(report);
  const hosted = placeHosts(checkedLans, facts, claims);
  const checkedVnodes = checkVnodes(vnodes, checkedLans, facts, claims);
  const { issues } = report;
  if (issues.length > 0) {
    throw new BerthError({
      code: "config",
      object: files.length === 1 ? `file ${shown(files[0]!.path)}` : "configuration",
      message: issues.length === 1
        ? "The configuration has a problem"
        : `The configuration has ${issues.length} problems`,
      next: "Correct the lines named, then run the command again",
      issues,
    });
  }
  return {
    host: hostConfig(draft as HostDraft, facts, options.engineRoot),
    lans: [...checkedLans.values()].map((one) => lanSpec(one, hosted.get(one.name) ?? [])),
    vnodes: withForwarding(withSegments(checkedVnodes)),
  };
}

/** Names of lans that stand in a file, whatever else is wrong with them. */
function writtenNames(file: ConfigFile): string[] {
  const lans = (file.value as { lans?: unknown } | null | undefined)?.lans;
  if (Array.isArray(lans)) return lans.flatMap((lan) => typeof lan?.name === "string" ? [lan.name] : []);
  return typeof lans === "object" && lans !== null ? Object.keys(lans) : [];
}

/** Adds the lans and vnodes of one file. */
function collect(file: ConfigFile, lans: FoundLan[], vnodes: FoundVnode[], report: Report): void {
  const { value } = file;
  if (value === null || value === undefined || file.issues.length > 0) return;
  const top = value as Record<string, unknown>;
  const keys = typeof value === "object" && !Array.isArray(value) ? Object.keys(top) : [];
  const isExperiment = (key: string) => {
    const near = nearest(key, ["lans", "vnodes", "name", "image"]);
    return near === "lans" || near === "vnodes";
  };
  const where: Where = { file, path: [] };
  if (keys.length === 0 && !(typeof value === "object" && !Array.isArray(value))) {
    report.add(
      where,
      new Problem(
        "Is no vnode and no experiment",
        "a map with lans and vnodes, or with name and image",
        "See docs/examples/pair.yaml",
      ),
      value,
    );
    return;
  }
  if (keys.length === 0) return;
  if (
    !keys.includes("image") && !keys.includes("name")
      ? true
      : keys.some(isExperiment) && !keys.includes("image")
  ) {
    const form = (key: string) => Array.isArray(top[key]) ? "list" as const : "map" as const;
    const schema = experimentSchema({ lans: form("lans"), vnodes: form("vnodes") });
    const experiment = validate(schema, value, where, report);
    for (const [name, draft, path] of named<Loose<LanDraft>>(experiment?.lans, "lans")) {
      lans.push({ name, draft, where: { file, path } });
    }
    const of = { experiment: experiment?.experiment ?? stem(file.path), routing: experiment?.routing };
    for (const [name, draft, path] of named<Loose<VnodeDraft>>(experiment?.vnodes, "vnodes")) {
      vnodes.push({ name, draft, where: { file, path }, ...of });
    }
    for (const [name, raw, path] of misnamed(top.vnodes, "vnodes")) {
      const place: Where = { file, path };
      // Told once: the same issue again is none.
      const draft = validate(Array.isArray(top.vnodes) ? listedVnodeSchema : vnodeSchema, raw, place, report);
      if (draft !== undefined) vnodes.push({ name, draft, where: place, misnamed: true, ...of });
    }
    return;
  }
  const single = validate(singleSchema, value, where, report);
  if (single?.name !== undefined) {
    vnodes.push({ name: single.name, draft: single, where, experiment: single.experiment });
  } else if (single !== undefined && typeof top.name === "string") {
    vnodes.push({ name: top.name, draft: single, where, misnamed: true });
  }
}

/** The vnodes whose names were refused, as they are written: what else is wrong with them is told as well. */
function misnamed(group: unknown, key: string): [string, unknown, (string | number)[]][] {
  return named<unknown>(group, key).filter(([name]) => parseVnodeName(name) instanceof Problem);
}

/** A file's name without folder and ending: the experiment's where none is written. */
function stem(path: string): string {
  return path.replace(/^.*\//s, "").replace(/\.(yaml|yml|json)$/, "");
}

/** The entries of a map by name, or of a list of things with a name, with their paths. */
function named<Draft>(group: unknown, key: string): [string, Draft, (string | number)[]][] {
  if (group === null || typeof group !== "object") return [];
  if (!Array.isArray(group)) {
    return Object.entries(group).flatMap(([name, draft]) =>
      draft ? [[name, draft as Draft, [key, name]]] : []
    );
  }
  return group.flatMap((draft, index) =>
    typeof draft?.name === "string" ? [[draft.name, draft as Draft, [key, index]]] : []
  );
}
