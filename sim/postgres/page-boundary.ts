/**
 * Bringing a primary's insert position to just behind a page header. A record that ends exactly where its page does
 * leaves the position 24 bytes into a page that holds nothing yet: no standby replays to there while nobody writes.
 */
import type { DirectConnection } from "../../chaos/world.ts";
import type { Lsn, WalGeometry } from "../../src/routing/lsn.ts";
import { insertLsn } from "./wal-marks.ts";

/** @see src/include/access/xlog_internal.h: SizeOfXLogShortPHD and SizeOfXLogLongPHD, the latter on a segment's first page. */
const shortHeaderBytes = 24;
const longHeaderBytes = 40;

/** Long enough that the record's own header no longer changes its form with the length. */
const shortestMessage = 512;

export function isBehindPageHeader(lsn: Lsn, geometry: WalGeometry): boolean {
  // A segment's first page has a longer header, so that there 24 is inside it.
  return lsn % geometry.blockBytes === shortHeaderBytes;
}

/**
 * Writes one committed message that ends with a page. Whoever else writes at the same time makes it miss.
 * @returns the sizes by which the position can be judged
 */
export async function fillUpToPage(primary: DirectConnection): Promise<WalGeometry> {
  const geometry = await readGeometry(primary);
  const before = await insertLsn(primary);
  await emit(primary, shortestMessage);
  const after = await insertLsn(primary);
  const recordBytes = after - before - headerBytesBetween(before, after, geometry);
  // Records are padded to 8 bytes, all alike: a message longer by a multiple of 8 makes WAL longer by as much.
  const wanted = bytesToPageEnd(after, recordBytes, geometry);
  await emit(primary, shortestMessage + wanted - recordBytes);
  return geometry;
}

/**
 * How many bytes of records fill the WAL from `position` to the end of a page: the next such page that has room for
 * `atLeast`, and after which no segment begins.
 */
export function bytesToPageEnd(position: Lsn, atLeast: number, geometry: WalGeometry): number {
  const { blockBytes, segmentBytes } = geometry;
  let pageEnd = position - (position % blockBytes) + blockBytes;
  let bytes = pageEnd - position;
  while (bytes < atLeast || pageEnd % segmentBytes === 0) {
    bytes += blockBytes - headerBytesOf(pageEnd, segmentBytes);
    pageEnd += blockBytes;
  }
  return bytes;
}

/** The page headers that lie between two insert positions. */
export function headerBytesBetween(from: Lsn, to: Lsn, { blockBytes, segmentBytes }: WalGeometry): number {
  let bytes = 0;
  for (let page = from - (from % blockBytes) + blockBytes; page < to; page += blockBytes)
    bytes += headerBytesOf(page, segmentBytes);
  return bytes;
}

function headerBytesOf(page: Lsn, segmentBytes: number): number {
  return page % segmentBytes === 0 ? longHeaderBytes : shortHeaderBytes;
}

/** Transactional, so that its commit flushes it; the commit's record is the last of it. */
async function emit(primary: DirectConnection, length: number): Promise<void> {
  await primary.query("SELECT pg_logical_emit_message(true, 'fairlead', repeat('x', $1))", [length]);
}

async function readGeometry(server: DirectConnection): Promise<WalGeometry> {
  const rows = await server.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name IN ('wal_block_size', 'wal_segment_size')",
  );
  const sizes = new Map(rows.map((row) => [row.name, Number(row.setting)]));
  return { blockBytes: sizes.get("wal_block_size") ?? 0, segmentBytes: sizes.get("wal_segment_size") ?? 0 };
}
