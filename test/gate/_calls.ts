// A gate's script with everything around it pretended: the real runtime, the tools, /sys/class/net. For its tests.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gateScript } from "../../lib/gate/script.ts";

/** A container's id as Docker makes them. */
export const ID = "0123456789abcdef".repeat(4);

/** The shells that are here, each as the words before the script's path. */
export const SHELLS: readonly (readonly string[])[] = [["sh"], ["bash", "--posix"], ["busybox", "sh"]]
  .filter(([program]) =>
    spawnSync(program!, ["-c", "true"]).status === 0 || program === "busybox" && hasBusybox()
  );

function hasBusybox(): boolean {
  return spawnSync("busybox", ["true"]).status === 0;
}

/** What a call of the script came to. */
export interface Called {
  readonly exit: number | null;
  readonly stderr: string;
  /** Calls of the real runtime: its arguments and what it read. */
  readonly real: readonly { readonly argv: readonly string[]; readonly stdin: string }[];
  /** Calls of `berth`. */
  readonly berth: readonly (readonly string[])[];
  /** What the tools were given, in order: "ip -batch -" and its input. */
  readonly tools: readonly string[];
  /** Messages in the file that containerd reads. */
  readonly log: readonly { readonly level: string; readonly msg: string }[];
}

/** Everything around the script, in a directory of its own. */
export class Surroundings {
  readonly directory = mkdtempSync(join(tmpdir(), "berth-gate-"));
  readonly log = join(this.directory, `bundle/${ID}/log.json`);
  readonly root = join(this.directory, "root");
  readonly script = join(this.directory, "runtime");

  constructor() {
    for (
      const name of [
        "bin",
        "gates",
        "run",
        "sys/_dockercnet/brif/veth7",
        "sys/veth7",
        "data",
        "calls",
        "root",
      ]
    ) {
      mkdirSync(join(this.directory, name), { recursive: true });
    }
    mkdirSync(join(this.log, ".."), { recursive: true });
    this.write("sys/veth7/ifindex", "7\n");
    this.program(
      "real",
      `for word do printf "%s\\0" "$word"; done >"$0.argv.$$"; cat >"$0.stdin.$$"
echo $$ >>"$0.calls"; exit "$(cat "$0.exit" 2>/dev/null || echo 0)"`,
    );
    this.program(
      "berth",
      `for word do printf "%s\\0" "$word"; done >"$0.argv.$$"; : >"$0.stdin.$$"
echo $$ >>"$0.calls"; read -r code <"$0.exit" || exit 0; [ "$code" != 139 ] || kill -SEGV $$; exit "$code"`,
    );
    for (const tool of ["ip", "tc", "nft"]) {
      this.program(
        tool,
        `file=; for word do file=$word; done
case $file in -) text=$(cat) ;; *) text=$(cat "$file" 2>/dev/null) ;; esac
printf "%s\\n%s\\n" "${tool} $*" "$text" >>"${this.directory}/tools"
case $* in "-o link show"*) cat "${this.directory}/eth0" ;; esac
[ ! -e "$0.fails" ]`,
      );
    }
    this.program("nsenter", 'shift\nexec "$@"');
    this.write(
      "eth0",
      "2: eth0@if7: <UP> mtu 1500 \\    link/ether 02:00:ac:10:00:02 brd ff:ff:ff:ff:ff:ff\n",
    );
    const { directory } = this;
    const text = gateScript({
      runc: `${directory}/real`,
      berth: `${directory}/berth`,
      dataRoot: `${directory}/data`,
    });
    // What is fixed on a vhost leads into our directory.
    const moved = [
      ["gates=/var/lib/berth/gate", `gates=${directory}/gates`],
      ["run=/run/berth", `run=${directory}/run`],
      ["PATH=/usr/local/sbin:", `PATH=${directory}/bin:/usr/local/sbin:`],
      ["/sys/class/net", `${directory}/sys`],
      // Our init is the test itself and never dies.
      ["-lt 100", "-lt 1"],
    ].reduce((script, [from, to]) => {
      if (!script.includes(from!)) throw new Error(`The script has no "${from}"`);
      return script.replaceAll(from!, to!);
    }, text);
    writeFileSync(this.script, moved);
  }

  write(name: string, text: string): void {
    mkdirSync(join(this.directory, name, ".."), { recursive: true });
    writeFileSync(join(this.directory, name), text);
  }

  read(name: string): string | null {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, "utf8") : null;
  }

  /** Makes a vnode of the container, whose init is this very process. */
  vnode(files: Readonly<Record<string, string>> = {}): void {
    const whole = {
      "vnode": "left\n",
      "ends": "bve-1\nbif-1\n",
      "host.ip": "link add bve-1 netns @PID@\nlink set bve-1 alias berth:v=left:l=eth1:g=@GEN@ up\n",
      "inside.ip": "addr add 10.1.0.1/24 dev eth1\n",
      "sysctls": "",
      "nft": "",
      "tc": "qdisc add dev bve-1 root\n",
      "control": "02:00:ac:10:00:02 172.16.0.2\n",
      "hosts": "# berth: begin\n10.1.0.2\tright\n# berth: end\n",
      "hosts.path": `${this.directory}/hosts\n`,
      ...files,
    };
    for (const [name, text] of Object.entries(whole)) this.write(`gates/${ID}/${name}`, text);
    this.write("hosts", "127.0.0.1\tlocalhost\n");
    this.write(`root/${ID}/state.json`, JSON.stringify({ id: ID, init_process_pid: process.pid, more: "x" }));
  }

  /** Calls the script by a shell. */
  call(
    shell: readonly string[],
    argv: readonly string[],
    options: { stdin?: string; exit?: number } = {},
  ): Called {
    this.write("real.exit", `${options.exit ?? 0}\n`);
    for (const name of ["real.calls", "berth.calls", "tools"]) {
      rmSync(join(this.directory, name), { force: true });
    }
    const [program, ...words] = [...shell, this.script, ...argv];
    const ran = spawnSync(program!, words, { input: options.stdin ?? "", encoding: "utf8", timeout: 20_000 });
    const calls = (name: string) =>
      (this.read(`${name}.calls`) ?? "").split("\n").filter(Boolean).map((pid) => ({
        argv: this.read(`${name}.argv.${pid}`)!.split("\0").slice(0, -1),
        stdin: this.read(`${name}.stdin.${pid}`)!,
      }));
    const log = existsSync(this.log) ? readFileSync(this.log, "utf8").trim().split("\n") : [];
    rmSync(this.log, { force: true });
    return {
      exit: ran.status,
      stderr: ran.stderr,
      real: calls("real"),
      berth: calls("berth").map((one) => one.argv),
      tools: (this.read("tools") ?? "").split("\n").filter(Boolean),
      log: log.map((line) => JSON.parse(line)),
    };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private program(name: string, text: string): void {
    const path = join(this.directory, ["real", "berth"].includes(name) ? name : `bin/${name}`);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  }
}
