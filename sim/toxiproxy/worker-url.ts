/**
 * Where a worker's file is, beside the module that starts it: `.ts` when the sources run as they are, `.js` when
 * compiled. The compiler rewrites imports, but not the strings given to `new URL`.
 */
export function workerUrl(name: string, moduleUrl: string): URL {
  const extension = moduleUrl.endsWith(".ts") ? "ts" : "js";
  return new URL(`./${name}.${extension}`, moduleUrl);
}
