// The line by which berth knows its own units and init scripts. A leaf, so that both kinds of them can bear it.

/** Stands in each file that `host rc` writes. What lacks it is never changed or removed. */
export const MARK = "# Written by berth (host rc); changes here are lost, drop-ins are kept";
