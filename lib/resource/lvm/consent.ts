// What an operator is told about disks that are not blank: what is on each, and the lines that would consent.
import { BerthError, type ErrorCode, type Issue } from "../../log/error.ts";
import { isTwin, type Verdict } from "./disks.ts";
import { shownBytes } from "./sizes.ts";

/** The line for host.yaml that consents to the loss of what is on a disk. */
export function consentLine({ name, fingerprint }: Verdict): string {
  return `consent: { wipe: [{ disk: "${name}", found: "${fingerprint}" }] }`;
}

/** What is in the way with one disk, and the way on. */
export function diskIssue(verdict: Verdict): Issue {
  const { disk, name, may, why, fingerprint, consent } = verdict;
  const place = `disk ${name}`;
  const what = `${disk.path}, ${shownBytes(disk.bytes)}`;
  switch (may) {
    case "occupied":
      return {
        place,
        message: `Is not blank: ${why} (${what})`,
        next: `If all on it may be lost, add to host.yaml: ${consentLine(verdict)}`,
      };
    case "void":
      return {
        place,
        message: `Consent is void, something else is on it: ${why} (${what})`,
        found: `"${fingerprint}"`,
        wanted: `"${consent!.found}"`,
        next: `Look again; if all on it may be lost, change host.yaml to: ${consentLine(verdict)}`,
      };
    case "never":
      return {
        place,
        message: `Cannot be taken: ${why} (${what})`,
        next: isTwin(verdict)
          ? "Set up multipath, or leave one path to it and name that in storage.disks"
          : why.startsWith("attached by") || why.startsWith("without") || why === "cannot be read"
          ? "Name another disk"
          : "End that use of it, or name another disk",
      };
    default:
      return { place, message: `Is ${may} (${what})` };
  }
}

/** Several disks' problems as one error. */
export function diskError(
  code: ErrorCode,
  message: string,
  next: string,
  issues: readonly Issue[],
): BerthError {
  return new BerthError({ code, object: "storage", message, next, issues });
}
