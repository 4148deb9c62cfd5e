import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { builtinSubjects, loadSubject } from "../../chaos/subjects/index.ts";

test.each(Object.keys(builtinSubjects))(
  "the built-in subject %s is called what it is registered as",
  async (name) => {
    expect((await loadSubject({ kind: "builtin", name })).name).toBe(name);
  },
);

test.each(["export const subject", "export default"])("a module may say `%s`", async (exported) => {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-subject-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "mine.mjs");
  const value = `{ name: "mine", claims: [], connect: async () => ({}) }`;
  await writeFile(path, `${exported}${exported.endsWith("subject") ? " = " : " "}${value};`);
  expect(await loadSubject({ kind: "module", path })).toMatchObject({ name: "mine" });
});

test("a name of Object's own is no subject", async () => {
  await expect(loadSubject({ kind: "builtin", name: "constructor" })).rejects.toThrow("no subject is called");
});
