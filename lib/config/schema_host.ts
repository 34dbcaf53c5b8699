// The shape of host.yaml: keys, defaults, descriptions. The reference and the JSON Schema are made from it.
// Owns no rules between keys (check_host.ts).
import * as v from "valibot";
import { parseInterfaceAddress, SUBNET_FORM } from "./address.ts";
import { field, flag, list, map, Problem, table } from "./problem.ts";
import { replaceSchema, storageSchema, wipeSchema } from "./schema_storage.ts";
import { controlNetSchema } from "./schema_control_net.ts";
import { sysctlValue } from "./schema_sysctls.ts";
import { FORMS, parseDuration, PATTERNS } from "./units.ts";
import {
  parseModule,
  parseObject,
  parsePackage,
  parsePath,
  parseSocketPath,
  parseSysctl,
  PATH_FORM,
  PATH_PATTERN,
  SYSCTL_FORM,
} from "./words.ts";

/** Keys of daemon.json that have a key of their own here. */
const OWN_OPTIONS: Readonly<Record<string, string>> = {
  "data-root": "engine.root",
  "live-restore": "engine.liveRestore",
  "iptables": "engine.iptables",
  "bip": "engine.bip",
};

const path = (description: string, parse = parsePath) =>
  field({ description, wanted: PATH_FORM, pattern: PATH_PATTERN }, parse);

function parseBip(text: string) {
  const parsed = parseInterfaceAddress(text);
  const wanted = 'an IPv4 address with prefix length, such as "192.168.254.1/24"';
  if (parsed instanceof Problem) return new Problem(parsed.message, wanted, parsed.next);
  if (parsed.address.family === 6) return new Problem("Is an IPv6 address", wanted);
  return parsed.prefix === undefined
    ? new Problem("Has no prefix length", wanted, `Write "${text}/24"`)
    : { address: parsed.address, prefix: parsed.prefix };
}

function parseResync(text: string) {
  const ms = parseDuration(text);
  if (ms instanceof Problem || (ms >= 1000 && ms <= 86_400_000)) return ms;
  return new Problem(ms < 1000 ? "Is too short" : "Is too long", "a duration from 1s to 24h");
}

const engine = map("The engine", {
  package: v.optional(
    field({
      description: "Debian package to install where no engine is there.",
      wanted: "a Debian package name",
    }, parsePackage),
    "docker.io",
  ),
  liveRestore: v.optional(flag("Containers run on while dockerd is down."), true),
  iptables: v.optional(flag("Docker manages iptables itself, beside berth's own nftables tables."), false),
  bip: v.optional(
    field({
      description: "Address and prefix length of docker0, out of the control network's way.",
      wanted: SUBNET_FORM,
    }, parseBip),
    "192.168.254.1/24",
  ),
  socket: v.optional(path("Unix socket of the engine.", parseSocketPath), "/var/run/docker.sock"),
  root: v.optional(path("Directory of the engine's data."), "/var/lib/docker"),
  options: v.pipe(
    v.nullish(
      table(
        "a map of daemon.json keys",
        field({ description: "Key of daemon.json", wanted: "a key of daemon.json" }, parseOption),
        v.unknown(),
      ),
      {},
    ),
    v.description("Further keys of daemon.json, passed on as they are."),
  ),
});

function parseOption(text: string) {
  if (Object.hasOwn(OWN_OPTIONS, text)) {
    return new Problem("Is set by a key of its own", OWN_OPTIONS[text], `Set ${OWN_OPTIONS[text]} instead`);
  }
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(text)
    ? text
    : new Problem("Is not a key of daemon.json", "a-z, 0-9 and -");
}

const kernel = map("The kernel", {
  sysctls: v.pipe(
    v.nullish(
      table(
        "a map of sysctl names",
        field({ description: "Name with dots.", wanted: SYSCTL_FORM }, parseSysctl),
        sysctlValue,
      ),
      {},
    ),
    v.description("Sysctls beside berth's own, such as net.ipv4.tcp_ecn: 1."),
  ),
  modules: v.pipe(
    v.nullish(
      list("Modules", field({ description: "Module name.", wanted: "a module name" }, parseModule)),
      [],
    ),
    v.description("Kernel modules to load beside berth's own."),
  ),
});

const watch = map("The watch", {
  resync: v.optional(
    field({
      description: "Time between full looks when nothing happens, 1s to 24h.",
      wanted: FORMS.duration,
      unit: "s",
      pattern: PATTERNS.duration,
    }, parseResync),
    "60s",
  ),
});

const consent = map("Consent", {
  objects: v.pipe(
    v.nullish(
      list("Objects", field({ description: "Object.", wanted: "an object as a plan names it" }, parseObject)),
      [],
    ),
    v.description("Objects whose destructive changes may be made, named as --dry-run and plan name them."),
  ),
  replace: v.pipe(
    v.nullish(list("File systems", replaceSchema), []),
    v.description("File systems that may be made anew over what is there, each with what is there."),
  ),
  wipe: v.pipe(
    v.nullish(list("Disks", wipeSchema), []),
    v.description("Disks whose content may be lost, each with what is on it."),
  ),
});

/** host.yaml. Every key has a default; a section without keys is all defaults. */
export const hostSchema = map("The host configuration", {
  engine: v.pipe(v.nullish(engine, {}), v.description("The container engine.")),
  storage: v.pipe(v.nullish(storageSchema, {}), v.description("Disks and directories.")),
  controlNet: v.pipe(
    v.nullish(controlNetSchema, {}),
    v.description("The network by which vnodes are reached and managed."),
  ),
  kernel: v.pipe(v.nullish(kernel, {}), v.description("Sysctls and modules.")),
  watch: v.pipe(v.nullish(watch, {}), v.description("The watchdog.")),
  consent: v.pipe(v.nullish(consent, {}), v.description("Consent to destructive changes.")),
});

export type HostDraft = v.InferOutput<typeof hostSchema>;
