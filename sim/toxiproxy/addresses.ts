/**
 * Addresses as Go's `net` package reads, resolves and prints them, error texts included: they are part of the
 * wire contract.
 */
import { getServers } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** An address that can be listened on or compared. */
export interface TcpAddress {
  /** An IP address, or empty for every address of the machine. */
  readonly ip: string;
  readonly port: number;
}

/** Where a connection goes; the host is resolved when it is made. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** A failure in Go's words. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}

/** @throws AddressError as `net.SplitHostPort` and the port's parser do */
export function parseHostAndPort(text: string): HostAndPort {
  if (text === "") return { host: "", port: 0 };
  const colon = text.lastIndexOf(":");
  if (colon < 0) throw addressError(text, "missing port in address");
  let host = text.slice(0, colon);
  if (host.startsWith("[")) {
    const bracket = text.indexOf("]");
    if (bracket < 0) throw addressError(text, "missing ']' in address");
    if (bracket + 1 === text.length) throw addressError(text, "missing port in address");
    if (bracket + 1 !== colon) throw addressError(text, "too many colons in address");
    host = text.slice(1, bracket);
  } else if (host.includes(":")) {
    throw addressError(text, "too many colons in address");
  }
  return { host, port: parsePort(text.slice(colon + 1)) };
}

/**
 * Finds the one address that `text` names. IPv4 is preferred, as in Go.
 *
 * @throws AddressError when it is malformed or the name is unknown
 */
export async function resolveTcpAddress(text: string): Promise<TcpAddress> {
  const { host, port } = parseHostAndPort(text);
  if (host === "" || isIP(host) !== 0) return { ip: host, port };
  try {
    const { address } = await lookup(host, { order: "ipv4first" });
    return { ip: address, port };
  } catch (error) {
    throw new AddressError(`lookup ${host}${resolverNote()}: no such host`, { cause: error });
  }
}

export function formatTcpAddress({ ip, port }: TcpAddress): string {
  return isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function parsePort(text: string): number {
  if (text === "") return 0;
  const port = Number(text);
  if (!/^[+-]?\d+$/.test(text)) throw new AddressError(`lookup tcp/${text}: unknown port`);
  if (port < 0 || port > 65_535) throw new AddressError(`address ${text}: invalid port`);
  return port;
}

function addressError(address: string, problem: string): AddressError {
  return new AddressError(`address ${address}: ${problem}`);
}

/** Go's resolver says whom it asked. */
function resolverNote(): string {
  const [server] = getServers();
  if (server === undefined) return "";
  return server.includes(":") ? ` on ${server}` : ` on ${server}:53`;
}
