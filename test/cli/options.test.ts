// Options: what a schema declares, what argv says, and what is told when the two do not fit.
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { globalOptions, schemaOptions } from "../../lib/cli/option.ts";
import { parseOptions } from "../../lib/cli/parse.ts";
import { type Commands, runCommandLine } from "../../lib/cli/run.ts";
import { task } from "../../lib/cli/task.ts";
import { BerthError } from "../../lib/log/error.ts";

const schema = v.object({
  graceSeconds: v.optional(v.pipe(v.number(), v.minValue(0), v.description("Seconds to wait")), 10),
  format: v.pipe(v.optional(v.picklist(["table", "json"]), "table"), v.description("Look")),
  label: v.pipe(
    v.optional(v.array(v.string())),
    v.description("Labels"),
    v.metadata({ value: "KEY=VALUE", short: "l" }),
  ),
  wait: v.optional(v.pipe(v.boolean(), v.description("Wait")), true),
  force: v.optional(v.pipe(v.boolean(), v.description("Force")), false),
  name: v.pipe(v.string(), v.description("Name")),
});
const options = [...schemaOptions(schema), ...globalOptions(true)];
const parse = (line: string, passThrough = false) =>
  parseOptions(line === "" ? [] : line.split(" "), options, "berth test", passThrough);

async function fails(line: string): Promise<BerthError> {
  try {
    await parse(line);
  } catch (error) {
    assert.instance(error, BerthError);
    return error as BerthError;
  }
  throw new Error(`"${line}" was accepted`);
}

test("parseOptions() takes no option for another's value, unless = says so", async () => {
  assert.is((await fails("--name x --config --json")).message, 'Option "--config" wants a value');
  assert.is((await parse("--name x --config=--json")).values.config, "--json");
  assert.is((await parse("--name x --grace-seconds -1")).values.graceSeconds, -1);
});

test("schemaOptions() reads kinds, flags, defaults, choices and descriptions", () => {
  const shown = schemaOptions(schema).map(({ flag, kind, many, required, preset, value, help }) =>
    [flag, kind, many ? "many" : "one", required, preset, value, help].join(" ")
  );
  assert.equal(shown, [
    "grace-seconds number one false 10 N Seconds to wait",
    "format picklist one false table table|json Look",
    "label string many false  KEY=VALUE Labels",
    "no-wait boolean one false true  Wait",
    "force boolean one false false  Force",
    "name string one true  TEXT Name",
  ]);
});

test("parseOptions() reads every kind, in any order with the arguments", async () => {
  const { values, args } = await parse(
    "a --grace-seconds 5 -l x=1 b --label=y=2 --no-wait --force -qv --name=n c",
  );
  assert.equal(values, {
    graceSeconds: 5,
    label: ["x=1", "y=2"],
    wait: false,
    force: true,
    quiet: true,
    verbose: true,
    name: "n",
  });
  assert.equal(args, ["a", "b", "c"]);
});

test("parseOptions() takes what follows -- as it stands", async () => {
  assert.equal(await parse("a -- --force -x"), { values: {}, args: ["a", "--force", "-x"] });
});

test("parseOptions() ends at the first argument when the rest belongs to it", async () => {
  assert.equal(await parse("--force ls --force -- -x", true), {
    values: { force: true },
    args: ["ls", "--force", "--", "-x"],
  });
  assert.equal(await parse("- -v", true), { values: {}, args: ["-", "-v"] });
});

test("parseOptions() takes negative numbers, and values that look like options only behind =", async () => {
  assert.equal((await parse("--grace-seconds=-5")).values, { graceSeconds: -5 });
});

for (
  const [line, message, wanted] of [
    ["--grace-seconds ten", 'Option "--grace-seconds" wants a number', "a number"],
    ["--grace-seconds=", 'Option "--grace-seconds" wants a number', "a number"],
    ["--format jsn", 'Option "--format" does not know "jsn"', '"table" or "json"'],
    ["--name a --name b", 'Option "--name" is given twice', "one value"],
    ["--force=1", 'Option "--force" takes no value', "nothing"],
    ["--name", 'Option "--name" wants a value', "TEXT"],
  ] as const
) {
  test(`parseOptions() says what was wanted of "${line}"`, async () => {
    const error = await fails(line);
    assert.is(error.message, message);
    assert.is(error.code, "usage");
    assert.is(error.issues[0]!.wanted, wanted);
  });
}

test("parseOptions() tells all issues at once and names the nearest option", async () => {
  const error = await fails("--gracesecond 5 --constructor --format x");
  assert.equal(error.issues.map(({ next }) => next), [
    'Did you mean "--grace-seconds"?',
    undefined,
    undefined,
  ]);
});

/** Runs a task in this process and answers with what it got, or what was written. */
async function runTask(argv: readonly string[]): Promise<{ got: unknown; out: string; exit: unknown }> {
  let got: unknown;
  let out = "";
  const declared = task({
    summary: "Test",
    options: schema,
    args: ["[X...]"],
    run(context) {
      got = context.options;
      context.output({ fine: true }, "fine");
      context.exit(2);
      return Promise.resolve();
    },
  });
  const commands: Commands = {
    tree: { test: { summary: "Test", load: () => Promise.resolve({ default: declared }) } },
    groups: {},
  };
  const { write: stdout } = process.stdout;
  const { write: stderr } = process.stderr;
  const before = process.exitCode;
  process.stdout.write = process.stderr.write = (text: unknown) => Boolean(out += String(text));
  try {
    await runCommandLine(["test", ...argv], commands);
    return { got, out, exit: process.exitCode };
  } finally {
    process.stdout.write = stdout;
    process.stderr.write = stderr;
    process.exitCode = before ?? 0;
  }
}

test("a task gets the schema's output, with its defaults, and its exit code is passed on", async () => {
  const { got, out, exit } = await runTask(["--name", "n"]);
  assert.equal(got, {
    graceSeconds: 10,
    format: "table",

    wait: true,
    force: false,
    name: "n",
  });
  assert.is(out, "fine\n");
  assert.is(exit, 2);
});

test("with --json a task's result is one line of JSON", async () => {
  const { out } = await runTask(["--name", "n", "--json"]);
  assert.is(out, '{"fine":true}\n');
});

test("what only the schema knows is told by the flag's name", async () => {
  const missing = await runTask([]);
  assert.is(missing.exit, 64);
  assert.match(missing.out, 'Option "--name" is required');
  const below = await runTask(["--name", "n", "--grace-seconds=-1"]);
  assert.is(below.exit, 64);
  assert.match(below.out, '"--grace-seconds"');
  assert.match(below.out, ">=0");
});

test.run();
