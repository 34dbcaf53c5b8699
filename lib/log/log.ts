// Structured log: a constant message and keys. Keys are the same everywhere: task, resource, vnode, ms, exit.

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Readonly<Record<string, unknown>>;

/** Where messages go. Results never go here: they are a task's output. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log that adds fields to each line. */
  with(fields: Fields): Log;
}
