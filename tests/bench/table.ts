/** One line of the report: a figure, its reference, and the budget of their ratio. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly reference: number;
  readonly unit: string;
  /** value / reference as measured pair by pair; for an absolute budget the value itself */
  readonly figure: number;
  readonly budget: number;
  readonly referenceName: string;
}

/** Whether a row keeps its budget. */
export function holds(row: Row): boolean {
  return row.figure <= row.budget;
}

/** The report as aligned text. */
export function format(rows: readonly Row[]): string {
  const cells = [
    ["what", "measured", "reference", "ratio", "budget", ""],
    ...rows.map((row) => [
      row.what,
      `${round(row.value)} ${row.unit}`,
      row.reference === 0 ? "-" : `${round(row.reference)} ${row.unit} (${row.referenceName})`,
      round(row.figure),
      `<= ${row.budget}`,
      holds(row) ? "holds" : "MISSED",
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((line) => (line[i] ?? "").length)));
  return cells.map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd()).join(
    "\n",
  );
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
