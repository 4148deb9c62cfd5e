/**
 * What many applications begin with: a pool for each server, a random replica for each read, and nothing that looks whether
 * it is well. It claims what such code is believed to do, so that the suite can be seen to fail.
 */
import { Pool } from "pg";
import type { RouterConfig, NodeConfig } from "../../src/config/config.ts";
import { createPrng } from "../../src/runtime/prng.ts";
import type { Row, Subject, SubjectClient, SubjectOptions } from "../subject.ts";

export const naive: Subject = {
  name: "naive",
  claims: ["fallback", "lag-limit"],

  async connect({ policy, applicationName, seed }: SubjectOptions): Promise<SubjectClient> {
    const prng = createPrng(seed).stream("naive");
    const primary = openPool(policy.primary, applicationName);
    const replicas = poolsOf(policy, applicationName);
    const anyReplica = (): Pool => (replicas.length === 0 ? primary : prng.pick(replicas));
    return {
      read: async (text, values, name) =>
        (
          await anyReplica().query<Row>({
            text,
            values: [...values],
            ...(name === undefined ? {} : { name }),
          })
        ).rows,
      write: async (text, values) => (await primary.query<Row>(text, [...values])).rows,
      readOnlyTransaction: async (statements) => {
        const client = await anyReplica().connect();
        try {
          await client.query("begin read only");
          const answers: (readonly Row[])[] = [];
          for (const { text, values } of statements)
            answers.push((await client.query<Row>(text, [...values])).rows);
          await client.query("commit");
          client.release();
          return answers;
        } catch (error) {
          client.release(true);
          throw error;
        }
      },
      close: async () => {
        await Promise.all([primary, ...replicas].map((pool) => pool.end()));
      },
    };
  },
};

function poolsOf(policy: RouterConfig, applicationName: string): Pool[] {
  return policy.replicas.map((node) => openPool(node, applicationName));
}

function openPool(node: NodeConfig, applicationName: string): Pool {
  const [tls = false] = node.tls.attempts;
  const pool = new Pool({
    host: node.host,
    port: node.port,
    user: node.user,
    password: node.password,
    database: node.database,
    application_name: applicationName,
    ssl: tls === false ? false : { ...tls },
    max: node.pool.max,
    connectionTimeoutMillis: node.pool.connectionTimeoutMs,
  });
  // Without listeners a lost connection, idle or checked out, would end the whole process.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}
