/** Foreign text on one line: error messages of servers and subjects may hold line breaks, colours and worse. Pure. */
import { stripVTControlCharacters } from "node:util";

/** Without escape sequences; line breaks and other control characters become one space. */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/\p{Cs}/gu, "\u{FFFD}")
    .replaceAll(/ *[\p{Cc}\u{2028}\u{2029}]+ */gu, " ")
    .trim();
}
