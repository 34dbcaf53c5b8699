// How a share is written. Apart from units.ts, which reads them too and brings the schemas' errors along: what is wired
// from the library must not load those.

/** "0.1%". Takes percent. */
export function formatPercent(percent: number): string {
  return `${percent.toFixed(6).replace(/\.?0+$/, "")}%`;
}
