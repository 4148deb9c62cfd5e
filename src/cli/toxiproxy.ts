/** `fairlead toxiproxy`: the built-in Toxiproxy alone, for whatever speaks Toxiproxy's API. */
import { EXIT, untilAborted } from "./io.ts";

export interface ToxiproxyFlags {
  /** Where the API listens. @defaultValue "127.0.0.1" */
  readonly host?: string;
  /** The API's port; 0 takes a free one. @defaultValue 8474 */
  readonly port?: number;
  /** A JSON file with an array of proxies to begin with. */
  readonly config?: string;
}

export interface ToxiproxyIo {
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Ends the server. */
  readonly signal: AbortSignal;
}

/**
 * Runs until the signal aborts. Gives the exit code: 0, or 2 when the port is in use or the config file is bad.
 *
 * @throws whatever ended the server before that
 */
export async function runToxiproxyCommand(flags: ToxiproxyFlags, io: ToxiproxyIo): Promise<number> {
  const { startBuiltinToxiproxy, ToxiproxyStartError } = await import("../../sim/toxiproxy/start.ts");
  const { TOXIPROXY_VERSION } = await import("../../sim/toxiproxy/api.ts");
  const { host = "127.0.0.1", port = 8474, config } = flags;
  const configFile = config === undefined ? {} : { configFile: config };
  let server;
  try {
    server = await startBuiltinToxiproxy({ host, port, strict: true, ...configFile });
  } catch (error) {
    if (!(error instanceof ToxiproxyStartError)) throw error;
    io.stderr(`fairlead: ${error.message}`);
    return EXIT.usage;
  }
  io.stdout(`Toxiproxy ${TOXIPROXY_VERSION} (built in) listens on ${server.url}`);
  await Promise.race([untilAborted(io.signal), server.crashed]);
  await server.close();
  return EXIT.held;
}
