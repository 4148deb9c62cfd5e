/** Where the router says what an operator must hear. A library does not choose the logger: pass your own. */

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Details of a log line. Never a secret, a statement's values or a connection string. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Warnings and errors on stderr, one line each (`WARN: text key=value`); the rest is dropped. */
export const consoleLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message, fields) => console.error(formatLogLine("WARN", message, fields)),
  error: (message, fields) => console.error(formatLogLine("ERROR", message, fields)),
};

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/** `LEVEL: message key=value …` */
export function formatLogLine(level: string, message: string, fields: LogFields = {}): string {
  const details = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${String(value)}`);
  return `${level}: ${message}${details.join("")}`;
}
