// Writes log lines: for people, as JSON, or for the journal with its priorities. Own code, because the whole of it is
// smaller than the set-up of a library, and each line must be out before a process that is killed dies.
import process from "node:process";
import type { Fields, Level, Log } from "./log.ts";

/**
 * How lines look: `journal` puts "<6>" before a text line, which journald turns into its priority; `file` puts time
 * and level before it, for a log that nobody else dates.
 */
export type LogFormat = "text" | "json" | "journal" | "file";

export interface LogOptions {
  /** The least level that is written. @default {"info"} */
  readonly level?: Level | "silent";
  /** @default {"text"} */
  readonly format?: LogFormat;
  /** @default {process.stderr} */
  readonly stream?: { write(text: string): unknown };
  /** Called before a line is written: a spinner gives way. */
  readonly before?: () => void;
  /** @default {the clock} */
  readonly now?: () => Date;
}

const ORDER: Readonly<Record<Level | "silent", number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };
/** sd-daemon(3): SD_DEBUG, SD_INFO, SD_WARNING, SD_ERR. */
const PRIORITY: Readonly<Record<Level, string>> = { debug: "<7>", info: "<6>", warn: "<4>", error: "<3>" };
/** Keys whose values are never written, whoever logs them. */
const SECRET =
  /pass(word|wd|phrase)?$|secret|token|credential|authori[sz]ation|private_?key|identitytoken|^auth$/i;

/** Makes a log. Does nothing until the first line. */
export function createLog(options: LogOptions = {}): Log {
  const format = options.format ?? "text";
  const least = ORDER[options.level ?? "info"];
  const render = format === "json" ? jsonLine : format === "file" ? fileLine : textLine;
  const make = (fixed: Fields): Log => {
    const write = (level: Level) => (message: string, fields: Fields = {}) => {
      if (ORDER[level] < least) return;
      options.before?.();
      const line = render(level, message, { ...fixed, ...fields }, (options.now ?? (() => new Date()))());
      (options.stream ?? process.stderr).write(format === "journal" ? `${PRIORITY[level]}${line}` : line);
    };
    return {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      with: (fields) => make({ ...fixed, ...fields }),
    };
  };
  return make({});
}

/**
 * True when stderr goes to journald: systemd.exec(5) sets JOURNAL_STREAM to its device and inode. What a unit's
 * process starts has the variable too, and often another stderr: a pipe, a file.
 */
export function underJournal(
  stderr: { readonly dev: number; readonly ino: number } | null,
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  return stderr !== null && env.JOURNAL_STREAM === `${stderr.dev}:${stderr.ino}`;
}

function jsonLine(level: Level, message: string, fields: Fields, now: Date): string {
  return `${JSON.stringify({ time: now.toISOString(), level, message, ...fields }, plain)}\n`;
}

function fileLine(level: Level, message: string, fields: Fields, now: Date): string {
  return `${now.toISOString()} ${level.padEnd(5)} ${textLine("info", message, fields)}`;
}

function textLine(level: Level, message: string, fields: Fields): string {
  const pairs = Object.entries(fields).filter(([, value]) => value !== undefined).map(([key, value]) => {
    const text = plain(key, value);
    const word = typeof text === "string" ? text : JSON.stringify(text, plain) ?? String(text);
    return ` ${key}=${/^[^\s"=\p{Cc}]+$/u.test(word) ? word : JSON.stringify(word)}`;
  });
  // One line a message, whatever is in it: a newline in a name must not forge a line of its own.
  return `${level === "info" ? "" : `${level}: `}${message}${pairs.join("")}`.replace(/\p{Cc}/gu, " ") + "\n";
}

/** JSON's replacer: no secrets; errors and big numbers as text. */
function plain(key: string, value: unknown): unknown {
  if (value !== undefined && SECRET.test(key)) return "(hidden)";
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? String(value) : value;
}
