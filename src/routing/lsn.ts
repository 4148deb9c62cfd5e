/**
 * WAL positions and timelines as numbers. An LSN counts bytes since the cluster was made; a double holds it
 * exactly up to 2^53 (9 PB of WAL), far beyond what any cluster has written.
 */

/** A position in the write-ahead log, in bytes. */
export type Lsn = number;

/** Parses PostgreSQL's `16/B374D848` form. Gives `undefined` for NULL and for anything else. */
export function parseLsn(text: string | null | undefined): Lsn | undefined {
  if (text === null || text === undefined) return undefined;
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) return undefined;
  return Number.parseInt(match[1] as string, 16) * 2 ** 32 + Number.parseInt(match[2] as string, 16);
}

export function formatLsn(lsn: Lsn): string {
  const high = Math.floor(lsn / 2 ** 32);
  const low = lsn % 2 ** 32;
  return `${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`;
}

/** The sizes of one server's WAL, in bytes (`wal_block_size`, `wal_segment_size`). */
export interface WalGeometry {
  readonly blockBytes: number;
  readonly segmentBytes: number;
}

const SHORT_PAGE_HEADER_BYTES = 24;
const LONG_PAGE_HEADER_BYTES = 40;

/**
 * An insert position that stands just behind a page header points at a page which holds no record yet. No
 * standby ever replays up to there while the primary is idle, so the position is taken back to the page's start.
 */
export function withoutPageHeader(insert: Lsn, geometry: WalGeometry): Lsn {
  if (insert % geometry.segmentBytes === LONG_PAGE_HEADER_BYTES) return insert - LONG_PAGE_HEADER_BYTES;
  if (insert % geometry.blockBytes === SHORT_PAGE_HEADER_BYTES) return insert - SHORT_PAGE_HEADER_BYTES;
  return insert;
}
