/** The router in the shape of the `pg` module, for libraries that build their own pool from it (TypeORM's `driver`). */
import pg from "pg";
import type { Engine } from "./engine.ts";
import { RoutingPool } from "./pool.ts";
import { routedClientClass } from "./standalone-client.ts";
import type { StatementReader } from "./statements.ts";

/** Everything that `pg` exports, with `Pool` and `Client` of the router. */
export type PgModule = Omit<typeof pg, "Pool" | "Client" | "native"> & {
  readonly Pool: typeof pg.Pool;
  readonly Client: typeof pg.Client;
};

export function pgModule(engine: Engine, statements: StatementReader): PgModule {
  /** Connection settings are the router's; its own limits may be set. Ending it leaves the router be. */
  class RoutingPoolFacade extends RoutingPool {
    constructor(settings: pg.PoolConfig = {}) {
      super(engine, statements, {
        end: () => Promise.resolve(),
        max: settings.max,
        connectionTimeoutMs: settings.connectionTimeoutMillis,
      });
    }
  }
  const Client = routedClientClass(engine, statements);
  return {
    ...pg,
    Pool: RoutingPoolFacade as unknown as typeof pg.Pool,
    Client: Client as unknown as typeof pg.Client,
  };
}
