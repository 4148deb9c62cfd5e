/** A `postgres://` URL as a configuration: one primary, no replica. */
import { resolveConfig } from "../config/resolve.ts";
import type { RouterConfig } from "../config/config.ts";
import { UsageError } from "./io.ts";

/** @throws UsageError, which never repeats the URL, or RouterError `CONFIG_INVALID` when a part of it will not do */
export function configFromDsn(dsn: string): RouterConfig {
  const url = parseUrl(dsn);
  const sslMode = url.searchParams.get("sslmode") ?? undefined;
  const sslRootCert = url.searchParams.get("sslrootcert") ?? undefined;
  const socketFolder = url.searchParams.get("host");
  const host = socketFolder ?? decoded(url.hostname);
  return resolveConfig({
    db: {
      host: host === "" ? "localhost" : host.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 5432 : Number(url.port),
      username: decoded(url.username),
      ...(url.password === "" ? {} : { password: decoded(url.password) }),
      database: decoded(url.pathname.slice(1)) || decoded(url.username),
      ...(sslMode === undefined ? {} : { sslMode }),
      ...(sslRootCert === undefined ? {} : { sslRootCert }),
    },
  } as Parameters<typeof resolveConfig>[0]);
}

// The URL itself is never repeated: it may hold a password.
const example = "expected postgres://user:password@host:port/database";

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UsageError(`--dsn has a % that begins no character (write % itself as %25): ${example}`);
  }
}

function parseUrl(dsn: string): URL {
  let url: URL;
  try {
    url = new URL(dsn);
  } catch {
    throw new UsageError(`--dsn is not a URL: ${example}`);
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw new UsageError(`--dsn has the scheme ${url.protocol}//: ${example}`);
  }
  if (url.username === "") throw new UsageError(`--dsn names no user: ${example}`);
  return url;
}
