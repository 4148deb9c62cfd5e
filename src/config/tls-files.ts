/**
 * Reads the PEM files a node's TLS settings name, and says what is wrong with them before a connection does.
 * Never puts a file's content into an error.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Finding, Path } from "./place.ts";
import { describeReadError } from "./read-error.ts";
import type { SslMode, TlsMaterial } from "./tls.ts";

/** The TLS settings of the primary or of one replica. */
export interface TlsSettings {
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
  readonly sslCert?: string | undefined;
  readonly sslKey?: string | undefined;
}

export interface NodeTls {
  readonly mode: SslMode;
  readonly material: TlsMaterial;
  readonly findings: readonly Finding[];
}

export interface ReadTlsOptions {
  /** Where the settings stand. */
  readonly path: Path;
  /** Relative paths start here. */
  readonly folder: string;
  /** What a replica takes from the primary where it says nothing itself. */
  readonly inherited?: Pick<NodeTls, "mode" | "material">;
}

const FILES = ["sslRootCert", "sslCert", "sslKey"] as const;

export function readTls(settings: TlsSettings, options: ReadTlsOptions): NodeTls {
  const { path, folder, inherited } = options;
  const mode = settings.sslMode ?? inherited?.mode ?? "disable";
  const findings: Finding[] = [];
  const problem = (field: keyof TlsSettings, message: string): undefined => {
    findings.push({ path: [...path, field], message });
  };
  const read = (field: (typeof FILES)[number], judge: (content: string) => string | undefined) => {
    const file = settings[field];
    if (file === undefined || mode === "disable") return undefined;
    const outcome = readPem(resolve(folder, file), { isKey: field === "sslKey" });
    const message = outcome.problem ?? judge(outcome.content);
    return message === undefined ? outcome.content : problem(field, message);
  };

  for (const field of FILES) {
    if (mode === "disable" && settings[field] !== undefined) {
      problem(field, "has no effect while sslMode is disable: set sslMode to verify-full, or remove it");
    }
  }
  if ((settings.sslCert === undefined) !== (settings.sslKey === undefined)) {
    const [given, other] = settings.sslCert === undefined ? FILES.toReversed() : FILES.slice(1);
    problem(given ?? "sslCert", `needs ${other === given ? "sslCert" : String(other)} beside it`);
  }
  const ca = settings.sslRootCert === "system" ? "system" : read("sslRootCert", certificateProblem);
  const cert = read("sslCert", certificateProblem);
  const key = read("sslKey", (content) => keyProblem(content, cert));
  const material: TlsMaterial = {
    ca: ca ?? inherited?.material.ca,
    cert: cert ?? inherited?.material.cert,
    key: key ?? inherited?.material.key,
  };
  const stated = settings.sslMode === undefined ? "sslRootCert" : "sslMode";
  if (findings.length === 0 && settings[stated] !== undefined) {
    const message = authorityProblem(mode, material.ca);
    if (message !== undefined) problem(stated, message);
  }
  return { mode, material, findings };
}

/** As libpq: verification needs somebody to trust, and the system's authorities are only worth it with a host name. */
function authorityProblem(mode: SslMode, ca: string | undefined): string | undefined {
  if ((mode === "verify-ca" || mode === "verify-full") && ca === undefined) {
    const system = mode === "verify-full" ? ", or system for the authorities that Node trusts" : "";
    return `${mode} needs sslRootCert: the PEM file of an authority${system}`;
  }
  if (ca === "system" && mode !== "verify-full" && mode !== "disable") {
    return `sslRootCert: system needs sslMode: verify-full, not ${mode}: anybody can have a certificate from these authorities`;
  }
  return undefined;
}

type PemFile =
  | { readonly content: string; readonly problem?: undefined }
  | { readonly content?: undefined; readonly problem: string };

function readPem(file: string, { isKey }: { readonly isKey: boolean }): PemFile {
  try {
    if (isKey) {
      const message = permissionProblem(file);
      if (message !== undefined) return { problem: message };
    }
    return { content: readFileSync(file, "utf8") };
  } catch (error) {
    return { problem: `${file} cannot be read: ${describeReadError(error)}` };
  }
}

/** The rule of libpq: 0600 or less, or 0640 when root owns the file. */
function permissionProblem(file: string): string | undefined {
  if (process.platform === "win32") return undefined;
  const { mode, uid } = statSync(file);
  const forbidden = uid === 0 ? 0o037 : 0o077;
  if ((mode & forbidden) === 0) return undefined;
  const found = (mode & 0o777).toString(8).padStart(4, "0");
  return `${file} has mode ${found}, a key may have 0600 at most (0640 when root owns it): run chmod 600 on it`;
}

function certificateProblem(content: string): string | undefined {
  return parsed(() => new X509Certificate(content)) === undefined
    ? "holds no valid certificate in PEM"
    : undefined;
}

function keyProblem(content: string, cert: string | undefined): string | undefined {
  if (content.includes("ENCRYPTED")) return "is encrypted: a key without a passphrase is needed";
  const key = parsed(() => createPrivateKey(content));
  if (key === undefined) return "holds no valid private key in PEM";
  const belongs = cert === undefined || new X509Certificate(cert).checkPrivateKey(key);
  return belongs ? undefined : "does not belong to the certificate in sslCert";
}

/** OpenSSL's own words help nobody, and could quote the input. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
