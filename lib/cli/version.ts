// The version of this berth. Stands alone so that `berth version` loads nothing else.
// The build defines the two names; from source the version is package.json's (a test keeps the two together).

declare const BERTH_VERSION: string | undefined;
declare const BERTH_COMMIT: string | undefined;

/** The version of this berth. */
export const VERSION: string = typeof BERTH_VERSION === "string" ? BERTH_VERSION : "0.1.0";

/** The commit it was built from; "source" when it is not built. */
export const COMMIT: string = typeof BERTH_COMMIT === "string" ? BERTH_COMMIT : "source";
