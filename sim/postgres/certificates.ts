/**
 * A certificate authority that lives for one run, and the servers' certificates that it signs, so that clients can
 * ask for `sslmode=verify-full`. Node signs but cannot build X.509, and the few dozen lines of DER that are
 * needed for two fixed kinds of certificate weigh less than a package that a user would have to install beside
 * PostgreSQL itself. Not a general encoder: P-256 keys, ECDSA with SHA-256, names and IPv4 addresses.
 * @see RFC 5280 (certificates), ITU-T X.690 (DER)
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIPv4 } from "node:net";

export interface CertificateAuthority {
  /** PEM, for clients: what `sslrootcert` and `ca` take. */
  readonly certificate: string;
  /** A key and certificate of a server reachable under these host names and IPv4 addresses. */
  issue(commonName: string, hosts: readonly string[]): ServerCertificate;
}

export interface ServerCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8, unencrypted: write it with mode 0600. */
  readonly privateKey: string;
}

const dayMs = 86_400_000;
/** The clock of a container may run behind ours. */
const backdatedMs = dayMs;
const validForMs = 30 * dayMs;

/** A new authority, valid from a day before `wallTimeMs` (milliseconds since 1970) for thirty days. */
export function createCertificateAuthority(wallTimeMs: number): CertificateAuthority {
  const keys = newKeys();
  const name = distinguishedName("fairlead test authority");
  const keyId = keyIdentifier(keys.publicKey);
  const validity = sequence(utcTime(wallTimeMs - backdatedMs), utcTime(wallTimeMs + validForMs));
  const signed = (subject: Bytes, publicKey: KeyObject, extensions: Bytes[]): string =>
    certificate({ issuer: name, validity, subject, publicKey, extensions }, keys.privateKey);

  return {
    certificate: signed(name, keys.publicKey, [
      extension(oids.basicConstraints, sequence(tagged(tags.boolean, bytes(0xff)), integer(0)), "critical"),
      extension(oids.keyUsage, bitString(bytes(0x06), 1), "critical"), // keyCertSign, cRLSign
      extension(oids.subjectKeyIdentifier, tagged(tags.octetString, keyId)),
    ]),
    issue(commonName, hosts) {
      const server = newKeys();
      const extensions = [
        extension(oids.basicConstraints, sequence(), "critical"),
        extension(oids.keyUsage, bitString(bytes(0x80), 7), "critical"), // digitalSignature
        extension(oids.extendedKeyUsage, sequence(objectId(oids.serverAuth))),
        extension(oids.subjectAlternativeName, sequence(...hosts.map(generalName))),
        extension(oids.authorityKeyIdentifier, sequence(tagged(0x80, keyId))),
        extension(oids.subjectKeyIdentifier, tagged(tags.octetString, keyIdentifier(server.publicKey))),
      ];
      return {
        certificate: signed(distinguishedName(commonName), server.publicKey, extensions),
        privateKey: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

interface ToBeSigned {
  readonly issuer: Bytes;
  readonly validity: Bytes;
  readonly subject: Bytes;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Bytes[];
}

function certificate(fields: ToBeSigned, authorityKey: KeyObject): string {
  const algorithm = sequence(objectId(oids.ecdsaWithSha256));
  const publicKeyInfo = fields.publicKey.export({ type: "spki", format: "der" });
  const body = sequence(
    tagged(0xa0, integer(2)), // version 3
    serialNumber(publicKeyInfo),
    algorithm,
    fields.issuer,
    fields.validity,
    fields.subject,
    publicKeyInfo,
    tagged(0xa3, sequence(...fields.extensions)),
  );
  const signature = sign("sha256", body, authorityKey);
  return pem("CERTIFICATE", sequence(body, algorithm, bitString(signature)));
}

function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

/** Twenty bytes that name a key. @see RFC 7093, section 2, method 1 */
function keyIdentifier(publicKey: KeyObject): Bytes {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

/** Unique per key, positive, and without a draw of its own. */
function serialNumber(publicKeyInfo: Bytes): Bytes {
  const digest = createHash("sha256").update("serial").update(publicKeyInfo).digest().subarray(0, 16);
  return tagged(tags.integer, bytes((digest[0] ?? 0) & 0x7f || 1), digest.subarray(1));
}

function distinguishedName(commonName: string): Bytes {
  const attribute = sequence(objectId(oids.commonName), tagged(tags.utf8String, Buffer.from(commonName)));
  return sequence(tagged(tags.set, attribute));
}

function generalName(host: string): Bytes {
  return isIPv4(host) ? tagged(0x87, bytes(...host.split(".").map(Number))) : tagged(0x82, Buffer.from(host));
}

function extension(id: readonly number[], value: Bytes, critical?: "critical"): Bytes {
  const flag = critical === undefined ? [] : [tagged(tags.boolean, bytes(0xff))];
  return sequence(objectId(id), ...flag, tagged(tags.octetString, value));
}

// DER: a tag, a length, the contents.

type Bytes = Uint8Array;

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

const oids = {
  commonName: [2, 5, 4, 3],
  subjectKeyIdentifier: [2, 5, 29, 14],
  keyUsage: [2, 5, 29, 15],
  subjectAlternativeName: [2, 5, 29, 17],
  basicConstraints: [2, 5, 29, 19],
  authorityKeyIdentifier: [2, 5, 29, 35],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuth: [1, 3, 6, 1, 5, 5, 7, 3, 1],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2],
} as const;

function tagged(tag: number, ...contents: readonly Bytes[]): Bytes {
  const content = Buffer.concat(contents);
  return Buffer.concat([bytes(tag), length(content.length), content]);
}

function length(value: number): Bytes {
  if (value < 0x80) return bytes(value);
  if (value < 0x100) return bytes(0x81, value);
  return bytes(0x82, value >> 8, value & 0xff);
}

function sequence(...items: readonly Bytes[]): Bytes {
  return tagged(tags.sequence, ...items);
}

/** 0 to 127. */
function integer(value: number): Bytes {
  return tagged(tags.integer, bytes(value));
}

function bitString(content: Bytes, unusedBits = 0): Bytes {
  return tagged(tags.bitString, bytes(unusedBits), content);
}

function objectId(arcs: readonly number[]): Bytes {
  const [first = 0, second = 0, ...rest] = arcs;
  return tagged(tags.objectId, bytes(first * 40 + second, ...rest.flatMap(base128)));
}

/** Seven bits a byte, the highest first; all but the last have the top bit set. */
function base128(arc: number): number[] {
  const digits = [arc & 0x7f];
  for (let rest = arc >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

/** Two digits for the year: good until 2049. */
function utcTime(wallTimeMs: number): Bytes {
  const digits = new Date(wallTimeMs).toISOString().replaceAll(/[-T:]/g, "").slice(2, 14);
  return tagged(tags.utcTime, Buffer.from(`${digits}Z`));
}

function bytes(...values: readonly number[]): Bytes {
  return Uint8Array.from(values);
}

function pem(label: string, content: Bytes): string {
  const lines =
    Buffer.from(content)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
