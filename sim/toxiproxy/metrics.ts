/** Bytes moved, by proxy and direction, in Prometheus' text format. A connection counts when it has ended. */

export interface LinkLabels {
  readonly direction: string;
  readonly proxy: string;
  readonly listener: string;
  readonly upstream: string;
}

export interface LinkBytes {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export class ProxyMetrics {
  readonly #totals = new Map<string, LinkBytes>();

  add(labels: LinkLabels, bytes: LinkBytes): void {
    const key = formatLabels(labels);
    const total = this.#totals.get(key) ?? { receivedBytes: 0, sentBytes: 0 };
    this.#totals.set(key, {
      receivedBytes: total.receivedBytes + bytes.receivedBytes,
      sentBytes: total.sentBytes + bytes.sentBytes,
    });
  }

  /** The exposition text, empty while nothing has ended. */
  format(): string {
    return this.#formatFamily("received", "receivedBytes") + this.#formatFamily("sent", "sentBytes");
  }

  #formatFamily(word: string, key: keyof LinkBytes): string {
    if (this.#totals.size === 0) return "";
    const name = `toxiproxy_proxy_${word}_bytes_total`;
    const lines = [...this.#totals]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([labels, total]) => {
        return `${name}{${labels}} ${total[key]}\n`;
      });
    return `# HELP ${name} Bytes ${word} by ended connections.\n# TYPE ${name} counter\n${lines.join("")}`;
  }
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ – label values escape `\`, `"` and newlines */
function formatLabels(labels: LinkLabels): string {
  return Object.entries(labels)
    .map(([name, value]: [string, string]) => `${name}="${escapeValue(value)}"`)
    .join(",");
}

function escapeValue(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
