// The nearest known word to a mistyped one. The library is loaded only when something was mistyped.

/** The known word nearest to this one, or undefined where none is near enough to be meant. */
export async function nearest(word: string, known: readonly string[]): Promise<string | undefined> {
  if (known.length === 0) return undefined;
  const { closest, distance } = await import("fastest-levenshtein");
  const best = known.find((name) => word.length > 1 && name.startsWith(word)) ?? closest(word, known);
  // A third of the letters, at least two: "statsu" is status, "frobnicate" is nothing.
  const allowed = Math.max(2, Math.floor(best.length / 3));
  return best.startsWith(word) || distance(word, best) <= allowed ? best : undefined;
}
