/** How the argument scanner's errors read: one line, as every other error of ours. */
import { ArgumentScannerError, formatMessageForArgumentScannerError, text_en } from "@stricli/core";
import type { ApplicationText } from "@stricli/core";

export const texts: ApplicationText = {
  ...text_en,
  formatException: messageOf,
  noCommandRegisteredForInput: ({ input, corrections: [meant] }) => {
    const hint =
      meant === undefined ? "fairlead --help shows them" : `did you mean ${meant.replaceAll("`", "")}?`;
    return `fairlead: no command is called "${input}": ${hint}`;
  },
  exceptionWhileParsingArguments: (error) => `fairlead: ${scannerMessage(error)}`,
  exceptionWhileLoadingCommandFunction: (error) =>
    `fairlead: the command cannot be loaded: ${messageOf(error)}`,
};

function scannerMessage(error: unknown): string {
  if (!(error instanceof ArgumentScannerError)) return messageOf(error);
  return formatMessageForArgumentScannerError(error, {
    // What a parser of ours throws names flag, value and limits by itself.
    ArgumentParseError: ({ exception }) => messageOf(exception),
    FlagNotFoundError: ({ input, corrections: [meant] }) =>
      `there is no flag --${input}${meant === undefined ? "; --help shows them" : `, did you mean --${meant}?`}`,
    UnexpectedFlagError: ({ externalFlagName, input }) =>
      `--${externalFlagName} is given twice, the second time with "${input}"`,
    UnsatisfiedFlagError: ({ externalFlagName }) => `--${externalFlagName} needs a value`,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
