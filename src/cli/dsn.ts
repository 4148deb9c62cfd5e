/** A `postgres://` URL as a configuration: one primary, no replica. */
import { resolveConfig } from "../config/resolve.ts";
import type { RouterConfig } from "../config/config.ts";
import { UsageError } from "./io.ts";

export function configFromDsn(dsn: string): RouterConfig {
  const url = parseUrl(dsn);
  const sslMode = url.searchParams.get("sslmode") ?? undefined;
  const sslRootCert = url.searchParams.get("sslrootcert") ?? undefined;
  const socketFolder = url.searchParams.get("host");
  const host = socketFolder ?? decodeURIComponent(url.hostname);
  return resolveConfig({
    db: {
      host: host === "" ? "localhost" : host.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 5432 : Number(url.port),
      username: decodeURIComponent(url.username),
      ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
      database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
      ...(sslMode === undefined ? {} : { sslMode }),
      ...(sslRootCert === undefined ? {} : { sslRootCert }),
    },
  } as Parameters<typeof resolveConfig>[0]);
}

function parseUrl(dsn: string): URL {
  // The URL itself is never repeated: it may hold a password.
  const example = "expected postgres://user:password@host:port/database";
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
