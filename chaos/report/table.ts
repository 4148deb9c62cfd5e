/** Columns of text that line up: as plain text for a terminal, as a table for Markdown. Pure. */

export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - cell.length))
      .join("  ")
      .trimEnd(),
  );
}

/** Words joined by `separator`, broken at `width` between words, each further line indented by `indent`. */
export function wrapWords(words: readonly string[], options: WrapOptions): string[] {
  const { width, indent, separator = " " } = options;
  const ending = separator.trimEnd();
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    const longer = line === "" ? word : `${line}${separator}${word}`;
    if (line !== "" && longer.length + ending.length > width) {
      lines.push(line + ending);
      line = indent + word;
    } else line = longer;
  }
  return line === "" ? lines : [...lines, line];
}

export interface WrapOptions {
  readonly width: number;
  readonly indent: string;
  /** Default: a space. */
  readonly separator?: string;
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [markdownRow(head), markdownRow(head.map(() => "---")), ...rows.map(markdownRow)].join("\n");
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll(/\s*\n\s*/g, " ")).join(" | ")} |`;
}
