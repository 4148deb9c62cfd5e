/** The router in the shape of `pg.Pool`. */
import type { Engine } from "./engine.ts";
import type { StatementReader } from "./statements.ts";
export class RoutingPool {
  constructor(engine: Engine, statements: StatementReader) {
    void engine;
    void statements;
  }
}
export type PgModule = Record<string, unknown>;
export function pgModule(engine: Engine, statements: StatementReader): PgModule {
  void engine;
  void statements;
  return {};
}
