/** The schema as JSON Schema, for editors and for the documentation. */
import { z } from "zod";
import { fieldDocs } from "./fields.ts";
import type { Field } from "./fields.ts";
import { dbSchema } from "./schema.ts";

/**
 * JSON Schema (draft 2020-12) of a configuration file as it is written, before variables are replaced: a value
 * may be `${NAME}` everywhere. Besides the standard keywords, `x-unit` names a setting's unit, and `x-minimum`
 * and `x-maximum` a duration's bounds. Sections other than `db` are the application's.
 */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...db } = z.toJSONSchema(dbSchema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const doc = fieldDocs.get(zodSchema as unknown as Field<unknown>);
      // zod describes the checked value; a field that says itself what may be written replaces that.
      if (doc?.["anyOf"] !== undefined) {
        for (const keyword of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, keyword);
      }
      Object.assign(jsonSchema, doc);
    },
  });
  return {
    $schema,
    title: "fairlead configuration",
    type: "object",
    properties: { db },
    required: ["db"],
  };
}
