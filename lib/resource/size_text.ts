// Sizes as people read them. Pure.

/** "4.7 GB": decimal units, as disks are sold and founding documents of testbeds count; two digits at least. */
export function sizeText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let at = 0;
  let value = bytes;
  for (; value >= 999.5 && at < units.length - 1; at++) value /= 1000;
  return `${at > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}
