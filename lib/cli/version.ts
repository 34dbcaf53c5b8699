// The version of this berth. Stands alone so that `berth version` loads nothing else.
// package.json holds the same; test/cli/version.test.ts keeps the two together.

/** The version of this berth, as package.json says it. */
export const VERSION = "0.1.0";
