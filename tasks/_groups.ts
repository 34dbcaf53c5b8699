// Summaries of the groups of tasks: one for each folder below tasks/ (dev/ is no part of the executable).

/** A line of help for each group. */
export const groups: Readonly<Record<string, string>> = {
  host: "Prepare this machine, check it, and undo what was prepared",
  image: "Fetch and prepare images",
  vnode: "Set up vnodes and take them down",
};
