import { X509Certificate, createPrivateKey } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { describe, expect, test } from "vitest";
import { createCertificateAuthority } from "../../../sim/postgres/certificates.ts";

// Judged by OpenSSL: Node's X509Certificate and TLS are its parser and verifier.

const authority = createCertificateAuthority(Date.now());
const server = authority.issue("replica-1", ["localhost", "127.0.0.1"]);

describe("a server's certificate", () => {
  const certificate = new X509Certificate(server.certificate);

  test("is signed by the authority, and by no other of the same name", () => {
    const other = createCertificateAuthority(Date.now());
    expect(certificate.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(certificate.verify(new X509Certificate(other.certificate).publicKey)).toBe(false);
  });

  test("is good for the hosts it was issued for, and for no other", () => {
    expect(certificate.subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1");
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.checkHost("example.org")).toBeUndefined();
    expect(certificate.checkIP("127.0.0.2")).toBeUndefined();
  });

  test("belongs to the key that comes with it, and is no authority", () => {
    expect(certificate.checkPrivateKey(createPrivateKey(server.privateKey))).toBe(true);
    expect(certificate.subject).toBe("CN=replica-1");
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(new X509Certificate(authority.certificate).ca).toBe(true);
  });

  test("has a serial number of its own, valid from the day before for thirty days", () => {
    const another = new X509Certificate(authority.issue("replica-1", ["localhost"]).certificate);
    expect(another.serialNumber).not.toBe(certificate.serialNumber);
    const dated = new X509Certificate(
      createCertificateAuthority(Date.UTC(2031, 0, 31, 23, 59, 58)).certificate,
    );
    expect(dated.validFrom).toBe("Jan 30 23:59:58 2031 GMT");
    expect(dated.validTo).toBe("Mar  2 23:59:58 2031 GMT");
  });

  test("of a name longer than one length byte can tell is still read", () => {
    const hosts = Array.from({ length: 40 }, (_, index) => `node-${index}.example.org`);
    const long = new X509Certificate(authority.issue("x".repeat(60), hosts).certificate);
    expect(long.checkHost("node-39.example.org")).toBe("node-39.example.org");
    expect(long.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
  });
});

test("a TLS client that trusts the authority connects, and one that trusts another does not", async () => {
  const listener = createServer({ cert: server.certificate, key: server.privateKey }, (socket) =>
    socket.end("hello"),
  );
  listener.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as { port: number };
  const greet = (ca: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca });
      socket.once("data", (text: Buffer) => resolve(text.toString()));
      socket.once("error", reject);
      socket.once("close", () => socket.destroy());
    });
  try {
    await expect(greet(authority.certificate)).resolves.toBe("hello");
    await expect(greet(createCertificateAuthority(Date.now()).certificate)).rejects.toThrow(/certificate/);
  } finally {
    listener.close();
  }
});

const hasOpenssl = ((): boolean => {
  try {
    return execFileSync("openssl", ["version"], { encoding: "utf8" }).startsWith("OpenSSL");
  } catch {
    return false;
  }
})();

test.skipIf(!hasOpenssl)("openssl's strict check finds no fault in the chain", () => {
  const folder = mkdtempSync(join(tmpdir(), "certificates-"));
  try {
    const [ca, leaf] = [join(folder, "ca.pem"), join(folder, "leaf.pem")];
    writeFileSync(ca, authority.certificate);
    writeFileSync(leaf, server.certificate);
    const args = [
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-verify_hostname",
      "localhost",
      "-CAfile",
      ca,
      leaf,
    ];
    expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain("OK");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
