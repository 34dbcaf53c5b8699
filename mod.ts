// The library's face. Importing it opens, starts and contacts nothing; what is heavy is loaded at its first use.
export { createDocker } from "./lib/docker/client.ts";
export { engineDoor } from "./lib/docker/door.ts";
export type * from "./lib/docker/types.ts";
export { createHost, type HostOptions } from "./lib/host/host.ts";
export { createLook, type LookOptions } from "./lib/host/look.ts";
export type * from "./lib/host/types.ts";
export { BerthError, type ErrorCode, type ErrorParts, EXIT_CODES, type Issue } from "./lib/log/error.ts";
export type { Fields, Level, Log } from "./lib/log/log.ts";
export { createLog, type LogOptions } from "./lib/log/logger.ts";
export { createEnsure, type EnsureOptions, type Ensurer } from "./lib/resource/ensure.ts";
export { createJournal, type Journal } from "./lib/resource/journal.ts";
export type * from "./lib/resource/types.ts";
export { loadConfig, type LoadOptions } from "./lib/config/load.ts";
export type * from "./lib/config/types.ts";
export { type Task, task, type TaskContext } from "./lib/cli/task.ts";
export { VERSION } from "./lib/cli/version.ts";
