// The vnodes as scripts have them: what is declared, and a command inside one.
import type { VnodeSpec } from "../../config/types.ts";
import type { Docker } from "../../docker/types.ts";
import { BerthError } from "../../log/error.ts";
import { nearest } from "../nearest.ts";
import type { TaskContext } from "../task.ts";

/** `vnodes` in a script. */
export interface Vnodes {
  /** All that are declared in /etc/berth. */
  list(): Promise<readonly VnodeSpec[]>;
  /** One by name. @throws {BerthError} code `usage`, naming the nearest. */
  get(name: string): Promise<VnodeSpec>;
  /** Runs a command inside one. @throws {BerthError} code `command-failed` when it fails, unless `nothrow`. */
  exec(
    name: string,
    argv: readonly string[],
    options?: { readonly input?: string; readonly nothrow?: boolean },
  ): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }>;
  [Symbol.asyncIterator](): AsyncIterator<VnodeSpec>;
}

/** Makes it. Reads nothing before it is asked. */
export function createVnodes(context: Pick<TaskContext<unknown>, "config">, docker: Docker): Vnodes {
  const list = async () => (await context.config()).vnodes;
  const get = async (name: string) => {
    const all = await list();
    const found = all.find((vnode) => vnode.name === name);
    if (found !== undefined) return found;
    const near = await nearest(name, all.map((vnode) => vnode.name));
    throw new BerthError({
      code: "usage",
      object: `vnode ${name}`,
      message: `There is no vnode "${name}"`,
      ...(near === undefined ? {} : { next: `Did you mean "${near}"?` }),
    });
  };
  return {
    list,
    get,
    async exec(name, argv, options = {}) {
      const input = options.input === undefined ? {} : { input: new TextEncoder().encode(options.input) };
      const result = await docker.exec(name, argv, input);
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      // Plan mode answers with nothing.
      const said = result === undefined
        ? { exit: 0, stdout: "", stderr: "" }
        : { exit: result.exit, stdout: text(result.stdout), stderr: text(result.stderr) };
      if (said.exit === 0 || options.nothrow) return said;
      throw new BerthError({
        code: "command-failed",
        object: `vnode ${name}`,
        message: `"${argv.join(" ")}" ended with exit ${said.exit}`,
        cause: said.stderr.trim().split("\n").slice(-5).join("\n"),
      });
    },
    async *[Symbol.asyncIterator]() {
      yield* await list();
    },
  };
}
