/**
 * libpq's six `sslmode`s as data for Node's TLS. Pure: certificates come as text, and who connects tries the
 * attempts in order.
 *
 * | sslMode     | attempts   | chain verified       | host name verified |
 * |-------------|------------|----------------------|--------------------|
 * | disable     | plain      | –                    | –                  |
 * | allow       | plain, TLS | if a CA is given     | no                 |
 * | prefer      | TLS, plain | if a CA is given     | no                 |
 * | require     | TLS        | if a CA is given     | no                 |
 * | verify-ca   | TLS        | yes                  | no                 |
 * | verify-full | TLS        | yes                  | yes                |
 *
 * @see https://www.postgresql.org/docs/current/libpq-ssl.html – "SSL Mode Descriptions"
 * @see https://www.postgresql.org/docs/current/libpq-connect.html – `sslrootcert`: a CA that is given is always used
 */

export const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

export type SslMode = (typeof SSL_MODES)[number];

export interface TlsConfig {
  readonly mode: SslMode;
  /**
   * What to try, in order; the next only when the server refuses the one before it (no TLS offered, or a
   * FATAL during start-up), never because the network failed. `false` is a plain connection.
   */
  readonly attempts: readonly (false | TlsOptions)[];
}

/** Options for `tls.connect`. Hand `pg` a copy, `{ ...options }`: it hides `key` on the object it is given. */
export interface TlsOptions {
  readonly rejectUnauthorized: boolean;
  /** PEM. Absent: the authorities that Node trusts. */
  readonly ca?: string;
  /** PEM. */
  readonly cert?: string;
  /** PEM. Never to be logged. */
  readonly key?: string;
  /** Present where the host name is not verified. */
  readonly checkServerIdentity?: () => undefined;
}

/** PEM texts; `ca` may be `system`, for the authorities that Node trusts. */
export interface TlsMaterial {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export function tlsConfig(mode: SslMode, material: TlsMaterial = {}): TlsConfig {
  return { mode, attempts: attemptsOf(mode, material) };
}

function attemptsOf(mode: SslMode, material: TlsMaterial): TlsConfig["attempts"] {
  switch (mode) {
    case "disable":
      return [false];
    case "allow":
      return [false, chainOnly(material)];
    case "prefer":
      return [chainOnly(material), false];
    case "require":
    case "verify-ca":
      return [chainOnly(material)];
    case "verify-full":
      return [{ rejectUnauthorized: true, ...pem(material) }];
  }
}

/** libpq verifies the chain whenever it has a root certificate, and nothing when it has none. */
function chainOnly(material: TlsMaterial): TlsOptions {
  return {
    rejectUnauthorized: material.ca !== undefined,
    ...pem(material),
    checkServerIdentity: () => undefined,
  };
}

function pem({ ca, cert, key }: TlsMaterial): Pick<TlsOptions, "ca" | "cert" | "key"> {
  return {
    ...(ca === undefined || ca === "system" ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
