// One look for many things: the same question asked twice within one round of observing is answered once. A new round
// (after the changes) gets a new one. Owns no state beyond that.
import type { Look } from "../host/types.ts";

/** A look that remembers what it was told. Only as old as itself: make one for each round of observing. */
export function oneLook(look: Look): Look {
  const told = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const known = told.get(key) ?? ask();
    told.set(key, known);
    return known as Promise<T>;
  };
  return {
    ...(look.signal === undefined ? {} : { signal: look.signal }),
    anew: look.anew ?? look,
    query: (command) => once(`query ${JSON.stringify(command)}`, () => look.query(command)),
    readText: (path) => once(`text ${path}`, () => look.readText(path)),
    list: (path) => once(`list ${path}`, () => look.list(path)),
    stat: (path) => once(`stat ${path}`, () => look.stat(path)),
    readLink: (path) => once(`link ${path}`, () => look.readLink(path)),
    device: (path, bytes) => once(`device ${path} ${bytes}`, () => look.device(path, bytes)),
    engine: (path) => once(`engine ${path}`, () => look.engine(path)),
  };
}
