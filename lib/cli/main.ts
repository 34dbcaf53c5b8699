// The one self-running file: what `berth` starts with. Bundled, it is the executable.
import process from "node:process";
import { groups, tree } from "#tasks";
import { runCommandLine } from "./run.ts";

void runCommandLine(process.argv.slice(2), { tree, groups });
