// What people and programs read when something is wrong: golden files for each kind, as text and as JSON.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { asBerthError, changeText, errorJson, errorText, tally, tallyText } from "../../lib/cli/report.ts";
import { painter } from "../../lib/cli/terminal.ts";
import { BerthError, type ErrorCode, EXIT_CODES } from "../../lib/log/error.ts";
import { berth, golden, inParallel, type Ran } from "./_berth.ts";

const plain = painter({ isTTY: false });

/** Command lines that are wrong, each for one reason. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  "unknown_command": ["versoin"],
  "unknown_command_far": ["frobnicate"],
  "unknown_command_prefix": ["comp"],
  "unknown_in_group": ["vnode", "lisst"],
  "unknown_option": ["version", "--jsno"],
  "unknown_option_far": ["version", "--frobnicate"],
  "unknown_short_option": ["version", "-x"],
  "value_for_flag": ["version", "--json=yes"],
  "value_missing": ["version", "--config"],
  "given_twice": ["version", "--config", "/a", "--config", "/b"],
  "argument_missing": ["completion"],
  "argument_too_many": ["version", "now"],
  "dry_run_of_a_look": ["version", "--dry-run"],
  "several_at_once": ["version", "--jsno", "--config", "/a", "--config", "/b"],
  "completion_of_no_shell": ["completion", "bish"],
  "script_unknown": ["--config", "/usr", "run", "fix"],
  "config_missing": ["--config", "/nonexistent", "host", "plan"],
  "config_forgotten": ["host", "plan", "--config", "--quiet"],
  "command_missing": ["host"],
  "script_no_file": ["run", "/nonexistent/fix.ts"],
  "control_characters": ["\x1b[31mred\n"],
};

test("each wrong command line names what is wrong and what to do", async () => {
  await inParallel(Object.entries(WRONG), async ([name, argv]) => {
    const [text, json] = await Promise.all([berth(argv), berth(["--json", ...argv])]);
    const told = (ran: Ran) => `exit ${ran.exit}\n--- stdout\n${ran.stdout}--- stderr\n${ran.stderr}`;
    golden(`error/${name}`, `$ berth ${argv.map((arg) => JSON.stringify(arg)).join(" ")}\n${told(text)}`);
    assert.is(text.stdout, "", name);
    assert.is(json.stderr, "", name);
    assert.is(json.exit, text.exit, name);
    golden(`error/${name}.json`, `${JSON.stringify(JSON.parse(json.stdout), null, 2)}\n`);
  });
});

const CODES = Object.keys(EXIT_CODES) as ErrorCode[];

test("errors of every code look alike, as text and as JSON", () => {
  const made = CODES.map((code) =>
    new BerthError({
      code,
      object: "vnode left",
      message: `Cannot attach "eth1": bridge "bbr-lan" is missing`,
      next: "Run berth vnode up left",
      cause: new Error("Link not found", { cause: new Error("ENODEV") }),
      issues: code !== "config" ? [] : [
        {
          place: "/etc/berth/vnodes.d/pair.yaml:12",
          path: "vnodes.left.links[0].rate",
          message: "Is no rate",
          found: '"ten"',
          wanted: 'a rate, such as "10mbit"',
          next: "Write a number and a unit",
        },
        { path: "vnodes.right", message: "Has no image" },
      ],
    })
  );
  golden(
    "error/_codes",
    made.map((error) => `exit ${error.exit}\n${errorText(error, plain, false)}`).join("\n"),
  );
  golden("error/_codes.json", made.map(errorJson).join(""));
});

test("anything else that is thrown is a fault of berth's own, with its stack only when asked", () => {
  const thrown = new TypeError("x is not a function");
  thrown.stack = "TypeError: x is not a function\n    at wire (wire.ts:1:2)";
  const error = asBerthError(thrown);
  assert.is(error.exit, 1);
  golden(
    "error/_fault",
    `${errorText(error, plain, false)}--- verbose\n${errorText(error, plain, true)}--- json\n${
      errorJson(error)
    }`,
  );
  assert.match(errorText(asBerthError("a text"), plain, false), /a text/);
  assert.match(errorText(asBerthError(undefined), plain, false), /undefined/);
});

test("errorText() keeps a script that failed for --verbose, whoever has wrapped its error", () => {
  const detail = "sh -c set -e\ncp -dR";
  const cause = new BerthError({ code: "command-failed", object: "command sh", message: "No room", detail });
  const error = new BerthError({
    code: "command-failed",
    object: "root",
    message: "Cannot move: No room",
    cause,
  });
  assert.not.match(errorText(error, plain, false), "cp -dR");
  assert.match(errorText(error, plain, true), "   ran: sh -c set -e\n    cp -dR\n");
});

test("asBerthError() calls what the machine refuses no fault of berth's", () => {
  const refused = (code: string) =>
    asBerthError(
      Object.assign(new Error(`${code}: refused, mkdir '/run/berth'`), { code, syscall: "mkdir" }),
    );
  assert.equal(["EACCES", "EROFS", "ENOSPC"].map((code) => refused(code).exit), [4, 4, 4]);
  assert.is(refused("EACCES").next, "Run it as root");
  assert.is(refused("EBADF").exit, 1);
});

test("errorText() lets no control character of a message reach the terminal", () => {
  const error = new BerthError({
    code: "config",
    object: "a\x1b]0;x\x07",
    message: "b\r\x9bc",
    next: "d\x00",
  });
  assert.not.match(errorText(error, plain, false).replaceAll("\n", ""), /\p{Cc}/u);
});

test("colours only on a terminal, without NO_COLOR and without --no-color", () => {
  assert.is(painter({ isTTY: false }).red("x"), "x");
  assert.is(painter({ isTTY: true }, false).red("x"), "x");
  const { NO_COLOR, TERM } = process.env;
  try {
    delete process.env.NO_COLOR;
    process.env.TERM = "xterm";
    assert.is(painter({ isTTY: true }).red("x"), "\x1b[31mx\x1b[39m");
    process.env.NO_COLOR = "1";
    assert.is(painter({ isTTY: true }).red("x"), "x");
  } finally {
    if (NO_COLOR === undefined) delete process.env.NO_COLOR;
    else process.env.NO_COLOR = NO_COLOR;
    if (TERM === undefined) delete process.env.TERM;
    else process.env.TERM = TERM;
  }
});

test("changes are told with symbol, reason and risk, and counted with restored apart", () => {
  const verbs = ["create", "update", "replace", "delete", "adopt", "restore"] as const;
  const changes = verbs.map((verb, index) => ({
    resource: "sysctl net.ipv4.ip_forward",
    verb,
    why: "0, wanted 1",
    risk: (["safe", "disruptive", "destructive"] as const)[index % 3]!,
    do: [],
    undo: [],
  }));
  const lines = changes.map((change) => changeText(change, plain));
  assert.is(lines[0], "+ create sysctl net.ipv4.ip_forward: 0, wanted 1");
  const counts = tally(changes, 14);
  golden("changes", `${[...lines, tallyText(counts, false), tallyText(counts, true)].join("\n")}\n`);
});

test.run();
